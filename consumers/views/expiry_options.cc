#include "consumers/views/expiry_options.h"

namespace tidemill::views {
namespace {

constexpr char kSpans[] = "a number and seconds, minutes, hours, days or weeks, as in '30 days'";

class OptionsReader {
 public:
  OptionsReader(std::string_view sql, const ExpiryText& text, const std::vector<GroupTerm>& groups)
      : sql_(sql), text_(text), groups_(groups) {}

  std::optional<SqlError> read(Expiry& out) const {
    if (text_.ttl) {
      for (const auto* other : {&text_.window, &text_.size, &text_.retention})
        if (*other)
          return here(**other,
                      "ttl lets a row go some time after its last record, a window with its retention some time after "
                      "its window: say one of them.");
      return span("ttl", *text_.ttl, out.after);
    }
    const OptionText& given = text_.window ? *text_.window : text_.size ? *text_.size : *text_.retention;
    if (!text_.window || !text_.size || !text_.retention)
      return here(
          given,
          "A window's retention is written WITH (window = column, size = '1 day', retention = '7 days'): the "
          "column says when a window begins, size how long it is, retention how long its rows stay after that.");
    if (auto e = span("retention", *text_.retention, out.after)) return e;
    const auto size = read_time_span(text_.size->text);
    if (!size) return here(*text_.size, "size takes " + std::string(kSpans) + "; or months or years, as in '1 month'.");
    out.size = *size;
    for (std::uint32_t i = 0; i < groups_.size() && !out.window; ++i)
      if (equal_ignoring_case(groups_[i].name, text_.window->text)) out.window = i;
    if (out.window) return std::nullopt;
    std::string names;
    for (const GroupTerm& g : groups_) names += (names.empty() ? "" : ", ") + g.name;
    return here(*text_.window, "window names the column of GROUP BY that says when a window begins, and " +
                                   text_.window->text + " is none" +
                                   (names.empty() ? ": there is no GROUP BY." : ". There are: " + names + "."));
  }

 private:
  SqlError here(const OptionText& option, std::string_view sentence) const {
    return error_at(sql_, option.at, sentence);
  }
  std::optional<SqlError> span(const std::string& name, const OptionText& option, TimeSpan& out) const {
    const auto read = read_time_span(option.text);
    if (!read) return here(option, name + " takes " + kSpans + ".");
    if (read->months != 0)
      return here(option,
                  name + " takes no months or years, for they differ in length: write the days, as in '30 days'.");
    out = *read;
    return std::nullopt;
  }

  std::string_view sql_;
  const ExpiryText& text_;
  const std::vector<GroupTerm>& groups_;
};

}  // namespace

SqlResult<std::optional<Expiry>> read_expiry(std::string_view sql, const ExpiryText& text,
                                             const std::vector<GroupTerm>& groups) {
  std::optional<Expiry> out;
  if (text == ExpiryText()) return out;
  if (auto e = OptionsReader(sql, text, groups).read(out.emplace())) return *e;
  return out;
}

std::string in_words(const Expiry& expiry, const std::vector<GroupTerm>& groups) {
  static constexpr char kTime[] = "Stream time is the latest _time that was read.";
  if (!expiry.window)
    return "A row goes when no record has come for it for " + expiry.after.text + " of stream time. " + kTime;
  return "A row goes " + expiry.after.text +
         " of stream time after its window has ended: " + groups[*expiry.window].name +
         " says when that begins, and it has " + expiry.size.text +
         ". Records that come later are dropped and counted as late. " + kTime;
}

}  // namespace tidemill::views

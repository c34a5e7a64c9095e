#include "consumers/views/statement.h"

#include <algorithm>
#include <string>

#include "engine/shards.h"
#include "engine/stream.h"

namespace tidemill::views {
namespace {

constexpr char kShape[] =
    "A view is written CREATE MATERIALIZED VIEW name AS SELECT ... FROM stream [WHERE ...] GROUP BY ..., or the SELECT "
    "alone.";
constexpr char kAlterShape[] =
    "A view is changed with ALTER VIEW name AS SELECT ... FROM stream [WHERE ...] GROUP BY ...";
constexpr char kDropShape[] = "A view is dropped with DROP VIEW [IF EXISTS] name.";
constexpr char kStreamShape[] = "A derived stream is written CREATE STREAM name AS SELECT ... FROM stream [WHERE ...].";
constexpr char kDropStreamShape[] = "A derived stream is dropped with DROP STREAM [IF EXISTS] name.";
constexpr char kStreamOptions[] =
    "The options are from and shards, as in WITH (from = 'latest', shards = 4): from takes earliest, latest, a "
    "sequence "
    "or an RFC 3339 time.";
constexpr char kOptions[] =
    "The options are from, as in WITH (from = 'latest'): earliest, latest, a sequence or an RFC 3339 time; ttl, as in "
    "WITH (ttl = '30 days'); or window, size and retention, as in WITH (window = column, size = '1 day', "
    "retention = '7 days'); and lineage = false, for a view that need not know which records made a row.";

bool is_identifier(std::string_view s) {
  if (s.empty() || s.size() > 128 || (s[0] >= '0' && s[0] <= '9')) return false;
  return std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

class HeadReader {
 public:
  HeadReader(std::string_view sql, std::span<const Token> tokens) : sql_(sql), tokens_(tokens) {}

  std::optional<SqlError> read(StatementHead& out) {
    using Kind = StatementHead::Kind;
    std::optional<SqlError> e;
    if (take("CREATE")) {
      out.kind = Kind::create;
      e = create(out);
    } else if (of_stream() && word("ALTER")) {
      e = error_at(sql_, tokens_[0].offset,
                   "A derived stream keeps its definition, for its records are kept: create one of another name, then "
                   "drop this one. PUT /v1/streams/{stream} changes its settings.",
                   "not_supported");
    } else if (of_stream() && take("DROP")) {
      out.kind = Kind::drop_stream;
      e = change(out, kDropStreamShape);
    } else if (of_view() && take("ALTER")) {
      out.kind = Kind::alter;
      e = change(out, kAlterShape);
    } else if (of_view() && take("DROP")) {
      out.kind = Kind::drop;
      e = change(out, kDropShape);
    }
    out.body = at_;
    return e;
  }

 private:
  SqlError here(std::string_view sentence) const {
    return error_at(sql_, at_ < tokens_.size() ? tokens_[at_].offset : sql_.size(), sentence);
  }
  bool word(std::string_view w) const { return at_ < tokens_.size() && tokens_[at_].is_word(w); }
  bool take(std::string_view w) { return word(w) && ++at_; }
  bool of_view() const {
    return tokens_.size() > 1 && (tokens_[1].is_word("MATERIALIZED") || tokens_[1].is_word("VIEW"));
  }
  bool of_stream() const { return tokens_.size() > 1 && tokens_[1].is_word("STREAM"); }
  static bool of_a_stream(const StatementHead& head) {
    return head.kind == StatementHead::Kind::create_stream || head.kind == StatementHead::Kind::drop_stream;
  }
  bool symbol(char c) const { return at_ < tokens_.size() && tokens_[at_].is(c); }

  std::optional<SqlError> create(StatementHead& out) {
    if (take("OR")) {
      if (!take("REPLACE")) return here("Write CREATE OR REPLACE MATERIALIZED VIEW.");
      out.or_replace = true;
    }
    if (word("STREAM")) {
      if (out.or_replace)
        return here("A stream's records are kept: create one of another name, then drop this one with DROP STREAM.");
      ++at_;
      out.kind = StatementHead::Kind::create_stream;
      if (auto e = if_not_exists(out)) return e;
      return name_to_select(out, kStreamShape);
    }
    if (!take("MATERIALIZED")) {
      return error_at(sql_, tokens_[0].offset,
                      "Write CREATE MATERIALIZED VIEW: every view is kept up as records come.");
    }
    if (!take("VIEW")) return error_at(sql_, tokens_[at_ - 1].offset, kShape);
    if (auto e = if_not_exists(out)) return e;
    return name_to_select(out, kShape);
  }

  std::optional<SqlError> if_not_exists(StatementHead& out) {
    if (!word("IF")) return std::nullopt;
    const std::size_t at = tokens_[at_].offset;
    ++at_;
    if (!take("NOT") || !take("EXISTS")) return error_at(sql_, at, "Write IF NOT EXISTS.");
    out.if_not_exists = true;
    if (out.or_replace)
      return error_at(sql_, at, "OR REPLACE and IF NOT EXISTS say two things: leave one of them out.");
    return std::nullopt;
  }

  // ALTER and DROP.
  std::optional<SqlError> change(StatementHead& out, const char* shape) {
    const bool stream = out.kind == StatementHead::Kind::drop_stream;
    (void)(!stream && take("MATERIALIZED"));
    if (!take(stream ? "STREAM" : "VIEW")) return here(shape);
    if (word("IF")) {
      const std::size_t at = tokens_[at_].offset;
      ++at_;
      if (!take("EXISTS")) return error_at(sql_, at, "Write IF EXISTS.");
      out.if_exists = true;
    }
    if (out.kind == StatementHead::Kind::alter) return name_to_select(out, shape);
    if (auto e = name(out, shape)) return e;
    if (symbol(',')) return here(stream ? "Drop one stream at a time." : "Drop one view at a time.");
    if (word("CASCADE") && stream)
      return here("Nothing is dropped that the statement does not name: drop what reads the stream first.");
    if (word("CASCADE") || (word("RESTRICT") && !stream))
      return here("No view depends on another: leave this word out.");
    if (at_ < tokens_.size()) return here(shape);
    return std::nullopt;
  }

  std::optional<SqlError> name(StatementHead& out, const char* shape) {
    if (at_ == tokens_.size() || !tokens_[at_].is_name()) return here(shape);
    const Token& name = tokens_[at_++];
    out.name = name.name();
    out.name_at = name.offset;
    out.name_end = name.offset + name.text.size();
    if (of_a_stream(out)) {
      if (symbol('.') || symbol('-'))
        return error_at(sql_, name.offset, "A stream's name with a dot or a dash is written in double quotes.");
      if (valid_stream_name(out.name) && !is_reserved_stream(out.name)) return std::nullopt;
      return error_at(sql_, name.offset, "A stream's name has 1 to 128 of A-Z a-z 0-9 _ . -, not beginning with _.");
    }
    if (is_identifier(out.name)) return std::nullopt;
    return error_at(
        sql_, name.offset,
        "A view's name has letters, digits and _, does not begin with a digit, and has at most 128 characters.");
  }

  std::optional<SqlError> name_to_select(StatementHead& out, const char* shape) {
    if (auto e = name(out, shape)) return e;
    if (symbol('(')) return here("Name the columns in the SELECT, with AS.");
    if (word("RENAME")) return here("A view keeps its name: create one of the new name, then drop this one.");
    if (word("PARTITION"))
      return here("The key of a stream's records is an output column: write SELECT ..., expression AS _key.");
    if (word("WITH")) {
      if (auto e = of_a_stream(out) ? stream_options(out) : options(out)) return e;
    }
    if (of_a_stream(out) && at_ == tokens_.size())
      return here(std::string("PUT /v1/streams/{stream} creates a stream that producers write to. ") + kStreamShape);
    if (!take("AS")) return here(shape);
    return std::nullopt;
  }

  std::optional<SqlError> stream_options(StatementHead& out) {
    ++at_;
    if (!symbol('(')) return here(kStreamOptions);
    do {
      ++at_;  // the parenthesis, or the comma
      if (take("SHARDS")) {
        if (!symbol('=')) return here(kStreamOptions);
        ++at_;
        const std::string_view digits = at_ < tokens_.size() ? tokens_[at_].text : std::string_view();
        const bool number =
            !digits.empty() && digits.size() < 6 && digits.find_first_not_of("0123456789") == std::string_view::npos;
        out.shards = number ? static_cast<std::uint32_t>(std::stoul(std::string(digits))) : 0;
        if (out.shards == 0 || out.shards > kOpenShardsMax) return here("shards is a number from 1 to 10000.");
        ++at_;
      } else if (auto e = from_option(out, kStreamOptions)) {
        return e;
      }
    } while (symbol(','));
    if (!symbol(')')) return here(kStreamOptions);
    ++at_;
    return std::nullopt;
  }

  std::optional<SqlError> options(StatementHead& out) {
    ++at_;
    if (!symbol('(')) return here(kOptions);
    do {
      ++at_;
      if (auto e = option(out)) return e;
    } while (symbol(','));
    if (!symbol(')')) return here(kOptions);
    ++at_;
    return std::nullopt;
  }

  // name = value
  std::optional<SqlError> option(StatementHead& out) {
    if (word("FROM") && out.from.empty()) return from_option(out, kOptions);
    if (word("LINEAGE") && !out.lineage) return lineage_option(out);
    auto* slot = word("TTL")         ? &out.expiry.ttl
                 : word("SIZE")      ? &out.expiry.size
                 : word("RETENTION") ? &out.expiry.retention
                 : word("WINDOW")    ? &out.expiry.window
                                     : nullptr;
    const bool a_name = word("WINDOW");
    if (slot == nullptr || *slot) return here(kOptions);
    ++at_;
    if (!symbol('=')) return here(kOptions);
    ++at_;
    if (at_ == tokens_.size()) return here(kOptions);
    const Token& value = tokens_[at_];
    if (value.kind != TokenKind::string && !(a_name && value.is_name())) return here(kOptions);
    *slot = OptionText{value.name(), value.offset};
    ++at_;
    return std::nullopt;
  }

  std::optional<SqlError> lineage_option(StatementHead& out) {
    ++at_;
    if (!symbol('=')) return here(kOptions);
    ++at_;
    if (!word("TRUE") && !word("FALSE")) return here("lineage is true or false.");
    out.lineage = word("TRUE");
    ++at_;
    return std::nullopt;
  }

  std::optional<SqlError> from_option(StatementHead& out, const char* shape) {
    if (!take("FROM")) return here(shape);
    if (!symbol('=')) return here(shape);
    ++at_;
    if (at_ == tokens_.size()) return here(shape);
    const Token& value = tokens_[at_];
    const bool said = value.kind == TokenKind::string || value.kind == TokenKind::number || value.is_word("EARLIEST") ||
                      value.is_word("LATEST");
    if (!said) return here(shape);
    out.from = value.kind == TokenKind::string ? value.name() : to_lower(value.text);
    if (out.from.empty()) return here(shape);
    ++at_;
    return std::nullopt;
  }

  std::string_view sql_;
  std::span<const Token> tokens_;
  std::size_t at_ = 0;
};

// What stands behind the first FROM outside of parentheses.
std::string stream_of(std::span<const Token> tokens) {
  int depth = 0;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (tokens[i].is('(')) ++depth;
    if (tokens[i].is(')')) --depth;
    if (depth == 0 && tokens[i].is_word("FROM") && tokens[i + 1].is_name()) return tokens[i + 1].name();
  }
  return {};
}

}  // namespace

SqlResult<StatementHead> read_head(std::string_view sql, std::span<const Token> tokens) {
  StatementHead out;
  if (auto e = HeadReader(sql, tokens).read(out)) return *e;
  return out;
}

StatementText look_at(std::string_view sql) {
  StatementText out;
  out.sql = sql;
  auto read = tokenize(sql);
  // What cannot be read to its end still begins as what it is; whoever takes it says what is wrong.
  const bool whole = !std::holds_alternative<SqlError>(read);
  static constexpr std::string_view kWords = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_ \t\r\n\f";
  if (!whole) read = tokenize(sql.substr(0, sql.find_first_not_of(kWords)));
  const auto* all = std::get_if<std::vector<Token>>(&read);
  if (all == nullptr) return out;
  std::span<const Token> tokens(*all);
  while (!tokens.empty() && tokens.back().is(';')) tokens = tokens.first(tokens.size() - 1);
  const bool explain = !tokens.empty() && tokens[0].is_word("EXPLAIN");
  if (explain) tokens = tokens.subspan(1);
  if (tokens.empty()) return out;
  const auto second = [&](std::string_view w) { return tokens.size() > 1 && tokens[1].is_word(w); };
  const Token& first = tokens[0];
  // CREATE TABLE and the like are SQLite's, which says that only reading is allowed.
  const bool view = first.is_word("CREATE") ? second("OR") || second("MATERIALIZED") || second("VIEW")
                                            : (first.is_word("ALTER") || first.is_word("DROP")) &&
                                                  (second("MATERIALIZED") || second("VIEW"));
  const bool stream = (first.is_word("CREATE") || first.is_word("ALTER") || first.is_word("DROP")) && second("STREAM");
  if (stream) {
    out.kind = StatementKind::stream;
    out.explained = explain;
  } else if (view) {
    out.kind = explain ? StatementKind::explain : StatementKind::change;
  } else if (explain && first.is_word("SELECT")) {
    out.kind = StatementKind::explain_select;
    out.stream = stream_of(tokens);
  } else {
    return out;
  }
  const Token& last = tokens.back();
  out.sql = sql.substr(first.offset, whole ? last.offset + last.text.size() - first.offset : sql.npos);
  return out;
}

bool same_select(std::string_view a, std::string_view b) {
  const auto body = [](std::string_view sql) -> std::optional<std::vector<Token>> {
    auto read = tokenize(sql);
    auto* tokens = std::get_if<std::vector<Token>>(&read);
    if (tokens == nullptr) return std::nullopt;
    while (!tokens->empty() && tokens->back().is(';')) tokens->pop_back();
    const auto head = read_head(sql, *tokens);
    if (std::holds_alternative<SqlError>(head)) return std::nullopt;
    tokens->erase(tokens->begin(), tokens->begin() + static_cast<std::ptrdiff_t>(std::get<0>(head).body));
    return std::move(*tokens);
  };
  const auto x = body(a);
  const auto y = body(b);
  return x && y && std::equal(x->begin(), x->end(), y->begin(), y->end(), [](const Token& s, const Token& t) {
           return s.kind == t.kind && s.text == t.text;
         });
}

std::string as_create(std::string_view sql, const StatementHead& head) {
  const bool plain = head.kind == StatementHead::Kind::create && !head.or_replace;
  if (plain || head.name.empty()) return std::string(sql);
  return "CREATE MATERIALIZED VIEW " + std::string(sql.substr(head.name_at));
}

}  // namespace tidemill::views

#include "consumers/views/explain.h"

#include <charconv>
#include <optional>

#include "consumers/views/expiry_options.h"
#include "consumers/views/lookup.h"
#include "consumers/views/tokenizer.h"

namespace tidemill::views {
namespace {

// `sql` with each token that `name_of` knows exchanged, and spaces where people put them.
template <class F>
std::string with_names(const std::string& sql, F&& name_of) {
  auto read = tokenize(sql);
  const auto* tokens = std::get_if<std::vector<Token>>(&read);
  if (tokens == nullptr) return sql;
  std::string out;
  const Token* before = nullptr;
  for (const Token& token : *tokens) {
    const bool gap = before != nullptr && before->offset + before->text.size() < token.offset;
    if (gap && !token.is(',') && !token.is(')') && !before->is('(')) out += ' ';
    out += name_of(token).value_or(std::string(token.text));
    before = &token;
  }
  return out;
}

std::optional<std::size_t> number_behind(std::string_view text, char first) {
  if (text.size() < 2 || text[0] != first) return std::nullopt;
  std::size_t n = 0;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

}  // namespace

Explanation explain(const Definition& definition) {
  Explanation out;
  out.name = definition.name;
  out.stream = definition.stream;
  out.columns = definition.output();
  if (definition.expiry) out.expiry = in_words(*definition.expiry, definition.groups);
  out.fields = definition.fields;
  for (const GroupTerm& g : definition.groups) out.groups.push_back({g.text, g.name, g.type});
  for (const AggregateCall& a : definition.aggregates) out.aggregates.push_back({a.text, a.type});
  for (const Lookup& l : definition.lookups) out.lookups.push_back({l.view, l.alias, l.optional, l.text});
  out.row_statement = with_names(definition.row_sql, [&](const Token& t) -> std::optional<std::string> {
    if (t.kind == TokenKind::word && is_lookup_table(t.text)) {
      const std::size_t i = std::stoul(std::string(t.text.substr(4))) - 1;
      if (i < definition.lookups.size()) return quoted_name(definition.lookups[i].alias);
    }
    const auto n = t.kind == TokenKind::word ? number_behind(t.text, 'f') : std::nullopt;
    if (!n || *n >= definition.fields.size()) return std::nullopt;
    return quoted_name(definition.fields[*n]);
  });
  out.final_statement = with_names(definition.final_sql, [&](const Token& t) -> std::optional<std::string> {
    const auto n = t.kind == TokenKind::parameter ? number_behind(t.text, '?') : std::nullopt;
    if (!n || *n == 0) return std::nullopt;
    const std::size_t stored = *n - 1;
    const std::size_t groups = definition.groups.size();
    if (stored < groups) return quoted_name(definition.groups[stored].text);
    if (stored - groups < definition.aggregates.size()) return quoted_name(definition.aggregates[stored - groups].text);
    return std::nullopt;
  });
  return out;
}

}  // namespace tidemill::views

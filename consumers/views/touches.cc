#include "consumers/views/touches.h"

#include <utility>

#include "consumers/views/clauses.h"
#include "consumers/views/definition.h"
#include "consumers/views/statement.h"
#include "consumers/views/tokenizer.h"

namespace tidemill::views {
namespace {

// `shown`: rows of the result come back at once, and nothing is made: the name that is created does not count.
std::vector<Touch> touches_of(std::string_view sql, bool shown) {
  std::vector<Touch> out;
  auto read = tokenize(sql);
  auto* tokens = std::get_if<std::vector<Token>>(&read);
  if (tokens == nullptr) return out;
  while (!tokens->empty() && tokens->back().is(';')) tokens->pop_back();
  const auto head = read_head(sql, *tokens);
  const auto* h = std::get_if<StatementHead>(&head);
  if (h == nullptr) return out;
  using Kind = StatementHead::Kind;
  const bool stream = h->kind == Kind::create_stream || h->kind == Kind::drop_stream;
  if (!h->name.empty() && !shown) out.push_back({Action::admin, stream ? Thing::stream : Thing::view, h->name});
  if (h->kind == Kind::drop || h->kind == Kind::drop_stream) return out;
  const auto found = find_clauses(sql, *tokens);
  const auto* clauses = std::get_if<Clauses>(&found);
  if (clauses == nullptr) return out;
  out.push_back({Action::read, Thing::stream, clauses->stream});
  for (const LookupText& lookup : clauses->lookups) out.push_back({Action::query, Thing::view, lookup.view});
  return out;
}

}  // namespace

std::vector<Touch> touches(const StatementText& text) {
  switch (text.kind) {
    case StatementKind::question:
      return {};
    case StatementKind::change:
      return touches_of(text.sql, false);
    case StatementKind::stream:
      return touches_of(text.sql, text.explained);
    case StatementKind::explain:
    case StatementKind::explain_select:
      return touches_of(text.sql, true);
  }
  return {};
}

std::vector<Touch> touches_of_definition(std::string_view sql) {
  constexpr std::string_view builtin = "builtin:";
  if (!sql.starts_with(builtin)) return touches_of(sql, false);
  const auto text = builtin_sql(sql.substr(builtin.size()));
  return text ? touches_of(*text, true) : std::vector<Touch>();
}

}  // namespace tidemill::views

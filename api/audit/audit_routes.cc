#include "api/audit/audit_routes.h"

#include <charconv>

#include "api/errors/problem.h"
#include "api/json_answer.h"
#include "engine/audit/actions.h"
#include "engine/json/writer.h"

namespace tidemill {
namespace {

constexpr std::size_t kLimitMax = 1'000;
constexpr std::size_t kActionMax = 100;

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

// As `next` gives it: the next record of the audit trail, a dash, that of the system stream.
std::optional<AuditCursor> parse_cursor(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto audit = number(text.substr(0, dash));
  const auto system = number(text.substr(dash + 1));
  if (!audit || !system || *audit == 0 || *system == 0) return std::nullopt;
  return AuditCursor{Sequence(*audit), Sequence(*system)};
}

// What is asked for; a sentence of what is wrong with it.
std::string parse(const http::Query& asked, AuditQuery& query) {
  if (const auto text = asked.get("key")) {
    query.key = parse_key_id(*text);
    if (!query.key) return "`key` is the id of a key: 13 characters, as `tidemill keys list` shows them.";
  }
  const auto time = [&](const char* name, std::optional<WallTime>& into) {
    const auto text = asked.get(name);
    if (!text) return true;
    into = parse_rfc3339(*text);
    return into.has_value();
  };
  if (!time("from", query.from)) return "`from` is an RFC 3339 time such as 2026-01-31T00:00:00Z.";
  if (!time("until", query.until)) return "`until` is an RFC 3339 time such as 2026-01-31T00:00:00Z.";
  if (query.from && query.until && *query.until <= *query.from)
    return "Nothing is between `from` " + format_rfc3339(*query.from) + " and `until` " + format_rfc3339(*query.until) +
           ": `until` must be the later one.";
  if (const auto text = asked.get("action")) {
    if (text->empty() || text->size() > kActionMax)
      return "`action` is an action such as auth.denied, or how it begins: key.*";
    query.action = *text;
    // Else a mistyped one would look like nothing that happened.
    if (!means_any_action(query.action))
      return "`action` is none that there is; they are " + listed_audit_actions() +
             ", or how they begin, such as key.*";
  }
  if (const auto text = asked.get("limit")) {
    const auto n = number(*text);
    if (!n || *n < 1 || *n > kLimitMax) return "`limit` is a number from 1 to 1,000.";
    query.limit = *n;
  }
  if (const auto text = asked.get("cursor")) {
    query.after = parse_cursor(*text);
    if (!query.after) return "`cursor` is what `next` of the page before says.";
  }
  return {};
}

void write_head(JsonWriter& json, std::string_view log, const ChainHead& head) {
  json.begin_object().field("log", log).field("sequence", head.sequence.value()).field("sha256", to_hex(head.hash));
  json.end_object();
}

}  // namespace

AuditRoutes::AuditRoutes(ApiContext& context, Keys* keys)
    : context_(context), list_(context.engine.system(), [keys](KeyId id) -> std::optional<std::string> {
        const auto key = keys ? keys->find(id) : std::nullopt;
        return key ? std::optional(key->tenant) : std::nullopt;
      }) {}

void AuditRoutes::list(Call& call, http::Responder responder) {
  AuditQuery query;
  if (const std::string wrong = parse(call.query, query); !wrong.empty())
    return responder.send(problem(ErrorId::invalid_parameter, wrong));
  if (!call.who->may(Action::read, Thing::instance)) query.tenant = call.who->tenant;
  // It may read much of the log. Who is shown that of all tenants takes turns with them, as one more.
  const std::string turn = query.tenant;
  in_turn(context_.questions, turn, std::move(responder), [this, query = std::move(query)](http::Responder r) {
    const auto log = context_.audit ? context_.audit->log() : nullptr;
    const auto page = list_.page(log, query);
    if (!page) return r.send(problem(error_id(page.error())));
    std::string out;
    JsonWriter json(out);
    json.begin_object().name("events").begin_array();
    for (const std::string& item : page->items) json.raw(item);
    json.end_array().name("lost").begin_array();
    for (const LostRange& lost : page->lost) {
      json.begin_object().field("first", lost.first.value()).field("last", lost.last.value());
      json.end_object();
    }
    json.end_array().name("next");
    if (page->next) {
      json.value(std::to_string(page->next->audit.value()) + "-" + std::to_string(page->next->system.value()));
    } else {
      json.null();
    }
    json.end_object();
    r.send(private_json(std::move(out)));
  });
}

void AuditRoutes::head(Call&, http::Responder responder) {
  answer_on(context_.management, std::move(responder), [this](http::Responder r) {
    const auto system = context_.engine.system().head();
    if (!system) return r.send(problem(error_id(system.error())));
    std::string out;
    JsonWriter json(out);
    json.begin_object().name("heads").begin_array();
    write_head(json, "_system", *system);
    if (context_.audit && context_.audit->log()) write_head(json, "_audit", context_.audit->head());
    json.end_array().end_object();
    r.send(private_json(std::move(out)));
  });
}

}  // namespace tidemill

#include "api/limits/limit_routes.h"

#include <charconv>

#include "api/errors/problem.h"
#include "api/json_answer.h"
#include "api/keys/key_routes.h"
#include "engine/json/writer.h"
#include "engine/qualified_name.h"
#include "storage/base/errors.h"

namespace tidemill {
namespace {

constexpr std::size_t kListMax = 1'000;
constexpr std::chrono::seconds kReadAgain{5};  // a month of usage may take longer, mostly it does not

std::string_view left_name(LimitKind kind) {
  return kind == LimitKind::rate ? "now" : kind == LimitKind::day_quota ? "this_day" : "this_month";
}

// {"requests":{"now":99,"this_day":5},...}: the names of what is limited, with what is left of it.
void write_left(JsonWriter& json, const std::vector<Standing>& standings, bool of_tenant) {
  json.begin_object();
  for (const Measure measure : kAllMeasures) {
    bool any = false;
    for (const Standing& s : standings) {
      if (s.measure != measure || s.of_tenant != of_tenant) continue;
      if (!std::exchange(any, true)) json.name(measure_name(measure)).begin_object();
      json.field(left_name(s.kind), s.left);
    }
    if (any) json.end_object();
  }
}

std::uint64_t streams_of(const ApiContext& context, const std::string& tenant) {
  std::uint64_t n = 0;
  for (const auto& stream : context.engine.list(tenant)) n += !stream->name().starts_with('_');
  return n;
}

void write_rest(JsonWriter& json, std::string_view name, std::optional<std::uint64_t> most, std::uint64_t used) {
  if (most) json.field(name, *most - std::min(*most, used));
}

// The caller ends the object.
void write_owner(JsonWriter& json, const ApiContext& context, const LimitOwner& owner, const std::string& tenant) {
  Limiter& limiter = *context.limiter;
  const auto limits = limiter.find(owner);
  const LimitSet none;
  const LimitSet& set = limits ? *limits : none;
  json.begin_object();
  owner.key ? json.field("key", to_text(*owner.key)) : json.field("tenant", owner.tenant);
  json.name("limits");
  write_limits(json, set);
  std::vector<Standing> standings;
  limiter.standings(owner.key, tenant, standings);
  json.name("left");
  write_left(json, standings, !owner.key);
  const Limiter::Used used = limiter.used(owner);
  write_rest(json, "connections", set.connections, used.connections);
  if (set.streams) write_rest(json, "streams", set.streams, streams_of(context, tenant));
  write_rest(json, "disk_bytes", set.disk_bytes, used.disk_bytes);
  json.end_object();
}

std::string shown(ApiContext& context, const LimitOwner& owner, const std::string& tenant) {
  std::string out;
  JsonWriter json(out);
  write_owner(json, context, owner, tenant);
  json.end_object();
  return out;
}

}  // namespace

bool LimitRoutes::refuse(http::Responder& responder) const {
  const bool draining = context_.draining.load();
  if (!draining && context_.limiter != nullptr) return false;
  responder.send(draining ? problem(ErrorId::draining)
                          : problem(ErrorId::not_supported, "This server was started without limits."));
  return true;
}

std::optional<LimitOwner> LimitRoutes::key_of(const Call& call, http::Responder& responder, For what,
                                              std::string* tenant) const {
  if (refuse(responder)) return std::nullopt;
  const auto id = parse_key_id(call.params[0]);
  const auto key = id && keys_ ? keys_->find(*id) : std::nullopt;
  if (!key || (key->tenant != call.who->tenant && !call.who->may(Action::admin, Thing::instance))) {
    responder.send(problem(ErrorId::key_not_found));
    return std::nullopt;
  }
  // A limit can shut a key out as well as revoking it does: the operator's is not another's to limit.
  if (what == For::change && !may_give_all(*call.who, *key)) {
    responder.send(forbid(context_, call, scope_text(Thing::instance, Action::admin)));
    return std::nullopt;
  }
  if (tenant) *tenant = key->tenant;
  return LimitOwner{*id, key->tenant};
}

std::optional<LimitOwner> LimitRoutes::tenant_of(const Call& call, http::Responder& responder) const {
  if (refuse(responder)) return std::nullopt;
  if (!valid_tenant_name(call.params[0])) {
    responder.send(
        problem(ErrorId::invalid_parameter, "A tenant's name is 1 to 63 of a-z 0-9 and -, and does not begin with -."));
    return std::nullopt;
  }
  return LimitOwner{std::nullopt, call.params[0]};
}

void LimitRoutes::mine(Call& call, http::Responder responder) {
  if (refuse(responder)) return;
  // Not limited itself, so it must be cheap: all of it is in memory, and no worker is kept from others' requests.
  const std::string& tenant = call.who->tenant;
  std::string out = "{\"key\":";
  out += call.key ? shown(context_, {call.key, {}}, tenant) : "null";
  out += ",\"tenant\":" + shown(context_, {std::nullopt, tenant}, tenant) + "}";
  responder.send(private_json(std::move(out)));
}

void LimitRoutes::get_key(Call& call, http::Responder responder) {
  std::string tenant;
  const auto owner = key_of(call, responder, For::show, &tenant);
  if (!owner) return;
  answer_on(context_.management, std::move(responder),
            [&context = context_, owner = *owner, tenant](http::Responder r) {
              r.send(private_json(shown(context, owner, tenant)));
            });
}

void LimitRoutes::get_tenant(Call& call, http::Responder responder) {
  const auto owner = tenant_of(call, responder);
  if (!owner) return;
  answer_on(context_.management, std::move(responder), [&context = context_, owner = *owner](http::Responder r) {
    r.send(private_json(shown(context, owner, owner.tenant)));
  });
}

void LimitRoutes::put(const LimitOwner& owner, const std::string& tenant, Call& call, http::Responder responder) {
  const auto input = parse_limits(call.request.body, !owner.key);
  if (const auto* wrong = std::get_if<std::string>(&input)) {
    return responder.send(problem(ErrorId::invalid_body, *wrong));
  }
  auto work = [&context = context_, owner, tenant, by = call.key,
               limits = std::get<LimitSet>(input)](http::Responder r) {
    const auto done = limits.empty() ? context.limiter->remove(owner, by) : context.limiter->set(owner, limits, by);
    if (!done) {
      const bool again = done.error() == StorageErrc::throttled;
      return r.send(problem(error_id(done.error()), {}, {}, again ? kReadAgain : std::chrono::seconds(0)));
    }
    r.send(private_json(shown(context, owner, tenant)));
  };
  // A new quota reads what was used of it until now: only who answers for the instance need not wait for that.
  if (call.who->may(Action::admin, Thing::instance))
    return answer_on(context_.management, std::move(responder), std::move(work));
  in_turn(context_.questions, call.who->tenant, std::move(responder), std::move(work));
}

void LimitRoutes::put_key(Call& call, http::Responder responder) {
  std::string tenant;
  if (const auto owner = key_of(call, responder, For::change, &tenant)) put(*owner, tenant, call, std::move(responder));
}

void LimitRoutes::put_tenant(Call& call, http::Responder responder) {
  if (const auto owner = tenant_of(call, responder)) put(*owner, owner->tenant, call, std::move(responder));
}

void LimitRoutes::remove(const LimitOwner& owner, Call& call, http::Responder responder) {
  answer_on(context_.management, std::move(responder), [&context = context_, owner, by = call.key](http::Responder r) {
    if (const auto done = context.limiter->remove(owner, by); !done) return r.send(problem(error_id(done.error())));
    http::Response response;
    response.status = 204;
    r.send(std::move(response));
  });
}

void LimitRoutes::remove_key(Call& call, http::Responder responder) {
  if (const auto owner = key_of(call, responder, For::change, nullptr)) remove(*owner, call, std::move(responder));
}

void LimitRoutes::remove_tenant(Call& call, http::Responder responder) {
  if (const auto owner = tenant_of(call, responder)) remove(*owner, call, std::move(responder));
}

void LimitRoutes::list_keys(Call& call, http::Responder responder) {
  if (refuse(responder)) return;
  std::optional<KeyId> after;
  if (const auto text = call.query.get("from")) {
    after = parse_key_id(*text);
    if (!after)
      return responder.send(problem(ErrorId::invalid_parameter, "`from` is the id of a key, as `next` gives it."));
  }
  std::size_t limit = 100;
  if (const auto text = call.query.get("limit")) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
    if (error != std::errc() || end != text->data() + text->size() || limit < 1 || limit > kListMax)
      return responder.send(problem(ErrorId::invalid_parameter, "`limit` is a number from 1 to 1,000."));
  }
  const bool all = call.who->may(Action::admin, Thing::instance);
  answer_on(context_.management, std::move(responder),
            [&context = context_, keys = keys_, all, tenant = call.who->tenant, after, limit](http::Responder r) {
              std::string out;
              JsonWriter json(out);
              json.begin_object().name("keys").begin_array();
              std::size_t n = 0;
              std::optional<KeyId> at = after;
              bool more = true;
              while (n < limit && more) {
                const auto some = context.limiter->keys(at, kListMax);
                more = some.size() == kListMax;
                for (const auto& [id, limits] : some) {
                  if (n == limit) {
                    more = true;
                    break;
                  }
                  at = id;
                  const auto key = keys ? keys->find(id) : std::nullopt;
                  if (!key || (!all && key->tenant != tenant)) continue;
                  ++n;
                  json.begin_object().field("key", to_text(id)).field("name", key->name);
                  json.field("tenant", key->tenant).name("limits");
                  write_limits(json, *limits);
                  json.end_object();
                }
              }
              json.end_array().name("next");
              more&& at ? json.value(to_text(*at)) : json.null();
              json.end_object();
              r.send(private_json(std::move(out)));
            });
}

void LimitRoutes::list_tenants(Call&, http::Responder responder) {
  if (refuse(responder)) return;
  answer_on(context_.management, std::move(responder), [&context = context_](http::Responder r) {
    std::string out;
    JsonWriter json(out);
    json.begin_object().name("tenants").begin_array();
    for (const auto& [tenant, limits] : context.limiter->tenants()) {
      json.begin_object().field("tenant", tenant).name("limits");
      write_limits(json, *limits);
      json.end_object();
    }
    json.end_array().end_object();
    r.send(private_json(std::move(out)));
  });
}

}  // namespace tidemill

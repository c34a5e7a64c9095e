#include "api/keys/key_routes.h"

#include <charconv>

#include "api/errors/problem.h"
#include "api/json_answer.h"
#include "api/keys/key_input.h"
#include "engine/json/writer.h"
#include "storage/seam/clock.h"

namespace tidemill {
namespace {

constexpr std::size_t kListMax = 1'000;

std::string_view state_name(KeyRecord::State state) {
  return state == KeyRecord::State::active ? "active" : state == KeyRecord::State::expired ? "expired" : "revoked";
}

void write_time(JsonWriter& json, std::string_view name, const std::optional<WallTime>& time) {
  json.name(name);
  time ? json.value(format_rfc3339(*time)) : json.null();
}

// The caller ends the object.
void write_key(JsonWriter& json, const KeyRecord& key, WallTime now) {
  json.begin_object().field("id", to_text(key.id)).field("kind", key_kind_name(key.kind)).field("name", key.name);
  json.field("tenant", key.tenant).name("scopes").begin_array();
  for (const Scope& scope : key.scopes) json.value(scope_text(scope));
  json.end_array().field("state", state_name(key.state(now))).field("created", format_rfc3339(key.created));
  write_time(json, "expires", key.expires);
  write_time(json, "revoked", key.revoked);
  write_time(json, "last_used", key.last_used);
  write_time(json, "older_until", key.older_until && *key.older_until > now ? key.older_until : std::nullopt);
  json.name("certificates").begin_array();
  for (const KeyCertificate& c : key.certificates) {
    json.begin_object().field("sha256", hex_of(c.sha256)).field("subject", c.subject);
    json.field("expires", format_rfc3339(c.expires)).field("bound", format_rfc3339(c.bound)).end_object();
  }
  json.end_array();
}

http::Response key_answer(const KeyRecord& key, WallTime now) {
  std::string out;
  JsonWriter json(out);
  write_key(json, key, now);
  json.end_object();
  return private_json(std::move(out));
}

http::Response issued_answer(const Keys::Issued& issued, WallTime now, int status) {
  std::string out;
  JsonWriter json(out);
  write_key(json, issued.key, now);
  out.reserve(out.size() + 512);  // so that no shorter copy of the secret stays behind
  if (issued.key.kind == KeyKind::api) {
    json.field("key", issued.secret.view());
  } else {
    json.field("access_key_id", issued.access_key).field("secret_access_key", issued.secret.view());
  }
  json.end_object();
  return private_json(std::move(out), status, http::Piece::Content::secret);
}

http::Response key_problem(const ErrorCode& error) {
  if (error == KeyErrc::no_such_key) return problem(ErrorId::key_not_found);
  if (error == KeyErrc::key_ended) return problem(ErrorId::key_ended);
  if (error == KeyErrc::too_many_keys) return problem(ErrorId::too_many_keys);
  if (error == KeyErrc::instance_key_open || error == KeyErrc::instance_key_gone) return problem(ErrorId::instance_key);
  if (error == KeyErrc::certificate_bound) return problem(ErrorId::certificate_bound);
  if (error == KeyErrc::too_many_certificates) return problem(ErrorId::too_many_certificates);
  if (error == KeyErrc::no_such_certificate) return problem(ErrorId::certificate_not_found);
  if (error == KeyErrc::not_for_kind)
    return problem(ErrorId::invalid_body,
                   "Keys of kind aws sign their requests: only those of kind api have certificates.");
  return problem(error_id(error));
}

bool knows(const Principal& who, const KeyRecord& key) {
  return who.tenant == key.tenant || who.may(Action::admin, Thing::instance);
}

}  // namespace

bool may_give_all(const Principal& who, const KeyRecord& key) {
  for (const Scope& scope : key.scopes)
    if (!who.may_give(scope, key.tenant)) return false;
  return true;
}

bool KeyRoutes::refuse(http::Responder& responder) const {
  const bool draining = context_.draining.load();
  if (!draining && keys_ != nullptr) return false;
  responder.send(draining ? problem(ErrorId::draining)
                          : problem(ErrorId::not_supported, "This server was started without keys."));
  return true;
}

std::optional<KeyRecord> KeyRoutes::named(const Call& call) const {
  const auto id = parse_key_id(call.params[0]);
  auto key = id ? keys_->find(*id) : std::nullopt;
  return key && knows(*call.who, *key) ? key : std::nullopt;
}

void KeyRoutes::create(Call& call, http::Responder responder) {
  if (refuse(responder)) return;
  auto input = parse_key_wanted(call.request.body, call.who->tenant);
  if (const auto* error = std::get_if<InputError>(&input)) {
    return responder.send(problem(ErrorId::invalid_body, error->message));
  }
  auto& wanted = std::get<WantedKey>(input);
  if (const std::string fault = fault_of(wanted, context_.env.clock.wall()); !fault.empty()) {
    return responder.send(problem(ErrorId::invalid_body, fault));
  }
  for (const Scope& scope : wanted.scopes) {
    if (call.who->may_give(scope, wanted.tenant)) continue;
    return responder.send(forbid(context_, call, scope_text(Thing::instance, Action::admin)));
  }
  answer_on(context_.management, std::move(responder),
            [&context = context_, keys = keys_, by = call.key, wanted = std::move(wanted)](http::Responder r) {
              // From the first key on nobody gets in without one: it must be able to make the others.
              const bool admin = std::find(wanted.scopes.begin(), wanted.scopes.end(),
                                           Scope{Thing::instance, Action::admin, {}}) != wanted.scopes.end();
              const bool first = !keys->any();
              if (first && (!admin || wanted.kind != KeyKind::api || wanted.expires)) {
                return r.send(problem(ErrorId::invalid_body,
                                      "The first key must be of kind api, have the scope instance:admin and not "
                                      "expire: from then on nobody may make others without one."));
              }
              const auto issued = keys->create(wanted, by);
              if (!issued) return r.send(key_problem(issued.error()));
              if (first) context.wake_tails();  // what anybody could follow until now
              r.send(issued_answer(*issued, context.env.clock.wall(), 201));
            });
}

void KeyRoutes::list(Call& call, http::Responder responder) {
  if (refuse(responder)) return;
  const auto number = [](std::string_view text, std::uint64_t& n) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    return error == std::errc() && end == text.data() + text.size();
  };
  std::optional<KeyId> from;
  std::uint64_t limit = 100;
  const auto bad_from = [] {
    return problem(ErrorId::invalid_parameter, "`from` is the id of a key, as `next` gives it.");
  };
  if (const auto text = call.query.get("from")) {
    from = parse_key_id(*text);
    if (!from) return responder.send(bad_from());
  }
  if (const auto text = call.query.get("limit"); text && (!number(*text, limit) || limit < 1 || limit > kListMax)) {
    return responder.send(problem(ErrorId::invalid_parameter, "`limit` is a number from 1 to 1,000."));
  }
  const std::string tenant = call.who->may(Action::admin, Thing::instance) ? std::string() : call.who->tenant;
  answer_on(context_.management, std::move(responder),
            [&context = context_, keys = keys_, tenant, from, limit, bad_from](http::Responder r) {
              const auto page = keys->list(tenant, from, limit);
              if (!page) return r.send(bad_from());  // also where it is another tenant's
              const WallTime now = context.env.clock.wall();
              std::string out;
              JsonWriter json(out);
              json.begin_object().name("keys").begin_array();
              for (const KeyRecord& key : page->keys) {
                write_key(json, key, now);
                json.end_object();
              }
              json.end_array().name("next");
              page->next ? json.value(to_text(*page->next)) : json.null();
              json.end_object();
              r.send(private_json(std::move(out)));
            });
}

void KeyRoutes::get(Call& call, http::Responder responder) {
  if (refuse(responder)) return;
  const auto key = named(call);
  if (!key) return responder.send(problem(ErrorId::key_not_found));
  responder.send(key_answer(*key, context_.env.clock.wall()));
}

void KeyRoutes::rotate(Call& call, http::Responder responder) {
  if (refuse(responder)) return;
  const auto input = parse_key_rotation(call.request.body);
  if (const auto* error = std::get_if<InputError>(&input)) {
    return responder.send(problem(ErrorId::invalid_body, error->message));
  }
  const auto key = named(call);
  if (!key) return responder.send(problem(ErrorId::key_not_found));
  // Its new secret would be a key with scopes that the one who asks may not give.
  if (!may_give_all(*call.who, *key))
    return responder.send(forbid(context_, call, scope_text(Thing::instance, Action::admin)));
  answer_on(context_.management, std::move(responder),
            [&context = context_, keys = keys_, id = key->id, by = call.key,
             grace = std::get<std::chrono::seconds>(input)](http::Responder r) {
              const auto issued = keys->rotate(id, grace, by);
              if (!issued) return r.send(key_problem(issued.error()));
              context.wake_tails();  // what goes on by an older secret is judged again
              r.send(issued_answer(*issued, context.env.clock.wall(), 200));
            });
}

void KeyRoutes::revoke(Call& call, http::Responder responder) {
  if (refuse(responder)) return;
  const auto key = named(call);
  if (!key) return responder.send(problem(ErrorId::key_not_found));
  if (!may_give_all(*call.who, *key))
    return responder.send(forbid(context_, call, scope_text(Thing::instance, Action::admin)));
  answer_on(context_.management, std::move(responder),
            [&context = context_, keys = keys_, id = key->id, by = call.key](http::Responder r) {
              const auto revoked = keys->revoke(id, by);
              if (!revoked) return r.send(key_problem(revoked.error()));
              context.wake_tails();
              http::Response response;
              response.status = 204;
              r.send(std::move(response));
            });
}

void KeyRoutes::bind(Call& call, http::Responder responder) {
  if (refuse(responder)) return;
  const auto input = parse_key_certificate(call.request.body, context_.env.clock.wall());
  if (const auto* error = std::get_if<InputError>(&input)) {
    return responder.send(problem(ErrorId::invalid_body, error->message));
  }
  const auto key = named(call);
  if (!key) return responder.send(problem(ErrorId::key_not_found));
  // Whoever has the certificate is given all that the key may do.
  if (!may_give_all(*call.who, *key))
    return responder.send(forbid(context_, call, scope_text(Thing::instance, Action::admin)));
  // Certificates are no secret: who could bind one without having it would make another tenant's client their own.
  const auto& certificate = std::get<KeyCertificate>(input);
  const auto peer = call.request.peer ? parse_hash(call.request.peer->sha256) : std::nullopt;
  const bool shown = peer && same_hash(*peer, certificate.sha256);
  const bool of_any_tenant = call.who->may(Action::admin, Thing::instance);
  if (!shown && !of_any_tenant)
    return responder.send(forbid(context_, call, scope_text(Thing::instance, Action::admin)));
  answer_on(
      context_.management, std::move(responder),
      [&context = context_, keys = keys_, id = key->id, by = call.key, of_any_tenant, certificate](http::Responder r) {
        const auto bound = keys->bind(id, certificate, of_any_tenant, by);
        if (!bound) return r.send(key_problem(bound.error()));
        r.send(key_answer(*bound, context.env.clock.wall()));
      });
}

void KeyRoutes::unbind(Call& call, http::Responder responder) {
  if (refuse(responder)) return;
  const auto key = named(call);
  if (!key) return responder.send(problem(ErrorId::key_not_found));
  if (!may_give_all(*call.who, *key))
    return responder.send(forbid(context_, call, scope_text(Thing::instance, Action::admin)));
  const auto sha256 = parse_hash(call.params[1]);
  if (!sha256) return responder.send(problem(ErrorId::certificate_not_found));
  answer_on(context_.management, std::move(responder),
            [&context = context_, keys = keys_, id = key->id, sha256 = *sha256, by = call.key](http::Responder r) {
              const auto unbound = keys->unbind(id, sha256, by);
              if (!unbound) return r.send(key_problem(unbound.error()));
              context.wake_tails();
              http::Response response;
              response.status = 204;
              r.send(std::move(response));
            });
}

}  // namespace tidemill

#include "api/views/view_routes.h"

#include <charconv>

#include "api/errors/problem.h"
#include "api/json_input.h"
#include "api/media_type.h"
#include "api/views/change.h"
#include "api/views/freshness.h"
#include "api/views/key_input.h"
#include "api/views/rows_json.h"
#include "engine/json/writer.h"
#include "storage/base/errors.h"

namespace tidemill {
namespace {

http::Response answer(std::string body, int status = 200) {
  http::Response response;
  response.status = status;
  response.content_type = kJson;
  response.body = std::move(body);
  response.body.push_back('\n');
  return response;
}

// A definition that cannot be used, with the sentence that says why.
http::Response view_problem(const views::SqlError& error) {
  return problem(error_id(error.code), error.message);
}

// The caller ends the object.
void write_view(JsonWriter& json, ApiContext& context, views::Views& views, const views::ViewInfo& info, bool whole) {
  json.begin_object().field("name", info.name).field("stream", info.stream);
  if (whole) json.field("source", info.source).field("sql", info.sql);
  json.name("columns");
  write_columns(json, info.columns);
  json.name("lineage_from");
  info.lineage ? json.value(info.lineage->value()) : json.null();
  json.field("applied", info.applied.sequence().value()).field("persisted", info.persisted.sequence().value());
  json.field("since", info.since.value()).name("freshness_seconds");
  if (const auto age = freshness_seconds(context, info)) {
    json.value(*age);
  } else {
    json.null();
  }
  json.field("rows", info.rows).field("parked", info.parked);
  write_lookups(json, info);
  json.name("decided").begin_object().field("skipped", info.decided.skipped).field("redriven", info.decided.redriven);
  json.field("edited", info.decided.edited).end_object().name("audit").begin_object();
  json.field("rows", info.audited).field("mismatches", info.audit_mismatches).name("time");
  if (info.audited_at == WallTime()) {
    json.null();
  } else {
    json.value(format_rfc3339(info.audited_at));
  }
  json.end_object().field("ready", info.ready).name("as_of");
  std::string as_of;
  const auto at = views.as_of(info.name);
  append_as_of(as_of, at ? at->value_or(views::AsOf{}) : views::AsOf{});
  json.raw(as_of);
  write_expiry(json, info);
  write_building(json, info);
}

using FoundRow = Result<std::optional<views::Views::GetResult>>;

// Of keys that a text may mean: the row of the first that has one.
template <class Get>
FoundRow first_of(const std::vector<views::Row>& tries, const Get& get) {
  FoundRow found = get(tries.front());
  for (std::size_t i = 1; i < tries.size() && found && *found && !(*found)->row; ++i) found = get(tries[i]);
  return found;
}

bool waits(const FoundRow& found) {
  return !found && found.error() == ErrorCode(EAGAIN, boost::system::generic_category());
}

http::Response row_answer(const FoundRow& found, const std::vector<views::Column>& columns) {
  if (!found) return problem(error_id(found.error()));
  if (!*found) return problem(ErrorId::view_not_found);
  std::string as_of;
  append_as_of(as_of, (*found)->as_of);
  if (!(*found)->row) return problem(ErrorId::no_such_row, {}, ",\"as_of\":" + as_of);
  std::string out("{\"row\":");
  append_row_object(out, columns, *(*found)->row);
  out.append(",\"as_of\":").append(as_of).append("}");
  return answer(std::move(out));
}

}  // namespace

// How far a view is may be asked while it catches up; only who names a token waits.
void ViewRoutes::about(Call& call, http::Responder responder, std::vector<std::string> names, std::string stream,
                       Then then) {
  if (context_.all_views && call.query.get("after")) {
    return when_visible(call, std::move(responder), std::move(names), std::move(stream), std::move(then));
  }
  if (!wait_of(call.query)) return responder.send(problem(ErrorId::invalid_parameter, kWaitSentence));
  then(std::move(responder));
}

void ViewRoutes::list(Call& call, http::Responder responder) {
  about(call, std::move(responder), {}, {},
        [this, who = call.who, views = context_.views_of(*call.who)](http::Responder ready) {
          on_worker(context_, std::move(ready), [&context = context_, who, views](http::Responder r) {
            std::string out;
            JsonWriter json(out);
            json.begin_object().name("views").begin_array();
            if (views) {
              for (const auto& info : views->list()) {
                if (!who->may(Action::see, Thing::view, info.name)) continue;
                write_view(json, context, *views, info, false);
                json.end_object();
              }
            }
            json.end_array().name("failed").begin_array();
            if (views) {
              for (const auto& f : views->failed()) {
                if (!who->may(Action::see, Thing::view, f.name)) continue;
                json.begin_object().field("name", f.name).field("cause", f.cause).end_object();
              }
            }
            json.end_array().end_object();
            r.send(answer(std::move(out)));
          });
        });
}

void ViewRoutes::get(Call& call, http::Responder responder) {
  const std::string name = call.params[0];
  const OwnViews views = context_.views_of(*call.who);
  const auto there = views ? views->find(name) : std::nullopt;
  if (!there) return responder.send(problem(ErrorId::view_not_found));
  about(call, std::move(responder), {name}, there->stream, [this, views, name](http::Responder ready) {
    on_worker(context_, std::move(ready), [&context = context_, views, name](http::Responder r) {
      const auto info = views->find(name);
      if (!info) return r.send(problem(ErrorId::view_not_found));
      std::string out;
      JsonWriter json(out);
      write_view(json, context, *views, *info, true);
      json.end_object();
      r.send(answer(std::move(out)));
    });
  });
}

void ViewRoutes::put(Call& call, http::Responder responder) {
  if (context_.draining.load()) return responder.send(problem(ErrorId::draining));
  const OwnViews views = context_.views_of(*call.who);
  if (!views) return responder.send(problem(ErrorId::view_not_found, "This server has no views."));
  std::string sql;
  if (canonical_type(parse_media_type(call.request.header("Content-Type")).type) == "application/sql") {
    sql = call.request.body;
  } else {
    auto input = parse_view_input(call.request.body);
    if (const auto* error = std::get_if<InputError>(&input)) {
      return responder.send(problem(ErrorId::invalid_body, error->message));
    }
    sql = std::get<std::string>(std::move(input));
  }
  if (auto refusal = refuse_touches(call, views::touches_of_definition(sql))) {
    return responder.send(std::move(*refusal));
  }
  in_turn(context_.questions, call.who->tenant, std::move(responder),
          [&context = context_, views, name = call.params[0], sql = std::move(sql)](http::Responder r) {
            using Did = views::ViewChange::Did;
            const auto defined = views->define(name, sql);
            if (const auto* error = std::get_if<views::SqlError>(&defined)) return r.send(view_problem(*error));
            const auto& change = std::get<views::ViewChange>(defined);
            if (!change.view) return r.send(problem(ErrorId::view_not_found));  // ALTER VIEW IF EXISTS
            std::string out;
            JsonWriter json(out);
            write_view(json, context, *views, *change.view, true);
            const bool aside = change.did == Did::building && change.view->building;
            write_findings(json, change.warnings, change.trial ? &*change.trial : nullptr,
                           aside ? change.view->building->columns : change.view->columns);
            json.end_object();
            r.send(answer(std::move(out), change.did == Did::created ? 201 : change.did == Did::building ? 202 : 200));
          });
}

void ViewRoutes::remove(Call& call, http::Responder responder) {
  if (context_.draining.load()) return responder.send(problem(ErrorId::draining));
  const OwnViews views = context_.views_of(*call.who);
  if (!views) return responder.send(problem(ErrorId::view_not_found));
  in_turn(context_.questions, call.who->tenant, std::move(responder),
          [views, name = call.params[0]](http::Responder r) {
            const auto dropped = views->drop(name);
            if (const auto* error = std::get_if<views::SqlError>(&dropped))
              return r.send(problem(error_id(error->code), error->message));
            if (!std::get<bool>(dropped)) return r.send(problem(ErrorId::view_not_found));
            http::Response response;
            response.status = 204;
            r.send(std::move(response));
          });
}

void ViewRoutes::verify(Call& call, http::Responder responder) {
  if (context_.draining.load()) return responder.send(problem(ErrorId::draining));
  const OwnViews views = context_.views_of(*call.who);
  if (!views || !views->find(call.params[0])) {
    return responder.send(problem(ErrorId::view_not_found));
  }
  in_turn(context_.questions, call.who->tenant, std::move(responder),
          [views, name = call.params[0]](http::Responder r) {
            const auto differences = views->rebuild_and_compare(name);
            if (!differences) return r.send(problem(error_id(differences.error())));
            const auto at = views->as_of(name);
            std::string as_of;
            append_as_of(as_of, at ? at->value_or(views::AsOf{}) : views::AsOf{});
            std::string out;
            JsonWriter json(out);
            json.begin_object().field("view", name).name("as_of");
            json.raw(as_of).field("difference_count", static_cast<std::uint64_t>(differences->size()));
            if (const auto info = views->find(name)) write_lookups(json, *info);
            json.name("differences").begin_array();
            std::size_t shown = 0;
            for (const auto& d : *differences) {
              if (++shown > 100) break;
              json.begin_object().field("key", d.key).field("live", d.live).field("rebuilt", d.rebuilt).end_object();
            }
            json.end_array().end_object();
            r.send(answer(std::move(out)));
          });
}

void ViewRoutes::read_row(Call& call, http::Responder responder, const std::string& view, std::string_view raw_key) {
  const OwnViews views = context_.views_of(*call.who);
  const auto info = views ? views->find(view) : std::nullopt;
  if (!info) return responder.send(problem(ErrorId::view_not_found));
  std::vector<views::Row> tries = key_of(call, *info, raw_key);
  if (tries.empty()) return responder.send(problem(ErrorId::invalid_key));
  if (call.query.get("at")) return read_past(call, std::move(responder), *info, std::move(tries));
  when_visible(call, std::move(responder), {view}, info->stream,
               [this, views, view, columns = info->columns, tries = std::move(tries)](http::Responder ready) {
                 // Most rows are in memory: to hand the request over, and its answer back, takes longer than to answer.
                 auto found = first_of(tries, [&](const auto& key) { return views->get_in_memory(view, key); });
                 if (!waits(found)) return ready.send(row_answer(found, columns));
                 on_worker(context_, std::move(ready), [views, view, columns, tries](http::Responder r) {
                   r.send(row_answer(first_of(tries, [&](const auto& key) { return views->get(view, key); }), columns));
                 });
               });
}

void ViewRoutes::row(Call& call, http::Responder responder) {
  read_row(call, std::move(responder), call.params[0], call.raw_params[1]);
}

void ViewRoutes::short_form(const char* view, Call& call, http::Responder responder) {
  read_row(call, std::move(responder), view, call.raw_params[0]);
}

void ViewRoutes::rows(Call& call, http::Responder responder) {
  const std::string view = call.params[0];
  const OwnViews views = context_.views_of(*call.who);
  const auto info = views ? views->find(view) : std::nullopt;
  if (!info) return responder.send(problem(ErrorId::view_not_found));
  if (call.query.get("key")) {
    for (const char* name : {"prefix", "from", "to", "limit", "cursor"}) {
      if (!call.query.get(name)) continue;
      return responder.send(problem(ErrorId::invalid_parameter,
                                    "`key` names one row, `" + std::string(name) + "` is for many; send either."));
    }
    return read_row(call, std::move(responder), view, {});
  }
  if (refuse_at(call, responder)) return;
  auto bounds = bounds_of(*info, call.query);
  if (!bounds) return responder.send(problem(ErrorId::invalid_key));
  views::RangeOptions options = std::move(*bounds);
  if (const auto cursor = call.query.get("cursor")) options.cursor = *cursor;
  if (const auto limit = call.query.get("limit")) {
    const auto [end, error] = std::from_chars(limit->data(), limit->data() + limit->size(), options.limit);
    if (error != std::errc() || end != limit->data() + limit->size() || options.limit < 1 || options.limit > 10'000) {
      return responder.send(problem(ErrorId::invalid_parameter, "`limit` is a number from 1 to 10,000."));
    }
  }
  when_visible(call, std::move(responder), {view}, info->stream,
               [this, tenant = call.who->tenant, views, view, columns = info->columns,
                options = std::move(options)](http::Responder ready) {
                 in_turn(
                     context_.questions, tenant, std::move(ready), [views, view, columns, options](http::Responder r) {
                       const auto found = views->range(view, options);
                       if (!found) {
                         const bool cursor = !options.cursor.empty() && found.error() == StorageErrc::invalid_argument;
                         return r.send(problem(cursor ? ErrorId::invalid_cursor : error_id(found.error())));
                       }
                       if (!*found) return r.send(problem(ErrorId::view_not_found));
                       std::string out("{\"rows\":[");
                       bool first = true;
                       for (const auto& row : (*found)->rows) {
                         if (!std::exchange(first, false)) out.push_back(',');
                         append_row_object(out, columns, row);
                       }
                       out.append("],\"cursor\":");
                       if ((*found)->cursor.empty()) {
                         out.append("null");
                       } else {
                         append_json_string(out, (*found)->cursor);
                       }
                       out.append(",\"as_of\":");
                       append_as_of(out, (*found)->as_of);
                       out.push_back('}');
                       r.send(answer(std::move(out)));
                     });
               });
}

}  // namespace tidemill

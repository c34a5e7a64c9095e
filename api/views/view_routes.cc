#include "api/views/view_routes.h"

#include <charconv>
#include <cmath>

#include "api/errors/problem.h"
#include "api/json_input.h"
#include "api/media_type.h"
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

void write_view(JsonWriter& json, views::Views& views, const views::ViewInfo& info, bool whole) {
  json.begin_object().field("name", info.name).field("stream", info.stream);
  if (whole) json.field("source", info.source).field("sql", info.sql);
  json.name("columns").begin_array();
  for (const views::Column& c : info.columns) {
    json.begin_object().field("name", c.name).field("type", c.type).field("key", c.key).end_object();
  }
  json.end_array();
  json.field("applied", info.applied.sequence().value()).field("persisted", info.persisted.sequence().value());
  json.field("since", info.since.value());
  json.field("rows", info.rows).field("parked", info.parked).field("ready", info.ready).name("as_of");
  std::string as_of;
  const auto at = views.as_of(info.name);
  append_as_of(as_of, at ? at->value_or(views::AsOf{}) : views::AsOf{});
  json.raw(as_of).end_object();
}

// Text of a path or a query as a value of the column's type. nullopt: it is none.
std::optional<views::Value> typed(const std::string& type, const std::string& text) {
  if (type == "integer") {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return views::Value(n);
  }
  if (type == "real") {
    double d = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), d);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(d)) return std::nullopt;
    return views::Value(d);
  }
  return views::Value(text);
}

std::vector<const views::Column*> key_columns(const views::ViewInfo& info) {
  std::vector<const views::Column*> keys;
  for (const views::Column& c : info.columns) {
    if (c.key) keys.push_back(&c);
  }
  return keys;
}

// Values joined by commas; each is percent-decoded if the text is still as sent. Or a JSON array.
std::optional<views::Row> key_of(const views::ViewInfo& info, std::string_view text, bool encoded) {
  if (!encoded && text.starts_with('[')) {
    auto input = parse_key_input(text);
    if (auto* row = std::get_if<views::Row>(&input)) return std::move(*row);
    return std::nullopt;
  }
  const auto keys = key_columns(info);
  views::Row row;
  for (std::size_t i = 0;; ++i) {
    if (i >= std::max(keys.size(), info.key_columns)) return std::nullopt;
    const std::size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    auto decoded = encoded ? http::percent_decode(part) : std::string(part);
    if (!decoded) return std::nullopt;
    auto value = typed(i < keys.size() ? keys[i]->type : "text", *decoded);
    if (!value) return std::nullopt;
    row.push_back(std::move(*value));
    if (comma == std::string_view::npos) return row;
    text.remove_prefix(comma + 1);
  }
}

// Where a key column may hold text and numbers, `2011` in a path may mean either: what is looked for, text first.
std::vector<views::Row> meanings(const views::ViewInfo& info, const views::Row& key) {
  std::vector<views::Row> rows{key};
  const auto keys = key_columns(info);
  for (std::size_t i = 0; i < key.size() && rows.size() <= 8; ++i) {
    const auto* text = std::get_if<std::string>(&key[i]);
    if (!text || i >= keys.size() || keys[i]->type != "any") continue;
    auto number = typed("integer", *text);
    if (!number) number = typed("real", *text);
    if (!number) continue;
    for (std::size_t n = rows.size(), r = 0; r < n; ++r) {
      rows.push_back(rows[r]);
      rows.back()[i] = *number;
    }
  }
  return rows;
}

}  // namespace

// How far a view is may be asked while it catches up; only who names a token waits.
void ViewRoutes::about(Call& call, http::Responder responder, std::vector<std::string> names, std::string stream,
                       Then then) {
  if (context_.views && call.query.get("after")) {
    return when_visible(call, std::move(responder), std::move(names), std::move(stream), std::move(then));
  }
  if (!wait_of(call.query)) return responder.send(problem(ErrorId::invalid_parameter, kWaitSentence));
  then(std::move(responder));
}

void ViewRoutes::list(Call& call, http::Responder responder) {
  about(call, std::move(responder), {}, {}, [this](http::Responder ready) {
    on_worker(context_, std::move(ready), [&context = context_](http::Responder r) {
      std::string out;
      JsonWriter json(out);
      json.begin_object().name("views").begin_array();
      if (context.views) {
        for (const auto& info : context.views->list()) write_view(json, *context.views, info, false);
      }
      json.end_array().name("failed").begin_array();
      if (context.views) {
        for (const auto& f : context.views->failed()) {
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
  const auto there = context_.views ? context_.views->find(name) : std::nullopt;
  if (!there) return responder.send(problem(ErrorId::view_not_found));
  about(call, std::move(responder), {name}, there->stream, [this, name](http::Responder ready) {
    on_worker(context_, std::move(ready), [&context = context_, name](http::Responder r) {
      const auto info = context.views->find(name);
      if (!info) return r.send(problem(ErrorId::view_not_found));
      std::string out;
      JsonWriter json(out);
      write_view(json, *context.views, *info, true);
      r.send(answer(std::move(out)));
    });
  });
}

void ViewRoutes::put(Call& call, http::Responder responder) {
  if (context_.draining.load()) return responder.send(problem(ErrorId::draining));
  if (!context_.views) return responder.send(problem(ErrorId::view_not_found, "This server has no views."));
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
  on_worker(context_, std::move(responder),
            [&context = context_, name = call.params[0], sql = std::move(sql)](http::Responder r) {
              if (const auto existing = context.views->find(name)) {
                if (existing->sql != sql && existing->source != sql) return r.send(problem(ErrorId::view_exists));
                std::string out;
                JsonWriter json(out);
                write_view(json, *context.views, *existing, true);
                return r.send(answer(std::move(out)));
              }
              const auto made = context.views->create(name, sql);
              if (const auto* error = std::get_if<views::SqlError>(&made)) return r.send(view_problem(*error));
              std::string out;
              JsonWriter json(out);
              write_view(json, *context.views, std::get<views::ViewInfo>(made), true);
              r.send(answer(std::move(out), 201));
            });
}

void ViewRoutes::remove(Call& call, http::Responder responder) {
  if (context_.draining.load()) return responder.send(problem(ErrorId::draining));
  if (!context_.views) return responder.send(problem(ErrorId::view_not_found));
  on_worker(context_, std::move(responder), [&context = context_, name = call.params[0]](http::Responder r) {
    const auto dropped = context.views->drop(name);
    if (!dropped) return r.send(problem(error_id(dropped.error())));
    if (!*dropped) return r.send(problem(ErrorId::view_not_found));
    http::Response response;
    response.status = 204;
    r.send(std::move(response));
  });
}

void ViewRoutes::verify(Call& call, http::Responder responder) {
  if (context_.draining.load()) return responder.send(problem(ErrorId::draining));
  if (!context_.views || !context_.views->find(call.params[0])) {
    return responder.send(problem(ErrorId::view_not_found));
  }
  on_worker(context_, std::move(responder), [&context = context_, name = call.params[0]](http::Responder r) {
    const auto differences = context.views->rebuild_and_compare(name);
    if (!differences) return r.send(problem(error_id(differences.error())));
    const auto at = context.views->as_of(name);
    std::string as_of;
    append_as_of(as_of, at ? at->value_or(views::AsOf{}) : views::AsOf{});
    std::string out;
    JsonWriter json(out);
    json.begin_object().field("view", name).name("as_of");
    json.raw(as_of).field("difference_count", static_cast<std::uint64_t>(differences->size()));
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
  const auto info = context_.views ? context_.views->find(view) : std::nullopt;
  if (!info) return responder.send(problem(ErrorId::view_not_found));
  const auto json_key = call.query.get("key");
  auto key = json_key && raw_key.empty() ? key_of(*info, *json_key, false) : key_of(*info, raw_key, true);
  if (!key || key->size() != info->key_columns) return responder.send(problem(ErrorId::invalid_key));
  const bool spelled_out = json_key && raw_key.empty() && json_key->starts_with('[');
  std::vector<views::Row> tries = spelled_out ? std::vector<views::Row>{std::move(*key)} : meanings(*info, *key);
  when_visible(call, std::move(responder), {view}, info->stream,
               [this, view, columns = info->columns, tries = std::move(tries)](http::Responder ready) {
                 on_worker(context_, std::move(ready), [&context = context_, view, columns, tries](http::Responder r) {
                   auto found = context.views->get(view, tries.front());
                   for (std::size_t i = 1; i < tries.size() && found && *found && !(*found)->row; ++i) {
                     found = context.views->get(view, tries[i]);
                   }
                   if (!found) return r.send(problem(error_id(found.error())));
                   if (!*found) return r.send(problem(ErrorId::view_not_found));
                   std::string as_of;
                   append_as_of(as_of, (*found)->as_of);
                   if (!(*found)->row) return r.send(problem(ErrorId::no_such_row, {}, ",\"as_of\":" + as_of));
                   std::string out("{\"row\":");
                   append_row_object(out, columns, *(*found)->row);
                   out.append(",\"as_of\":").append(as_of).append("}");
                   r.send(answer(std::move(out)));
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
  const auto info = context_.views ? context_.views->find(view) : std::nullopt;
  if (!info) return responder.send(problem(ErrorId::view_not_found));
  if (call.query.get("key")) {
    for (const char* name : {"prefix", "from", "to", "limit", "cursor"}) {
      if (!call.query.get(name)) continue;
      return responder.send(problem(ErrorId::invalid_parameter,
                                    "`key` names one row, `" + std::string(name) + "` is for many; send either."));
    }
    return read_row(call, std::move(responder), view, {});
  }
  views::RangeOptions options;
  if (const auto prefix = call.query.get("prefix")) options.prefix = std::string(*prefix);
  for (const bool lower : {true, false}) {
    const auto text = call.query.get(lower ? "from" : "to");
    if (!text) continue;
    auto key = key_of(*info, *text, false);
    if (!key || key->size() > info->key_columns) return responder.send(problem(ErrorId::invalid_key));
    (lower ? options.from : options.to) = std::move(*key);
  }
  if (const auto cursor = call.query.get("cursor")) options.cursor = *cursor;
  if (const auto limit = call.query.get("limit")) {
    const auto [end, error] = std::from_chars(limit->data(), limit->data() + limit->size(), options.limit);
    if (error != std::errc() || end != limit->data() + limit->size() || options.limit < 1 || options.limit > 10'000) {
      return responder.send(problem(ErrorId::invalid_parameter, "`limit` is a number from 1 to 10,000."));
    }
  }
  when_visible(call, std::move(responder), {view}, info->stream,
               [this, view, columns = info->columns, options = std::move(options)](http::Responder ready) {
                 on_worker(
                     context_, std::move(ready), [&context = context_, view, columns, options](http::Responder r) {
                       const auto found = context.views->range(view, options);
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

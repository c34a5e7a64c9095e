#include "api/streams/streams.h"

#include <algorithm>

#include "api/errors/problem.h"
#include "api/json_input.h"
#include "api/limits/new_stream.h"
#include "api/streams/derived.h"
#include "engine/json/writer.h"
#include "storage/base/text.h"
#include "storage/log/pond.h"

namespace tidemill {
namespace {

std::string_view type_name(FieldType type) {
  return type == FieldType::integer ? "integer" : type == FieldType::number ? "number" : "text";
}

// How many keyed requests a client may count on: fewer than is allowed where there was no room for more.
std::uint64_t keys_remembered(const LogOptions& options, std::string_view stream) {
  if (options.pond) {
    for (const auto& use : options.pond->requests.uses()) {
      if (use.name == stream && use.cut) return use.keys;
    }
  }
  return options.request_window;
}

void write_stream(JsonWriter& json, const ApiContext& context, const Stream& stream, const Principal& who, bool whole) {
  const StreamDefinition& d = stream.definition();
  const LogStatus status = stream.log().status();
  json.begin_object().field("name", d.name).field("partition_key", d.partition_key);
  json.name("fields").begin_object();
  for (const auto& [name, type] : d.fields) json.field(name, type_name(type));
  json.end_object();
  json.name("archive").begin_object().field("enabled", d.archive.enabled);
  json.field("size_bytes", d.archive.size_bytes);
  json.field("age_seconds", static_cast<double>(d.archive.age.count()) / 1000).end_object();
  json.name("retention").begin_object().name("age_seconds");
  if (d.retention.age) {
    json.value(static_cast<double>(d.retention.age->count()) / 1000);
  } else {
    json.null();
  }
  json.name("size_bytes");
  if (d.retention.size_bytes) {
    json.value(*d.retention.size_bytes);
  } else {
    json.null();
  }
  json.field("wait_for_groups", d.retention.wait_for_groups);
  {
    const RetentionStatus now = context.engine.retention(stream);
    const auto sentence = [&](std::string_view name, const std::string& text) {
      json.name(name);
      if (text.empty()) {
        json.null();
      } else {
        json.value(text);
      }
    };
    sentence("paused", now.paused);
    sentence("held", now.held);
    json.name("groups_at_risk").begin_array();
    for (const std::string& group : now.at_risk) json.value(group);
    json.end_array().field("removed_records", now.removed_records).field("lost_records", now.lost_records);
  }
  json.end_object();
  if (whole) {
    json.name("shards").begin_array();
    for (const ShardDefinition& shard : d.shards) write_shard(json, shard);
    json.end_array();
    json.field("idempotency_keys", keys_remembered(context.engine.options().log, stream.title()));
    json.name("views").begin_array();
    if (context.all_views) {
      for (const auto& view : context.all_views->of(d.tenant)->reading(d.name))
        if (who.may(Action::see, Thing::view, view)) json.value(view);
    }
    json.end_array();
  } else {
    const auto table = stream.shards().now().table;
    json.field("shards", static_cast<std::uint64_t>(table->open()));
    json.field("closed_shards", static_cast<std::uint64_t>(table->all().size() - table->open()));
  }
  write_derived(json, context, stream);
  json.field("created", format_rfc3339(d.created));
  json.field("first_sequence", status.start.value()).field("last_sequence", status.durable.value());
  json.field("bytes", status.bytes).field("accepting", status.accepting);
  json.name("last_time");
  if (status.durable.value() == 0) {
    json.null();
  } else {
    json.value(format_rfc3339(status.last_time));
  }
  json.name("lost").begin_array();
  for (const LostRange& lost : status.damage) {
    json.begin_object().field("first", lost.first.value()).field("last", lost.last.value()).end_object();
  }
  json.end_array().end_object();
}

http::Response answer(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.content_type = kJson;
  response.body = std::move(body);
  response.body.push_back('\n');
  return response;
}

void write_seconds(JsonWriter& json, std::string_view name, std::optional<double> seconds) {
  json.name(name);
  if (seconds) {
    json.value(*seconds);
  } else {
    json.null();
  }
}

void write_group(JsonWriter& json, const GroupStatus& g) {
  json.begin_object().field("name", g.name).field("stream", g.stream).field("consumer", g.consumer);
  json.field("applied", g.applied.sequence().value()).field("persisted", g.persisted.sequence().value());
  json.field("durable", g.durable.value()).field("lag_records", g.lag_records);
  write_seconds(json, "lag_seconds", g.lag_seconds);
  json.field("retries", g.retries).name("last_error");
  if (g.last_error.empty()) {
    json.null();
  } else {
    json.begin_object().field("message", g.last_error).field("time", format_rfc3339(g.last_error_time)).end_object();
  }
  json.name("shards").begin_array();
  for (const GroupShardStatus& s : g.shards) {
    json.begin_object().field("shard", s.shard.value()).field("applied", s.applied.sequence().value());
    json.field("persisted", s.persisted.sequence().value());
    json.field("lag_records", s.lag_records);
    write_seconds(json, "lag_seconds", s.lag_seconds);
    json.name("last_error");
    if (s.last_error.empty())
      json.null();
    else
      json.value(s.last_error);
    json.end_object();
  }
  json.end_array().end_object();
}

}  // namespace

void Streams::list(Call& call, http::Responder responder) {
  on_worker(context_, std::move(responder), [&context = context_, who = call.who](http::Responder r) {
    std::string out;
    JsonWriter json(out);
    json.begin_object().name("streams").begin_array();
    for (const auto& stream : context.engine.list(who->tenant))
      if (who->may(Action::see, Thing::stream, stream->name())) write_stream(json, context, *stream, *who, false);
    json.end_array().end_object();
    r.send(answer(200, std::move(out)));
  });
}

void Streams::get(Call& call, http::Responder responder) {
  on_worker(context_, std::move(responder),
            [&context = context_, name = call.params[0], who = call.who](http::Responder r) {
              const auto stream = context.stream_of(*who, name);
              if (!stream) return r.send(problem(ErrorId::stream_not_found));
              std::string out;
              JsonWriter json(out);
              write_stream(json, context, *stream, *who, true);
              r.send(answer(200, std::move(out)));
            });
}

void Streams::put(Call& call, http::Responder responder) {
  if (context_.draining.load()) return responder.send(problem(ErrorId::draining));
  answer_on(context_.changes, std::move(responder),
            [&context = context_, name = call.params[0], body = std::string(call.request.body),
             who = call.who](http::Responder r) {
              if (!valid_stream_name(name) || is_reserved_stream(name)) {
                return r.send(problem(ErrorId::invalid_stream_name));
              }
              const auto input = parse_stream_input(body);
              if (const auto* error = std::get_if<InputError>(&input)) {
                return r.send(problem(ErrorId::invalid_body, error->message));
              }
              const auto& in = std::get<StreamInput>(input);
              const auto existing = context.stream_of(*who, name);
              StreamDefinition d;
              if (existing) d = existing->definition();
              d.tenant = who->tenant;
              d.name = name;
              if (in.partition_key) d.partition_key = *in.partition_key;
              if (in.fields) d.fields = *in.fields;
              if (in.archive_enabled) d.archive.enabled = *in.archive_enabled;
              if (in.archive_size_bytes) d.archive.size_bytes = *in.archive_size_bytes;
              if (in.archive_age) d.archive.age = *in.archive_age;
              if (in.retention_age) d.retention.age = *in.retention_age;
              if (in.retention_size_bytes) d.retention.size_bytes = *in.retention_size_bytes;
              if (in.retention_wait_for_groups) d.retention.wait_for_groups = *in.retention_wait_for_groups;
              if (existing && in.shards) {
                const auto open = std::count_if(d.shards.begin(), d.shards.end(), [](const auto& s) { return s.open; });
                if (static_cast<std::uint32_t>(open) != *in.shards) {
                  return r.send(problem(ErrorId::stream_exists,
                                        "The number of shards of a stream that exists is changed by splits and "
                                        "merges, not by PUT."));
                }
              }
              NewStream gate(context, who->tenant);
              if (!existing) {
                if (auto refusal = gate.refuse()) return r.send(std::move(*refusal));
              }
              auto made = existing ? context.engine.change(d) : context.engine.create(d, in.shards.value_or(4));
              if (!made) return r.send(problem(error_id(made.error())));
              std::string out;
              JsonWriter json(out);
              write_stream(json, context, **made, *who, true);
              r.send(answer(existing ? 200 : 201, std::move(out)));
            });
}

void Streams::remove(Call& call, http::Responder responder) {
  if (context_.draining.load()) return responder.send(problem(ErrorId::draining));
  answer_on(context_.changes, std::move(responder),
            [&context = context_, &records = records_, who = call.who, name = call.params[0]](http::Responder r) {
              const auto stream = context.stream_of(*who, name);
              if (!stream) return r.send(problem(ErrorId::stream_not_found));
              if (is_reserved_stream(name)) return r.send(problem(ErrorId::reserved_stream));
              if (const OwnViews views = context.views_of(*who)) {
                if (const auto readers = views->reading(name); !readers.empty()) {
                  std::string members;
                  JsonWriter json(members);
                  json.begin_array();
                  for (const auto& view : readers) json.value(view);
                  json.end_array();
                  std::string names;
                  for (const auto& view : readers) names.append(names.empty() ? "" : ", ").append(view);
                  return r.send(problem(ErrorId::stream_in_use, "Views over this stream: " + names + ".",
                                        ",\"views\":" + members));
                }
              }
              if (const auto streams = context.engine.derived_from(stream->definition().id); !streams.empty()) {
                std::string members;
                JsonWriter json(members);
                json.begin_array();
                std::string names;
                for (const auto& reader : streams) {
                  json.value(reader);
                  names.append(names.empty() ? "" : ", ").append(reader);
                }
                json.end_array();
                return r.send(problem(ErrorId::stream_in_use, "Streams derived from this one: " + names + ".",
                                      ",\"streams\":" + members));
              }
              if (const auto removed = context.engine.remove(stream->qualified_name()); !removed) {
                return r.send(problem(error_id(removed.error())));
              }
              records.wake();
              http::Response response;
              response.status = 204;
              r.send(std::move(response));
            });
}

void Streams::groups(Call& call, http::Responder responder) {
  on_worker(context_, std::move(responder), [&context = context_, who = call.who](http::Responder r) {
    std::string out;
    JsonWriter json(out);
    json.begin_object().name("groups").begin_array();
    for (const GroupStatus& g : context.engine.groups().list(who->tenant)) write_group(json, g);
    json.end_array().end_object();
    r.send(answer(200, std::move(out)));
  });
}

void Streams::group(Call& call, http::Responder responder) {
  on_worker(context_, std::move(responder),
            [&context = context_, who = call.who, name = call.params[0]](http::Responder r) {
              const auto status = context.engine.groups().find({who->tenant, name});
              if (!status) return r.send(problem(ErrorId::group_not_found));
              std::string out;
              JsonWriter json(out);
              write_group(json, *status);
              r.send(answer(200, std::move(out)));
            });
}

// For `tidemill verify` and `tidemill backup`, which look at the files themselves.
void Streams::cut(Call&, http::Responder responder) {
  answer_on(context_.changes, std::move(responder),
            [&context = context_](http::Responder r) { r.send(answer(200, encode_cut(context.engine.cut()))); });
}

}  // namespace tidemill

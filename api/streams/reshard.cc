#include <utility>

#include "api/errors/problem.h"
#include "api/json_input.h"
#include "api/streams/streams.h"
#include "storage/base/text.h"

namespace tidemill {

void write_shard(JsonWriter& json, const ShardDefinition& shard) {
  json.begin_object().field("shard", shard.id.value()).field("first_hash", to_hex(shard.range.first));
  json.field("last_hash", to_hex(shard.range.last)).field("open", shard.open);
  json.name("parents").begin_array();
  for (const ShardId parent : shard.parents) json.value(parent.value());
  json.end_array().field("first_sequence", shard.first_sequence.value()).name("last_sequence");
  if (shard.open) {
    json.null();
  } else {
    json.value(shard.last_sequence.value());
  }
  json.end_object();
}

void Streams::split(Call& call, http::Responder responder) {
  const auto shard = parse_shard(call.params[1]);
  const auto at = parse_split_input(call.request.body);
  if (const auto* error = std::get_if<InputError>(&at))
    return responder.send(problem(ErrorId::invalid_body, error->message));
  if (!shard) return responder.send(problem(ErrorId::shard_not_found));
  reshard(
      {call.who->tenant, call.params[0]},
      [shard = *shard, at = std::get<0>(at)](Engine& engine, const QualifiedName& stream) {
        return engine.split(stream, shard, at);
      },
      std::move(responder));
}

void Streams::merge(Call& call, http::Responder responder) {
  const auto shard = parse_shard(call.params[1]);
  const auto with = parse_merge_input(call.request.body);
  if (const auto* error = std::get_if<InputError>(&with))
    return responder.send(problem(ErrorId::invalid_body, error->message));
  if (!shard) return responder.send(problem(ErrorId::shard_not_found));
  reshard(
      {call.who->tenant, call.params[0]},
      [shard = *shard, with = std::get<0>(with)](Engine& engine, const QualifiedName& stream) {
        return engine.merge(stream, shard, with);
      },
      std::move(responder));
}

void Streams::reshard(QualifiedName stream, Change change, http::Responder responder) {
  if (context_.draining.load()) return responder.send(problem(ErrorId::draining));
  answer_on(context_.changes, std::move(responder),
            [&context = context_, &records = records_, stream = std::move(stream),
             change = std::move(change)](http::Responder r) {
              const auto done = change(context.engine, stream);
              if (!done) return r.send(problem(error_id(done.error())));
              records.wake();  // who tails a closed shard is told so
              const auto table = done->stream->shards().now().table;
              http::Response response;
              response.content_type = kJson;
              JsonWriter json(response.body);
              json.begin_object().field("stream", stream.name).field("at", done->change.at.value());
              json.name("closed").begin_array();
              for (const ShardId id : done->change.closed) write_shard(json, *table->find(id));
              json.end_array().name("opened").begin_array();
              for (const ShardDefinition& shard : done->change.opened) write_shard(json, *table->find(shard.id));
              json.end_array().end_object();
              response.body.push_back('\n');
              r.send(std::move(response));
            });
}

}  // namespace tidemill

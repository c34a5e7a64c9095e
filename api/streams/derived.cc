#include "api/streams/derived.h"

#include "api/errors/problem.h"
#include "api/limits/new_stream.h"
#include "consumers/views/derivation.h"

namespace tidemill {
namespace {

std::string_view name_of(derived::StreamChange::Did did) {
  using enum derived::StreamChange::Did;
  switch (did) {
    case created:
      return "created";
    case exists:
      return "exists";
    case dropped:
      return "dropped";
    case absent:
      return "absent";
    case explained:
      return "explained";
  }
  return {};
}

void write_names(JsonWriter& json, const std::vector<std::string>& names) {
  json.begin_array();
  for (const auto& name : names) json.value(name);
  json.end_array();
}

void write_change(JsonWriter& json, const derived::StreamChange& change) {
  json.begin_object().field("statement", change.statement).field("stream", change.name);
  json.field("result", name_of(change.did));
  if (!change.source.empty()) {
    json.field("source", change.source).name("columns");
    write_names(json, change.columns);
  }
  if (!change.row_statement.empty()) json.field("row_statement", change.row_statement);
  json.name("warnings");
  write_names(json, change.warnings);
  if (change.trial) {
    json.name("trial").begin_object().field("records", change.trial->records).field("made", change.trial->made);
    json.field("parked", change.trial->parked).name("sample").begin_array();
    for (const auto& record : change.trial->sample) json.raw(record);
    json.end_array().end_object();
  }
  json.end_object();
}

// Whatever is wrong with the statement itself is one code.
ErrorId id_of(const views::SqlError& error) {
  if (error.code == "stream_exists") return ErrorId::stream_exists;
  if (error.code == "stream_in_use") return ErrorId::stream_in_use;
  const ErrorId id = error_id(error.code);
  return id == ErrorId::invalid_view ? ErrorId::invalid_sql : id;
}

}  // namespace

std::optional<http::Response> answer_stream_statement(ApiContext& context, const Principal& who, std::string_view sql) {
  if (context.derived == nullptr) return std::nullopt;
  NewStream gate(context, who.tenant);
  if (derived::DerivedStreams::is_change(sql)) {
    const auto wanted = views::read_derivation(sql);  // what drops one is none
    const auto* made = std::get_if<views::Derivation>(&wanted);
    if (made != nullptr && !context.stream_of(who, made->name)) {
      if (auto refusal = gate.refuse()) return refusal;
    }
  }
  const auto done = context.derived->run(who.tenant, sql);
  if (!done) return std::nullopt;
  if (const auto* error = std::get_if<views::SqlError>(&*done)) return problem(id_of(*error), error->message);
  const auto& change = std::get<derived::StreamChange>(*done);
  if (change.did == derived::StreamChange::Did::dropped) context.wake_tails();
  http::Response response;
  response.content_type = kJson;
  JsonWriter json(response.body);
  write_change(json, change);
  response.body.push_back('\n');
  return response;
}

void write_derived(JsonWriter& json, const ApiContext& context, const Stream& stream) {
  json.name("derived");
  const auto& definition = stream.definition().derived;
  if (!definition) {
    json.null();
    return;
  }
  const auto status = context.derived ? context.derived->status(stream) : std::nullopt;
  json.begin_object().field("source", status ? status->source : std::string());
  json.field("from", definition->from.value()).field("sql", definition->sql);
  if (status) {
    json.field("position", status->position.through.value()).field("parked", status->position.parked);
    json.field("lost", status->position.lost).name("latest_parked").begin_array();
    for (const derived::Parked& one : status->latest_parked)
      json.begin_object().field("sequence", one.sequence.value()).field("reason", one.reason).end_object();
    json.end_array();
  }
  json.end_object();
}

}  // namespace tidemill

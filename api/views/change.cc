#include "api/views/change.h"

#include "api/views/rows_json.h"

namespace tidemill {
namespace {

std::string_view name_of(views::ViewChange::Did did) {
  using enum views::ViewChange::Did;
  switch (did) {
    case created:
      return "created";
    case exists:
      return "exists";
    case unchanged:
      return "unchanged";
    case building:
      return "building";
    case dropped:
      return "dropped";
    case absent:
      return "absent";
  }
  return {};
}

void write_names(JsonWriter& json, const std::vector<std::string>& names) {
  json.begin_array();
  for (const auto& name : names) json.value(name);
  json.end_array();
}

void write_trial(JsonWriter& json, const views::Trial& trial, const std::vector<views::Column>& columns) {
  json.begin_object().field("records", trial.records);
  json.field("first_sequence", trial.first.value()).field("last_sequence", trial.last.value());
  json.field("counted", trial.counted).field("late", trial.late).name("fields_without_value").begin_array();
  for (const auto& field : trial.without_value) {
    json.begin_object().field("field", field.field).name("nearest");
    field.nearest.empty() ? json.null() : json.value(field.nearest);
    json.end_object();
  }
  json.end_array().name("columns_without_value");
  write_names(json, trial.null_columns);
  json.field("set_aside", trial.set_aside).name("first_set_aside");
  if (trial.set_aside == 0) {
    json.null();
  } else {
    json.begin_object().field("sequence", trial.set_aside_first.value());
    json.field("reason", trial.set_aside_reason).end_object();
  }
  json.name("sample").begin_array();
  for (const auto& row : trial.sample) {
    std::string text;
    append_row_object(text, columns, row);
    json.raw(text);
  }
  json.end_array().end_object();
}

void write_change(JsonWriter& json, const views::ViewChange& change) {
  json.begin_object().field("statement", change.statement).field("view", change.name);
  json.field("result", name_of(change.did));
  if (change.view) {
    json.name("columns");
    write_columns(json, change.view->columns);
    write_building(json, *change.view);
  }
  write_findings(json, change.warnings, change.trial ? &*change.trial : nullptr,
                 change.view ? change.view->building && !change.view->building->source.empty()
                                   ? change.view->building->columns
                                   : change.view->columns
                             : std::vector<views::Column>());
  json.end_object();
}

void write_explanation(JsonWriter& json, const views::Explanation& e) {
  json.begin_object().field("statement", "EXPLAIN").name("view");
  e.name.empty() ? json.null() : json.value(e.name);
  json.field("exists", e.exists).field("stream", e.stream).name("columns");
  write_columns(json, e.columns);
  json.name("key").begin_array();
  for (const auto& g : e.groups)
    json.begin_object().field("expression", g.text).field("column", g.column).field("type", g.type).end_object();
  json.end_array().name("aggregates").begin_array();
  for (const auto& a : e.aggregates) json.begin_object().field("expression", a.text).field("type", a.type).end_object();
  json.end_array().name("fields");
  write_names(json, e.fields);
  json.field("row_statement", e.row_statement).name("final_statement");
  e.final_statement.empty() ? json.null() : json.value(e.final_statement);
  json.name("expiry");
  e.expiry.empty() ? json.null() : json.value(e.expiry);
  json.field("deterministic", e.lookups.empty()).name("lookups").begin_array();
  for (const auto& l : e.lookups) {
    json.begin_object().field("view", l.view).field("alias", l.alias).field("join", l.optional ? "left" : "cross");
    json.field("reads", l.text).end_object();
  }
  json.end_array();
  write_findings(json, e.warnings, &e.trial, e.columns);
  json.end_object();
}

}  // namespace

void write_columns(JsonWriter& json, const std::vector<views::Column>& columns) {
  json.begin_array();
  for (const views::Column& c : columns) {
    json.begin_object().field("name", c.name).field("type", c.type).field("key", c.key).end_object();
  }
  json.end_array();
}

void write_lookups(JsonWriter& json, const views::ViewInfo& info) {
  json.field("deterministic", info.lookups.empty()).name("lookups");
  write_names(json, info.lookups);
}

void write_expiry(JsonWriter& json, const views::ViewInfo& info) {
  if (!info.expiry) return;
  const views::ViewExpiry& e = *info.expiry;
  json.name("expiry").begin_object().field("rule", e.rule).name("stream_time");
  e.stream_time == WallTime{} ? json.null() : json.value(format_rfc3339(e.stream_time));
  json.field("expired", e.expired).field("late", e.late).end_object();
}

void write_building(JsonWriter& json, const views::ViewInfo& info) {
  if (!info.building) return;
  const views::Building& b = *info.building;
  json.name("building").begin_object();
  if (!b.source.empty()) {
    json.field("source", b.source).name("columns");
    write_columns(json, b.columns);
  }
  json.field("from", b.from.value()).field("at", b.at.value()).field("of", b.of.value());
  json.field("rows", b.rows).field("parked", b.parked).end_object();
}

void write_findings(JsonWriter& json, const std::vector<std::string>& warnings, const views::Trial* trial,
                    const std::vector<views::Column>& columns) {
  json.name("warnings");
  write_names(json, warnings);
  if (trial == nullptr) return;
  json.name("trial");
  write_trial(json, *trial, columns);
}

void write_statement(JsonWriter& json, const views::StatementResult& result) {
  if (const auto* change = std::get_if<views::ViewChange>(&result)) return write_change(json, *change);
  write_explanation(json, std::get<views::Explanation>(result));
}

}  // namespace tidemill

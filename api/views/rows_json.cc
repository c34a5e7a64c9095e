#include "api/views/rows_json.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "engine/json/writer.h"

namespace tidemill {
namespace {

void append_integer(std::string& out, std::int64_t n) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, n).ptr);
}

// 15 significant digits, as SQLite prints them: 22.2 and not 22.200000000000003.
void append_real(std::string& out, double d) {
  char text[40];
  out.append(text, static_cast<std::size_t>(std::snprintf(text, sizeof text, "%.15g", d)));
}

}  // namespace

void append_value(std::string& out, const views::Value& value) {
  if (const auto* n = std::get_if<std::int64_t>(&value)) return append_integer(out, *n);
  if (const auto* d = std::get_if<double>(&value); d && std::isfinite(*d)) return append_real(out, *d);
  if (const auto* s = std::get_if<std::string>(&value)) return append_json_string(out, *s);
  if (const auto* j = std::get_if<views::Json>(&value)) {
    out.append(j->text);
    return;
  }
  out.append("null");
}

void append_row_object(std::string& out, const std::vector<views::Column>& columns, const views::Row& row) {
  out.push_back('{');
  for (std::size_t i = 0; i < row.size() && i < columns.size(); ++i) {
    if (i != 0) out.push_back(',');
    append_json_string(out, columns[i].name);
    out.push_back(':');
    append_value(out, row[i]);
  }
  out.push_back('}');
}

void append_row_array(std::string& out, const views::Row& row) {
  out.push_back('[');
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i != 0) out.push_back(',');
    append_value(out, row[i]);
  }
  out.push_back(']');
}

void append_csv_field(std::string& out, std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out.append(text);
    return;
  }
  out.push_back('"');
  for (const char c : text) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
}

void append_csv_value(std::string& out, const views::Value& value) {
  if (const auto* s = std::get_if<std::string>(&value)) return append_csv_field(out, *s);
  if (const auto* j = std::get_if<views::Json>(&value)) return append_csv_field(out, j->text);
  if (std::holds_alternative<std::monostate>(value)) return;
  if (const auto* d = std::get_if<double>(&value); d && std::isinf(*d)) {
    out.append(*d > 0 ? "Infinity" : "-Infinity");
    return;
  }
  append_value(out, value);
}

void append_as_of(std::string& out, const views::AsOf& as_of) {
  JsonWriter json(out);
  json.begin_object().field("sequence", as_of.position.sequence().value()).name("time");
  if (as_of.time == WallTime{}) {
    json.null();
  } else {
    json.value(format_rfc3339(as_of.time));
  }
  json.name("token");
  if (as_of.token.empty()) {
    json.null();
  } else {
    json.value(as_of.token);
  }
  json.end_object();
}

}  // namespace tidemill

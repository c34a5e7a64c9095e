#include "api/views/sql_writer.h"

#include <set>

#include "api/context.h"
#include "api/views/rows_json.h"
#include "engine/json/writer.h"

namespace tidemill {

SqlWriter::SqlWriter(SqlShape shape, std::vector<views::Column> columns, const views::AsOf& as_of,
                     const views::KeptPoint* point)
    : shape_(shape), columns_(std::move(columns)) {
  append_as_of(as_of_, as_of);
  if (point != nullptr) {
    JsonWriter json(point_);
    json.begin_object().field("number", point->number).field("made", format_rfc3339(point->made)).end_object();
  }
  if (shape_ != SqlShape::ndjson) return;
  // Of an object with one name twice most readers keep one value and say nothing.
  std::set<std::string_view> names;
  for (const auto& c : columns_) {
    if (names.insert(c.name).second) continue;
    refusal_ = "Two columns have the name " + c.name + ": give one another with AS, or ask for JSON or CSV.";
    return;
  }
}

void SqlWriter::begin(std::string& out) const {
  const bool json = shape_ == SqlShape::json;
  if (shape_ == SqlShape::ndjson) return;
  if (json) out.append("{\"columns\":[");
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (i != 0) out.push_back(',');
    if (json) {
      append_json_string(out, columns_[i].name);
    } else {
      append_csv_field(out, columns_[i].name);
    }
  }
  out.append(json ? "],\"rows\":[" : "\r\n");
}

void SqlWriter::row(std::string& out, const views::Row& row) {
  switch (shape_) {
    case SqlShape::json:
      if (any_) out.push_back(',');
      append_row_array(out, row);
      break;
    case SqlShape::ndjson:
      append_row_object(out, columns_, row);
      out.push_back('\n');
      break;
    case SqlShape::csv:
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (i != 0) out.push_back(',');
        append_csv_value(out, row[i]);
      }
      out.append("\r\n");
      break;
  }
  any_ = true;
}

void SqlWriter::end(std::string& out, bool truncated) const {
  if (shape_ != SqlShape::json) return;
  out.append("],\"as_of\":").append(as_of_);
  if (!point_.empty()) out.append(",\"point\":").append(point_);
  if (truncated) out.append(",\"truncated\":true");
  out.append("}\n");
}

std::string_view SqlWriter::content_type() const {
  return shape_ == SqlShape::json ? kJson : shape_ == SqlShape::csv ? kCsv : kNdjson;
}

std::string SqlWriter::headers() const {
  if (shape_ == SqlShape::json) return {};
  return "Tidemill-As-Of: " + as_of_ + "\r\n" + (point_.empty() ? "" : "Tidemill-Point: " + point_ + "\r\n");
}

}  // namespace tidemill

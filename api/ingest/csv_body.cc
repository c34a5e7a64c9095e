#include "api/ingest/csv_body.h"

#include <algorithm>

namespace tidemill {

CsvBody read_csv_body(std::string_view body, csv::Encoding encoding, const csv::FieldTypes& types,
                      const CsvLimits& limits) {
  CsvBody result;
  csv::ObjectReader reader({.row_bytes_max = limits.row_bytes}, encoding, types);
  using Outcome = csv::ObjectReader::Outcome;
  // Behind a quote that is never closed the reader goes back to the next line. A few of them are slips.
  const std::uint64_t scanned_max = std::uint64_t{body.size()} * 8 + std::uint64_t{limits.row_bytes} * 4;
  const auto refuse = [&](ErrorId id, std::string why) {
    result = {};
    result.refused = id;
    result.why = std::move(why);
    return result;
  };
  for (std::uint32_t row = 0;; ++row) {
    const std::size_t before = result.ndjson.size();
    const Outcome outcome = reader.next(body, true, result.ndjson);
    if (outcome == Outcome::failed) return refuse(ErrorId::invalid_body, reader.error().message);
    if (outcome == Outcome::need_more || outcome == Outcome::end) return result;
    if (row == limits.rows) return refuse(ErrorId::too_many_records, {});
    if (reader.made() > limits.json_bytes)
      return refuse(ErrorId::body_too_large,
                    "As JSON, where each record has the names of its columns, the rows are larger than limits.body.");
    if (reader.scanned() > scanned_max)
      return refuse(ErrorId::invalid_body, "Too many rows have a quote that is never closed, the last in line " +
                                               std::to_string(reader.row().line) +
                                               "; a quote inside a quoted field is doubled.");
    if (outcome == Outcome::object) {
      result.ndjson.push_back('\n');
      result.index.push_back(row);
    } else {
      result.ndjson.resize(before);
      result.rejected.push_back({row, static_cast<std::uint16_t>(reader.error().code)});
    }
  }
}

void merge_rejected(const CsvBody& csv, std::vector<RejectedRecord>& rejected) {
  for (RejectedRecord& r : rejected) r.index = csv.index[r.index];
  rejected.insert(rejected.end(), csv.rejected.begin(), csv.rejected.end());
  std::sort(rejected.begin(), rejected.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
}

}  // namespace tidemill

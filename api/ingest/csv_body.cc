#include "api/ingest/csv_body.h"

#include <algorithm>

namespace tidemill {

CsvBody read_csv_body(std::string_view body, csv::Encoding encoding, const csv::FieldTypes& types,
                      std::size_t row_bytes_max) {
  CsvBody result;
  csv::ObjectReader reader({.row_bytes_max = row_bytes_max}, encoding, types);
  using Outcome = csv::ObjectReader::Outcome;
  std::uint32_t row = 0;
  for (;;) {
    const std::size_t before = result.ndjson.size();
    switch (reader.next(body, true, result.ndjson)) {
      case Outcome::object:
        result.ndjson.push_back('\n');
        result.index.push_back(row++);
        break;
      case Outcome::rejected:
        result.ndjson.resize(before);
        result.rejected.push_back({row++, static_cast<std::uint16_t>(reader.error().code)});
        break;
      case Outcome::failed:
        result.failed = reader.error().message;
        return result;
      case Outcome::need_more:
      case Outcome::end:
        return result;
    }
  }
}

void merge_rejected(const CsvBody& csv, std::vector<RejectedRecord>& rejected) {
  for (RejectedRecord& r : rejected) r.index = csv.index[r.index];
  rejected.insert(rejected.end(), csv.rejected.begin(), csv.rejected.end());
  std::sort(rejected.begin(), rejected.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
}

}  // namespace tidemill

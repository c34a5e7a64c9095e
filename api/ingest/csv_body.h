#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/csv/objects.h"
#include "storage/log/append.h"

namespace tidemill {

// A CSV body as NDJSON, for the record parser to judge, and what could not become an object.
struct CsvBody {
  std::string ndjson;
  std::vector<std::uint32_t> index;  // of each line, among all rows
  std::vector<RejectedRecord> rejected;
  std::optional<std::string> failed;  // why the body as a whole cannot be read
};
CsvBody read_csv_body(std::string_view body, csv::Encoding encoding, const csv::FieldTypes& types,
                      std::size_t row_bytes_max);

// Puts the rows that the parser refused, by line, among those refused before it, by row.
void merge_rejected(const CsvBody& csv, std::vector<RejectedRecord>& rejected);

}  // namespace tidemill

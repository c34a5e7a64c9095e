#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/errors/catalogue.h"
#include "engine/csv/objects.h"
#include "storage/log/append.h"

namespace tidemill {

// A CSV body as NDJSON, for the record parser to judge, and what could not become an object.
struct CsvBody {
  std::string ndjson;
  std::vector<std::uint32_t> index;  // of each line, among all rows
  std::vector<RejectedRecord> rejected;
  std::optional<ErrorId> refused;  // the body as a whole is not taken, the rest means nothing:
  std::string why;                 // a sentence
};

struct CsvLimits {
  std::size_t row_bytes = 1 << 20;
  // Of the JSON that is made: each row repeats the names of the header, so that a few bytes of CSV may be a lot of it.
  std::size_t json_bytes = 16 << 20;
  std::uint32_t rows = 200'000;  // rejected ones too
};
// Stops at the first row that is beyond a limit: what it costs is bounded by them and by the size of the body.
CsvBody read_csv_body(std::string_view body, csv::Encoding encoding, const csv::FieldTypes& types,
                      const CsvLimits& limits);

// Puts the rows that the parser refused, by line, among those refused before it, by row.
void merge_rejected(const CsvBody& csv, std::vector<RejectedRecord>& rejected);

}  // namespace tidemill

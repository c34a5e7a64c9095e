#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/csv/objects.h"
#include "tools/cli/load/input.h"

namespace tidemill::cli {

// A file is cut into blocks of rows, and each block into batches by the hash of the rows' key, one for each lane. The
// cut depends on the file alone, never on how many connections there are or where a run was interrupted: so the same
// batch always carries the same idempotency key and the same bytes, and no row can be loaded twice. Hence constants,
// not settings; changing one makes every file new to the servers that have it.
inline constexpr std::uint32_t kLanes = 4;
inline constexpr std::uint64_t kBlockRows = 4'096;
inline constexpr std::size_t kBlockBytes = 2 << 20;  // of JSON; a block ends with the row that reaches it

// A row that did not get in.
struct RejectedRow {
  std::uint64_t line = 0;
  std::string message;
  std::string raw;  // as it stands in the file; kept only where it is asked for
};

struct Batch {
  std::uint64_t block = 0;
  std::uint32_t lane = 0;
  std::string body;  // NDJSON
  std::string idempotency_key;
  std::vector<std::uint64_t> lines;  // of each record
  std::vector<std::string> raw;      // of each record, where it is asked for
};

struct BlockOfRows {
  std::uint64_t number = 0;
  std::uint64_t rows_end = 0;         // rows of the file up to its end
  std::uint64_t line_end = 0;         // the line behind it
  std::uint64_t offset_end = 0;       // the byte behind it
  std::vector<Batch> batches;         // those that are not empty
  std::vector<RejectedRow> rejected;  // what could not be made into JSON
};

class BatchMaker {
 public:
  struct Options {
    csv::Dialect dialect;
    csv::Encoding encoding = csv::Encoding::utf8;
    std::optional<std::string> key_column;  // without one, all rows go down one lane
    std::string file_hash;                  // empty: the input is hashed as it goes
    std::string nonce;                      // --again: makes all keys new
    bool keep_raw = false;
  };
  BatchMaker(LoadInput& input, Options options);

  // Reads the header. False: `error` says what is wrong with it.
  bool begin(std::string& error);
  const std::vector<std::string>& columns() const { return reader_.columns(); }
  std::string_view header() const { return reader_.header(); }
  // After begin(), before the first block.
  void set_types(const csv::FieldTypes& types) { reader_.set_types(types); }
  void set_nonce(std::string nonce) { options_.nonce = std::move(nonce); }
  // After begin(): at the end of a block of an earlier run.
  bool resume(std::uint64_t block, std::uint64_t rows, std::uint64_t line, std::uint64_t offset, std::string& error);

  // False: at the end, or `error` is not empty.
  bool next(BlockOfRows& block, std::string& error);

 private:
  LoadInput& input_;
  Options options_;
  csv::ObjectReader reader_;
  std::optional<std::size_t> key_;
  std::uint64_t block_ = 0;
};

// A header of one column with another delimiter in it says which one was meant: " (--delimiter ';'?)", or nothing.
std::string delimiter_hint(const std::vector<std::string>& columns);

}  // namespace tidemill::cli

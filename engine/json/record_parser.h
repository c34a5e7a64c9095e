#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/rejection.h"
#include "storage/base/time.h"
#include "storage/log/append.h"
#include "storage/log/record.h"

namespace tidemill {

// What a body became: records ready for Append, and what was refused. Owned by the request, for an append needs the
// bytes until it is answered; keep some and use them again, they keep their memory up to kept_bytes.
class ParsedBody {
 public:
  static constexpr std::size_t kept_bytes = 256 << 10;

  // In the body's order; views of this object's memory. Each has key, hash, content and data; arrival as in the
  // options. With an explicit key of the request, all share it.
  std::vector<NewRecord> records;
  // Index (within the body, accepted ones counted too) and Rejection, ascending.
  std::vector<RejectedRecord> rejected;
  // Accepted and refused together.
  std::uint32_t count() const { return static_cast<std::uint32_t>(records.size() + rejected.size()); }

  void clear();
  // For whoever else fills one (CSV): memory for `bytes` more, in one piece, that stays where it is until clear().
  void reserve(std::size_t bytes);
  std::string_view add(std::string_view bytes);  // a copy; room must have been reserved

 private:
  friend class RecordParser;
  char* room() { return memory_.get() + used_; }

  std::unique_ptr<char[]> memory_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

enum class BodyFormat {
  json,    // an object, or an array of objects
  ndjson,  // an object a line; blank lines do not count
};

struct ParseOptions {
  std::string_view key_field;    // name of the top-level field that holds the partition key
  std::string_view request_key;  // the key for all records; overrides key_field. Must have passed check_key().
  std::uint64_t record_bytes_max = 1 << 20;
  std::uint32_t records_max = 200'000;  // a record takes 100 bytes of memory beside its own
  WallTime arrival{};
};

// Reads records for ingest: validates each in full (RFC 8259, and see Rejection for what else is refused), removes the
// white space between tokens and keeps everything else as the producer spelled it, finds the partition key and hashes
// it. A bad record does not keep the others of its body out: lines are independent, array elements as far as the
// brackets tell where they end.
//
// One per network thread; not for two threads at once. Keeps its scratch memory (bounded, about 1 MiB); allocates
// nothing per record once warm, except for records above 64 KiB.
class RecordParser {
 public:
  RecordParser();
  ~RecordParser();
  RecordParser(const RecordParser&) = delete;
  RecordParser& operator=(const RecordParser&) = delete;

  // Replaces what `out` held. The body may go afterwards. False: more than records_max records; `out` is empty then,
  // and the request as a whole is too large.
  bool parse(std::string_view body, BodyFormat format, const ParseOptions& options, ParsedBody& out);

  // One JSON text: nullopt if it is an object that would be taken, not_an_object if it is valid but something else.
  std::optional<Rejection> check(std::string_view text);

  // A partition key that did not come in the record (header, Kinesis): 1 to 256 characters of valid UTF-8.
  static std::optional<Rejection> check_key(std::string_view key);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill

#pragma once

#include <cstdint>
#include <string_view>

#include "storage/base/ids.h"
#include "storage/base/time.h"

namespace tidemill {

enum class ContentType : std::uint8_t {
  json = 1,   // one JSON object, validated and minified, in the producer's own spelling
  bytes = 2,  // whatever came
};

// A record as it goes in: views of memory that the caller keeps until the append is answered.
struct NewRecord {
  std::string_view key;  // partition key, at most 65,535 bytes
  HashKey hash;          // MD5(key), or the producer's explicit hash key
  bool explicit_hash = false;
  ContentType content = ContentType::json;
  WallTime arrival{};
  std::string_view headers;  // as encoded by engine; opaque here
  std::string_view data;
};

// A record as it comes out: views of a block that its RecordBatch keeps alive.
struct Record {
  Sequence sequence;
  HashKey hash;
  bool explicit_hash = false;
  ContentType content = ContentType::json;
  WallTime arrival{};
  std::string_view key;
  std::string_view headers;
  std::string_view data;
};

}  // namespace tidemill

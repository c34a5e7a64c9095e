#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/cell.h"
#include "storage/log/record.h"

namespace tidemill::views {

// In front of a field's name: its value as JSON, spelled as the producer did (inside a path, as it is parsed).
inline constexpr char kAsWritten = '\x1f';

// The fields that the views of one stream want, numbered. A name matches the JSON name exactly, case included; a name
// with dots is a path ("address.city", "lines.0.sku") unless the object has that very name. Metadata: _sequence,
// _shard, _time, _key, and data (the JSON text).
class FieldSet {
 public:
  std::uint32_t add(std::string_view name);  // its slot; the same for the same name
  std::uint32_t size() const { return static_cast<std::uint32_t>(names_.size()); }
  const std::string& name(std::uint32_t slot) const { return names_[slot]; }

 private:
  std::vector<std::string> names_;
};

// Records of one micro-batch, parsed once for all views of the stream. Filled by parse(), then only read: several row
// stages may run over it at the same time. Memory is kept from batch to batch.
//
// Values: true and false are 1 and 0; an integer between 2^63 and 2^64 is text; objects and arrays are their JSON text;
// what is missing is NULL. A record that came as bytes and is no JSON object is a row of NULLs (metadata is there).
class ParsedBatch {
 public:
  using ShardOf = std::function<ShardId(HashKey, Sequence)>;
  ParsedBatch(FieldSet fields, ShardOf shard_of);
  ~ParsedBatch();
  ParsedBatch(ParsedBatch&&) noexcept;
  ParsedBatch& operator=(ParsedBatch&&) noexcept;

  // The records' bytes must live until the next parse(): cells may point into them.
  void parse(std::span<const Record> records);

  std::uint32_t size() const { return static_cast<std::uint32_t>(records_.size()); }
  const Record& record(std::uint32_t i) const { return records_[i]; }
  const FieldSet& fields() const { return fields_; }
  const Cell& cell(std::uint32_t record, std::uint32_t slot) const { return cells_[record * fields_.size() + slot]; }

 private:
  struct Parser;
  FieldSet fields_;
  ShardOf shard_of_;
  std::span<const Record> records_;
  std::vector<Cell> cells_;
  std::unique_ptr<Parser> parser_;
};

}  // namespace tidemill::views

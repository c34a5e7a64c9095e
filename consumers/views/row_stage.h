#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "consumers/views/batch.h"
#include "consumers/views/definition.h"

namespace tidemill::views {

class Snapshot;

// Where a row came from; orders first, last, collect.
struct Order {
  std::uint64_t sequence = 0;
  std::uint32_t ordinal = 0;  // within the record, which json_each lets give several rows
  auto operator<=>(const Order&) const = default;
};

// Cells are canonical and valid during the call only.
class RowSink {
 public:
  virtual ~RowSink() = default;
  // Asked of all rows of a record that may give several, before the first is handed over: a record is in whole or not
  // at all. false: the record is parked.
  virtual bool takes(std::uint32_t /*record*/, std::span<const Cell> /*groups*/, std::span<const Cell> /*arguments*/) {
    return true;
  }
  // A row of a record that passed WHERE, in order.
  virtual void row(std::uint32_t record, Order order, std::span<const Cell> groups,
                   std::span<const Cell> arguments) = 0;
  // A record that SQL could not work out (number('x'), malformed JSON in json_extract, ...): park it. The rest goes on.
  virtual void failed(std::uint32_t record, std::string_view reason) = 0;
};

// The prepared row stage of one view, with an SQLite connection of its own (about 100 KB). Prepare once per worker
// thread; one thread at a time.
class RowStage {
 public:
  // Adds the definition's fields to `fields`; batches handed to run() must have been made from that set or a later
  // state of it (slots never move).
  static SqlResult<std::unique_ptr<RowStage>> prepare(const Definition& definition, FieldSet& fields,
                                                      const LookedUp& lookups = {});
  ~RowStage();

  // What the views that the definition looks up are read from, until another is given. It outlives the runs.
  void look_in(const Snapshot& snapshot);

  // Calls the sink in record order. `first` and `count` cut the batch. An error is SQLite out of memory, or one of the
  // store where views are looked up; nothing else.
  Result<void> run(const ParsedBatch& batch, RowSink& sink);
  Result<void> run(const ParsedBatch& batch, std::uint32_t first, std::uint32_t count, RowSink& sink);

 private:
  struct Impl;
  explicit RowStage(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill::views

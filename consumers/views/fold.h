#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/row_stage.h"
#include "consumers/views/state.h"

namespace tidemill::views {

// The rows of one micro-batch, coalesced per group key: what the store merges into the rows it has. One thread at a
// time; memory is kept from batch to batch.
//
// How the store applies it, for each group:
//   1. row = resident, fetched or layout.make()
//   2. members of Members::set aggregates: look them up (batched); drop those that are there and take_back() their
//      number from the delta's state. Within one fold a member of a set comes once.
//      members of Members::appended aggregates: all are new; the kept_max() with the highest keys stay
//      members of Members::latest aggregates: keep all. Within one fold a key comes once
//   3. row.merge(delta); put row and members, in the batch that has the checkpoint
//
// Where rows go with time (expiry.h), a row that has gone begins anew, before 1: what the delta has is what came since.
//   0. if the row's deadline is not after first_time, or `ended` is not 0: layout.make(), and the members go
class Fold final : public RowSink {
 public:
  struct Member {
    std::uint32_t aggregate;
    std::uint32_t next;  // of the same group, in order; kNone at the end
    std::string_view key;
    std::string_view value;
  };
  static constexpr std::uint32_t kNone = ~0u;
  struct Group {
    std::string_view key;  // encode_key of the group terms
    RowState state;
    std::uint32_t first_member;
    std::uint32_t last_member;
    std::int64_t first_time = 0;         // stream time at its first record of the batch, where rows go with time
    std::uint32_t ended = 0;             // how often its row was gone when the next record came, within the batch
    std::uint32_t first_record = kNone;  // where its lineage is kept; since it ended
    std::uint32_t last_record = kNone;
  };
  struct GroupRecord {
    std::uint64_t sequence;
    std::uint32_t next;  // of the same group, in order; kNone at the end
  };
  struct Parked {
    std::uint32_t record;  // index in the parsed batch
    std::string reason;
  };

  explicit Fold(const StateLayout& layout);
  ~Fold() override;

  void clear();  // before the next batch; views handed out before are gone
  // Stream time at each record of the batch; before it is run, where rows go with time. Must live until it was.
  void times(std::span<const std::int64_t> stream_times_ms);
  void at_time(std::int64_t stream_time_ms);  // of what comes next and is not numbered as the batch's
  bool takes(std::uint32_t record, std::span<const Cell> groups, std::span<const Cell> arguments) override;
  void row(std::uint32_t record, Order order, std::span<const Cell> groups, std::span<const Cell> arguments) override;
  void failed(std::uint32_t record, std::string_view reason) override;

  std::span<Group> groups();  // in order of first appearance
  const Member& member(std::uint32_t index) const;
  const GroupRecord& record(std::uint32_t index) const;
  std::span<const Parked> parked() const;
  std::uint64_t late() const;  // records that were dropped, or some of their rows: the window's row has gone
  const Group* find(std::string_view key) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill::views

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
//      members of Members::appended aggregates: keep the first room(row) of them
//   3. row.merge(delta); put row and members, in the batch that has the checkpoint
class Fold final : public RowSink {
 public:
  struct Member {
    std::uint32_t aggregate;
    std::uint32_t next;  // of the same group, in order; kNone at the end
    std::string_view key;
    std::string_view value;
  };
  struct Group {
    std::string_view key;  // encode_key of the group terms
    RowState state;
    std::uint32_t first_member;
    std::uint32_t last_member;
  };
  struct Parked {
    std::uint32_t record;  // index in the parsed batch
    std::string reason;
  };
  static constexpr std::uint32_t kNone = ~0u;

  explicit Fold(const StateLayout& layout);
  ~Fold() override;

  void clear();  // before the next batch; views handed out before are gone
  void row(std::uint32_t record, Order order, std::span<const Cell> groups, std::span<const Cell> arguments) override;
  void failed(std::uint32_t record, std::string_view reason) override;

  std::span<Group> groups();  // in order of first appearance
  const Member& member(std::uint32_t index) const;
  std::span<const Parked> parked() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill::views

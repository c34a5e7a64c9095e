#include "storage/log/block.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "storage/base/check.h"
#include "storage/log/record_codec.h"

namespace tidemill {

Block::Block(const CommitHeader& header, const HashRange& range)
    : first_(header.first), count_(header.count), wall_(header.wall) {
  const auto wanted = static_cast<std::uint16_t>(sixteenths_of(range) & header.hash_mask);
  for (std::uint32_t i = 0; i < header.lanes; ++i) {
    const Lane& lane = header.lane[i];
    if (lane.count == 0 || (lane.sixteenths() & wanted) == 0) continue;
    const auto has = static_cast<std::uint16_t>(lane.sixteenths() & header.hash_mask);
    lane_[lanes_++] = {i, lane.count, lane.raw, bytes_, has};
    bytes_ += lane.raw;
  }
  data_.reset(new std::byte[bytes_]);
}

std::shared_ptr<const Block> Block::copy_of(const CommitHeader& header,
                                            std::span<const std::span<const std::byte>> raw) {
  auto block = std::make_shared<Block>(header, HashRange{});
  for (std::size_t i = 0; i < block->lanes(); ++i) {
    const auto from = raw[block->lane_number(i)];
    const auto to = block->lane(i);
    CHECK(from.size() == to.size());
    std::memcpy(to.data(), from.data(), from.size());
  }
  return block;
}

std::size_t Block::lanes_in(const HashRange& range) const {
  const auto wanted = sixteenths_of(range);
  return static_cast<std::size_t>(std::count_if(lane_.begin(), lane_.begin() + lanes_,
                                                [&](const Part& p) { return (p.sixteenths & wanted) != 0; }));
}

Block::Taken Block::take(Sequence through, const ReadOptions& options, RecordBatch& batch, std::uint64_t& bytes) const {
  // Each lane is in order; the lowest head of all lanes comes next.
  std::array<std::optional<RecordCursor>, kLanesMax> cursor;
  std::array<Record, kLanesMax> head;
  std::array<std::uint32_t, kLanesMax> live{};
  std::size_t n = 0;
  bool bad = false;
  const auto wanted = sixteenths_of(options.range);
  const auto advance = [&](std::uint32_t i) {
    while (cursor[i]->next(head[i])) {
      if (head[i].sequence >= batch.next) return true;
    }
    bad |= cursor[i]->bad();
    return false;
  };
  for (std::uint32_t i = 0; i < lanes_; ++i) {
    const Part& p = lane_[i];
    if ((p.sixteenths & wanted) == 0) continue;
    cursor[i].emplace(std::span<const std::byte>(data_.get() + p.offset, p.bytes), p.count, first_, count_, wall_);
    if (advance(i)) live[n++] = i;
  }

  const Sequence stop = through < last() ? through : last();
  bool used = false;
  Taken taken = Taken::all;
  while (n != 0 && !bad) {
    std::size_t lowest = 0;
    for (std::size_t i = 1; i < n; ++i) {
      if (head[live[i]].sequence < head[live[lowest]].sequence) lowest = i;
    }
    const Record& r = head[live[lowest]];
    if (r.sequence > stop) break;
    if (options.range.contains(r.hash)) {
      const std::uint64_t size = r.key.size() + r.headers.size() + r.data.size();
      if (!batch.records.empty() && (batch.records.size() >= options.records_max || bytes + size > options.bytes_max)) {
        batch.next = r.sequence;
        taken = Taken::full;
        break;
      }
      batch.records.push_back(r);
      bytes += size;
      used = true;
    }
    batch.next = next(r.sequence);
    if (!advance(live[lowest])) live[lowest] = live[--n];
  }
  if (used) batch.blocks.push_back(shared_from_this());
  if (bad) return Taken::bad;
  if (taken == Taken::all && batch.next <= stop) batch.next = next(stop);
  return taken;
}

}  // namespace tidemill

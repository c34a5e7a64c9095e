#include "consumers/views/state.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>

#include "consumers/views/encoding.h"
#include "consumers/views/state/aggregates.h"
#include "storage/base/check.h"
#include "storage/base/errors.h"

namespace tidemill::views {
namespace {

std::size_t aligned(std::size_t n) {
  return (n + 7) & ~std::size_t{7};
}

// What a row's block begins with.
struct Front {
  RowHeader header;
  Recent recent;
};

bool version_has(char version, char what) {
  return ((version - kRowVersion) & what) != 0;
}

}  // namespace

std::unique_ptr<const Aggregate> make_aggregate(const AggregateCall& call) {
  if (call.function == "count") return call.distinct ? make_count_distinct(call) : make_count(call);
  if (call.function == "sum") return make_sum(call);
  if (call.function == "avg") return make_avg(call);
  if (call.function == "min") return make_min(call);
  if (call.function == "max") return make_max(call);
  if (call.function == "first") return make_first(call);
  if (call.function == "last") return make_last(call);
  if (call.function == "collect") return make_collect(call);
  if (call.function == "arg_min") return make_arg_min(call);
  if (call.function == "arg_max") return make_arg_max(call);
  if (call.function == "approx_count_distinct") return make_approx_count_distinct(call);
  if (call.function == "quantile") return make_quantile(call);
  if (call.function == "map") return make_map(call);
  if (call.function.starts_with("stddev") || call.function.starts_with("var")) return make_spread(call);
  return nullptr;
}

const char* refuse_number(Cell x) {
  if (x.is_text()) return "text where a number is wanted; number(x) reads numbers that came as text";
  if (x.type() == CellType::real && !std::isfinite(x.real())) return "an infinite number";
  return nullptr;
}

void put_order(Order order, std::string& out) {
  put_u64_big(order.sequence, out);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(order.ordinal >> shift);
}

RowState::RowState(RowState&& other) noexcept
    : layout_(std::exchange(other.layout_, nullptr)), block_(std::exchange(other.block_, nullptr)) {}

RowState& RowState::operator=(RowState&& other) noexcept {
  std::swap(layout_, other.layout_);
  std::swap(block_, other.block_);
  return *this;
}

RowState::~RowState() {
  if (block_ == nullptr) return;
  for (std::uint32_t i : layout_->states_) layout_->aggregates_[i].aggregate->destroy(state(i));
  reinterpret_cast<Front*>(block_)->~Front();
  ::operator delete(block_);
}

const RowHeader& RowState::header() const {
  return reinterpret_cast<const Front*>(block_)->header;
}
RowHeader& RowState::header_ref() {
  return reinterpret_cast<Front*>(block_)->header;
}
Recent& RowState::recent() {
  return reinterpret_cast<Front*>(block_)->recent;
}
const Recent& RowState::recent() const {
  return reinterpret_cast<const Front*>(block_)->recent;
}
void* RowState::state(std::uint32_t aggregate) {
  return block_ + layout_->aggregates_[aggregate].offset;
}
const void* RowState::state(std::uint32_t aggregate) const {
  return block_ + layout_->aggregates_[aggregate].offset;
}
Result<Value> RowState::value(std::uint32_t aggregate, const MemberSource& members) const {
  return layout_->aggregates_[aggregate].aggregate->value(state(aggregate), aggregate, members);
}
std::size_t RowState::memory() const {
  if (block_ == nullptr) return 0;
  std::size_t bytes = layout_->bytes_ + 32;
  if (const std::size_t n = recent().differences.capacity(); n > 15) bytes += n + 16;
  for (std::uint32_t i : layout_->states_) bytes += layout_->aggregates_[i].aggregate->heap(state(i));
  return bytes;
}

void RowState::merge(const RowState& from) {
  CHECK(layout_ == from.layout_);
  const RowHeader& other = from.header();
  if (other.count == 0) return;
  RowHeader& mine = header_ref();
  mine.first = mine.count == 0 ? other.first : std::min(mine.first, other.first);
  mine.last = std::max(mine.last, other.last);
  mine.count += other.count;
  mine.deadline = std::max(mine.deadline, other.deadline);
  for (std::uint32_t i : layout_->states_) layout_->aggregates_[i].aggregate->merge(state(i), from.state(i));
}

void RowState::encode(std::string& out) const {
  const RowHeader& h = header();
  const Recent& r = recent();
  char version = kRowVersion;
  if (layout_->expiry_) version += kWithDeadline;
  if (r.count != 0) version += kWithRecent;
  out += version;
  if (layout_->expiry_) put_varint(static_cast<std::uint64_t>(h.deadline), out);
  put_varint(h.first, out);
  put_varint(h.last - h.first, out);
  put_varint(h.count, out);
  for (std::uint32_t i : layout_->states_) layout_->aggregates_[i].aggregate->encode(state(i), out);
  out += r.differences;
}

StateLayout::StateLayout(const Definition& definition) : lineage_(definition.lineage), expiry_(definition.expiry) {
  std::size_t offset = aligned(sizeof(Front));
  for (const AggregateCall& call : definition.aggregates) {
    auto aggregate = make_aggregate(call);
    CHECK(aggregate != nullptr);  // split refuses what there is not
    const Members members = aggregate->members();
    has_members_ = has_members_ || members != Members::none;
    reads_members_ = reads_members_ || members == Members::appended || members == Members::latest;
    if (call.shares) {
      std::size_t shared = aggregates_[*call.shares].offset;
      aggregates_.push_back({call, std::move(aggregate), shared});
      continue;
    }
    std::size_t size = aligned(aggregate->size());
    states_.push_back(static_cast<std::uint32_t>(aggregates_.size()));
    aggregates_.push_back({call, std::move(aggregate), offset});
    offset += size;
  }
  bytes_ = offset;
}

StateLayout::~StateLayout() = default;

std::int64_t deadline_of(std::string_view stored_row) {
  if (stored_row.empty() || !version_has(stored_row[0], kWithDeadline)) return 0;
  stored_row.remove_prefix(1);
  std::uint64_t deadline = 0;
  return get_varint(stored_row, deadline) ? static_cast<std::int64_t>(deadline) : 0;
}

std::uint64_t last_of(std::string_view stored_row) {
  if (stored_row.empty()) return 0;
  const bool goes = version_has(stored_row[0], kWithDeadline);
  stored_row.remove_prefix(1);
  std::uint64_t deadline = 0;
  std::uint64_t first = 0;
  std::uint64_t length = 0;
  if (goes && !get_varint(stored_row, deadline)) return 0;
  return get_varint(stored_row, first) && get_varint(stored_row, length) ? first + length : 0;
}

RowState StateLayout::make() const {
  auto* block = static_cast<std::byte*>(::operator new(bytes_));
  new (block) Front();
  for (std::uint32_t i : states_) aggregates_[i].aggregate->init(block + aggregates_[i].offset);
  return RowState(this, block);
}

Result<RowState> StateLayout::decode(std::string_view in) const {
  RowState row;
  const bool with_recent = !in.empty() && version_has(in[0], kWithRecent);
  RETURN_IF_ERROR(decode_states(in, size(), row));
  if (!with_recent) return row;
  Recent& recent = row.recent();
  recent.differences = in;
  recent.count = 1;
  std::uint64_t left = row.header().last - row.header().first;
  for (std::uint64_t d = 0; !in.empty(); ++recent.count) {
    if (!get_varint(in, d) || d == 0 || d > left) return make_error_code(StorageErrc::damaged);
    left -= d;
  }
  return row;
}

Result<void> StateLayout::decode(std::string_view in, std::uint32_t end, RowState& row) const {
  return decode_states(in, end, row);
}

// Leaves what stands behind them.
Result<void> StateLayout::decode_states(std::string_view& in, std::uint32_t end, RowState& row) const {
  if (!row) {
    row = make();
  } else {
    for (std::uint32_t i : states_) {
      aggregates_[i].aggregate->destroy(row.state(i));
      aggregates_[i].aggregate->init(row.state(i));
    }
  }
  RowHeader& h = row.header_ref();
  std::uint64_t length = 0;
  const char version = in.empty() ? '\0' : in[0];
  const bool with_recent = version_has(version, kWithRecent);
  bool good = version == kRowVersion + (expiry_ ? kWithDeadline : 0) + (with_recent ? kWithRecent : 0);
  if (good) {
    in.remove_prefix(1);
    std::uint64_t deadline = 0;
    good = !expiry_ || (get_varint(in, deadline) && deadline != 0 && deadline >> 63 == 0);
    h.deadline = static_cast<std::int64_t>(deadline);
    good = good && get_varint(in, h.first) && get_varint(in, length) && get_varint(in, h.count);
    h.last = h.first + length;
  }
  for (std::uint32_t i : states_) {
    if (!good || i >= end) break;
    good = aggregates_[i].aggregate->decode(in, row.state(i));
  }
  if (!good || (end >= size() && !in.empty() && !with_recent)) return make_error_code(StorageErrc::damaged);
  return {};
}

}  // namespace tidemill::views

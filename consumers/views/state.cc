#include "consumers/views/state.h"

#include <algorithm>
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
  return nullptr;
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
  for (const auto& entry : layout_->aggregates_) entry.aggregate->destroy(block_ + entry.offset);
  ::operator delete(block_);
}

const RowHeader& RowState::header() const {
  return *reinterpret_cast<const RowHeader*>(block_);
}
RowHeader& RowState::header_ref() {
  return *reinterpret_cast<RowHeader*>(block_);
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
  return block_ == nullptr ? 0 : layout_->bytes_ + 32;
}

void RowState::merge(const RowState& from) {
  CHECK(layout_ == from.layout_);
  const RowHeader& other = from.header();
  if (other.count == 0) return;
  RowHeader& mine = header_ref();
  mine.first = mine.count == 0 ? other.first : std::min(mine.first, other.first);
  mine.last = std::max(mine.last, other.last);
  mine.count += other.count;
  for (const auto& entry : layout_->aggregates_)
    entry.aggregate->merge(block_ + entry.offset, from.block_ + entry.offset);
}

void RowState::encode(std::string& out) const {
  out += kRowVersion;
  const RowHeader& h = header();
  put_varint(h.first, out);
  put_varint(h.last - h.first, out);
  put_varint(h.count, out);
  for (const auto& entry : layout_->aggregates_) entry.aggregate->encode(block_ + entry.offset, out);
}

StateLayout::StateLayout(const Definition& definition) {
  std::size_t offset = aligned(sizeof(RowHeader));
  for (const AggregateCall& call : definition.aggregates) {
    auto aggregate = make_aggregate(call);
    CHECK(aggregate != nullptr);  // split refuses what there is not
    has_members_ = has_members_ || aggregate->members() != Members::none;
    std::size_t size = aligned(aggregate->size());
    aggregates_.push_back({call, std::move(aggregate), offset});
    offset += size;
  }
  bytes_ = offset;
}

StateLayout::~StateLayout() = default;

RowState StateLayout::make() const {
  auto* block = static_cast<std::byte*>(::operator new(bytes_));
  new (block) RowHeader();
  for (const Entry& entry : aggregates_) entry.aggregate->init(block + entry.offset);
  return RowState(this, block);
}

Result<RowState> StateLayout::decode(std::string_view in) const {
  RowState row = make();
  RowHeader& h = row.header_ref();
  std::uint64_t length = 0;
  bool good = !in.empty() && in[0] == kRowVersion;
  if (good) {
    in.remove_prefix(1);
    good = get_varint(in, h.first) && get_varint(in, length) && get_varint(in, h.count);
    h.last = h.first + length;
  }
  for (const Entry& entry : aggregates_) {
    if (!good) break;
    good = entry.aggregate->decode(in, row.block_ + entry.offset);
  }
  if (!good || !in.empty()) return make_error_code(StorageErrc::damaged);
  return row;
}

}  // namespace tidemill::views

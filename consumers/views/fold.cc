#include "consumers/views/fold.h"

#include <algorithm>
#include <cstring>

#include "consumers/views/key.h"
#include "storage/base/check.h"

namespace tidemill::views {
namespace {

constexpr std::size_t kKeyBytesMax = 16 << 10;

std::uint64_t hash_bytes(std::string_view s, std::uint64_t seed) {
  // Eight bytes at a time, multiplied and folded: good enough for tables that live for one batch.
  std::uint64_t h = seed ^ (s.size() * 0x9E3779B97F4A7C15ull);
  while (s.size() >= 8) {
    std::uint64_t w;
    std::memcpy(&w, s.data(), 8);
    h = (h ^ w) * 0xD6E8FEB86659FD93ull;
    h ^= h >> 32;
    s.remove_prefix(8);
  }
  std::uint64_t w = 0;
  std::memcpy(&w, s.data(), s.size());
  h = (h ^ w) * 0xD6E8FEB86659FD93ull;
  return h ^ h >> 32;
}

// Open addressing over indexes of a vector; emptied by a new generation, not by touching every place.
class IndexTable {
 public:
  static constexpr std::uint32_t kNone = ~0u;
  IndexTable() { slots_.resize(256); }

  void clear() {
    ++generation_;
    used_ = 0;
  }
  // The index for which `same` holds, or kNone and then insert() may follow with the same hash.
  template <class Same>
  std::uint32_t find(std::uint64_t hash, Same same) const {
    for (std::size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[i];
      if (slot.generation != generation_) return kNone;
      if (slot.hash == static_cast<std::uint32_t>(hash >> 32) && same(slot.index)) return slot.index;
    }
  }
  template <class HashOf>
  void insert(std::uint64_t hash, std::uint32_t index, HashOf hash_of) {
    if (++used_ * 2 > slots_.size()) {
      std::vector<Slot> old(slots_.size() * 2);
      old.swap(slots_);
      for (const Slot& slot : old) {
        if (slot.generation == generation_) place(hash_of(slot.index), slot.index);
      }
    }
    place(hash, index);
  }

 private:
  struct Slot {
    std::uint32_t generation = 0;
    std::uint32_t index = 0;
    std::uint32_t hash = 0;
  };
  void place(std::uint64_t hash, std::uint32_t index) {
    std::size_t i = hash & (slots_.size() - 1);
    while (slots_[i].generation == generation_) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = {generation_, index, static_cast<std::uint32_t>(hash >> 32)};
  }
  std::vector<Slot> slots_;
  std::uint32_t generation_ = 1;
  std::size_t used_ = 0;
};

// Bytes that stay where they are until clear().
class Arena {
 public:
  std::string_view copy(std::string_view s) {
    if (s.size() > kBlock) {
      large_.push_back(std::make_unique<char[]>(s.size()));
      std::memcpy(large_.back().get(), s.data(), s.size());
      return {large_.back().get(), s.size()};
    }
    if (blocks_.empty() || used_ + s.size() > kBlock) {
      if (!blocks_.empty()) ++block_;
      if (block_ == blocks_.size()) blocks_.push_back(std::make_unique<char[]>(kBlock));
      used_ = 0;
    }
    char* to = blocks_[block_].get() + used_;
    if (!s.empty()) std::memcpy(to, s.data(), s.size());
    used_ += s.size();
    return {to, s.size()};
  }
  void clear() {
    large_.clear();
    if (blocks_.size() > 64) blocks_.resize(64);
    block_ = used_ = 0;
  }

 private:
  static constexpr std::size_t kBlock = 64 << 10;
  std::vector<std::unique_ptr<char[]>> blocks_, large_;
  std::size_t block_ = 0, used_ = 0;
};

}  // namespace

struct Fold::Impl final : MemberSink {
  explicit Impl(const StateLayout& l) : layout(l) {
    for (std::uint32_t i = 0; i < layout.size(); ++i) {
      const AggregateCall& call = layout.call(i);
      Step step{&layout.aggregate(i), call.filter, call.arguments.empty() ? 0 : call.arguments[0],
                static_cast<std::uint32_t>(call.arguments.size()), layout.aggregate(i).members()};
      CHECK(step.count <= 1);  // arguments are handed on as they lie
      steps.push_back(step);
    }
  }

  struct Step {
    const Aggregate* aggregate;
    std::optional<std::uint32_t> filter;
    std::uint32_t first;  // argument
    std::uint32_t count;
    Members members;
  };

  static bool passes(const Step& step, std::span<const Cell> arguments) {
    if (!step.filter) return true;
    Cell f = arguments[*step.filter];
    return f.type() == CellType::integer && f.integer() != 0;
  }

  std::uint32_t group_of_key() {
    // Neighbours in the stream often share their key.
    if (last != kNone && groups[last].key == key) return last;
    std::uint64_t hash = hash_bytes(key, 0);
    std::uint32_t found = table.find(hash, [&](std::uint32_t i) { return groups[i].key == key; });
    if (found == kNone) {
      found = static_cast<std::uint32_t>(groups.size());
      table.insert(hash, found, [&](std::uint32_t i) { return hash_bytes(groups[i].key, 0); });
      groups.push_back({arena.copy(key), layout.make(), kNone, kNone});
    }
    return last = found;
  }

  std::uint64_t member_hash(std::uint32_t i) const {
    return hash_bytes(members[i].key, owners[i] * 1024ull + members[i].aggregate);
  }

  bool member(std::string_view member_key, std::string_view value) override {
    if (steps[aggregate].members == Members::set) {
      std::uint64_t hash = hash_bytes(member_key, group * 1024ull + aggregate);
      auto same = [&](std::uint32_t i) {
        return owners[i] == group && members[i].aggregate == aggregate && members[i].key == member_key;
      };
      if (member_table.find(hash, same) != kNone) return false;
      member_table.insert(hash, static_cast<std::uint32_t>(members.size()),
                          [&](std::uint32_t i) { return member_hash(i); });
    }
    auto index = static_cast<std::uint32_t>(members.size());
    members.push_back({aggregate, kNone, arena.copy(member_key), arena.copy(value)});
    owners.push_back(group);
    Group& g = groups[group];
    if (g.last_member == kNone) {
      g.first_member = index;
    } else {
      members[g.last_member].next = index;
    }
    g.last_member = index;
    return true;
  }

  const StateLayout& layout;
  std::vector<Step> steps;
  std::vector<Group> groups;
  std::vector<Member> members;
  std::vector<std::uint32_t> owners;  // group of each member
  std::vector<Parked> parked;
  IndexTable table, member_table;
  Arena arena;
  std::string key;
  std::uint32_t last = kNone;
  std::uint32_t group = 0;      // whose add() is running
  std::uint32_t aggregate = 0;  // likewise
};

Fold::Fold(const StateLayout& layout) : impl_(std::make_unique<Impl>(layout)) {}
Fold::~Fold() = default;

void Fold::clear() {
  impl_->groups.clear();
  impl_->members.clear();
  impl_->owners.clear();
  impl_->parked.clear();
  impl_->table.clear();
  impl_->member_table.clear();
  impl_->arena.clear();
  impl_->last = kNone;
}

void Fold::row(std::uint32_t record, Order order, std::span<const Cell> groups, std::span<const Cell> arguments) {
  Impl& m = *impl_;
  // All say yes before any adds: a record is in a row whole or not at all.
  for (std::size_t i = 0; i < m.steps.size(); ++i) {
    const Impl::Step& step = m.steps[i];
    if (step.count == 0 || !Impl::passes(step, arguments)) continue;
    if (const char* reason = step.aggregate->refuse(arguments.subspan(step.first, step.count))) {
      m.parked.push_back({record, m.layout.call(static_cast<std::uint32_t>(i)).text + ": " + reason});
      return;
    }
  }
  m.key.clear();
  encode_key(groups, m.key);
  if (m.key.size() > kKeyBytesMax) {
    m.parked.push_back({record, "the group key has more than 16 KiB"});
    return;
  }
  m.group = m.group_of_key();
  RowState& state = m.groups[m.group].state;
  RowHeader& header = state.header_ref();
  header.first = header.count == 0 ? order.sequence : std::min(header.first, order.sequence);
  header.last = std::max(header.last, order.sequence);
  ++header.count;
  for (std::size_t i = 0; i < m.steps.size(); ++i) {
    const Impl::Step& step = m.steps[i];
    if (!Impl::passes(step, arguments)) continue;
    m.aggregate = static_cast<std::uint32_t>(i);
    step.aggregate->add(state.state(m.aggregate), arguments.subspan(step.first, step.count), order, m);
  }
}

void Fold::failed(std::uint32_t record, std::string_view reason) {
  impl_->parked.push_back({record, std::string(reason)});
}

std::span<Fold::Group> Fold::groups() {
  return impl_->groups;
}
const Fold::Member& Fold::member(std::uint32_t index) const {
  return impl_->members[index];
}
std::span<const Fold::Parked> Fold::parked() const {
  return impl_->parked;
}

}  // namespace tidemill::views

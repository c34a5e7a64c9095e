#include "consumers/views/fold.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "consumers/views/key.h"
#include "storage/base/check.h"

namespace tidemill::views {
namespace {

constexpr std::size_t kKeyBytesMax = 16 << 10;
constexpr char kNoWindow[] = "the window's column is not the time when one begins: timestamp(x) and date(x) make such";

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
      if (!layout.has_state(i)) continue;
      const AggregateCall& call = layout.call(i);
      steps.push_back({i, &layout.aggregate(i), call.filter, call.arguments, layout.aggregate(i).members()});
    }
  }

  struct Step {
    std::uint32_t index;  // of the aggregate
    const Aggregate* aggregate;
    std::optional<std::uint32_t> filter;
    std::vector<std::uint32_t> arguments;
    Members members;
  };

  // What the aggregate is handed: one argument as it lies, several side by side.
  std::span<const Cell> arguments_of(const Step& step, std::span<const Cell> arguments) {
    if (step.arguments.size() == 1) return arguments.subspan(step.arguments[0], 1);
    gathered.clear();
    for (std::uint32_t i : step.arguments) gathered.push_back(arguments[i]);
    return gathered;
  }

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
      groups.push_back({arena.copy(key), layout.make(), kNone, kNone, 0, 0, kNone, kNone});
    }
    return last = found;
  }

  std::int64_t time_of(std::uint32_t record) const { return record < times.size() ? times[record] : time; }

  // Rows go with time: false: it is late. The deadline of a window is that of takes().
  bool in_time(std::uint32_t record) {
    const std::int64_t now = time_of(record);
    if (!expiry->window) deadline = expiry->deadline_after(now);
    if (deadline > now) return true;
    if (std::exchange(last_late, record) != record) ++late;
    return false;
  }

  void touch(std::uint32_t record) {
    const std::int64_t now = time_of(record);
    Group& g = groups[group];
    if (g.state.header().count == 0) {
      g.first_time = now;
    } else if (g.state.header().deadline <= now) {
      for (std::uint32_t m = g.first_member; m != kNone; m = members[m].next) owners[m] = kNone;
      g.first_member = g.last_member = kNone;
      g.first_record = g.last_record = kNone;
      g.state = layout.make();
      ++g.ended;
    }
    g.state.header_ref().deadline = deadline;
  }

  void remember(std::uint64_t sequence) {
    const auto index = static_cast<std::uint32_t>(records.size());
    records.push_back({sequence, kNone});
    Group& g = groups[group];
    (g.last_record == kNone ? g.first_record : records[g.last_record].next) = index;
    g.last_record = index;
  }

  std::uint64_t member_hash(std::uint32_t i) const {
    return hash_bytes(members[i].key, owners[i] * 1024ull + members[i].aggregate);
  }

  bool member(std::string_view member_key, std::string_view value) override {
    const std::uint32_t aggregate = step->index;
    if (step->members == Members::set || step->members == Members::latest) {
      std::uint64_t hash = hash_bytes(member_key, group * 1024ull + aggregate);
      auto same = [&](std::uint32_t i) {
        return owners[i] == group && members[i].aggregate == aggregate && members[i].key == member_key;
      };
      if (std::uint32_t there = member_table.find(hash, same); there != kNone) {
        if (step->members == Members::latest && members[there].value < value) members[there].value = arena.copy(value);
        return false;
      }
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
  std::vector<GroupRecord> records;
  std::vector<Parked> parked;
  IndexTable table, member_table;
  Arena arena;
  std::string key;
  std::uint32_t last = kNone;
  std::vector<Cell> gathered;
  std::uint32_t group = 0;     // whose add() is running
  const Step* step = nullptr;  // likewise
  const Expiry* expiry = layout.expiry();
  std::span<const std::int64_t> times;
  std::int64_t time = 0;      // of what is not the batch's
  std::int64_t deadline = 0;  // of the row at hand
  std::uint64_t late = 0;
  std::uint32_t last_late = kNone;
};

Fold::Fold(const StateLayout& layout) : impl_(std::make_unique<Impl>(layout)) {}
Fold::~Fold() = default;

void Fold::clear() {
  impl_->groups.clear();
  impl_->members.clear();
  impl_->owners.clear();
  impl_->records.clear();
  impl_->parked.clear();
  impl_->table.clear();
  impl_->member_table.clear();
  impl_->arena.clear();
  impl_->last = kNone;
  impl_->times = {};
  impl_->late = 0;
  impl_->last_late = kNone;
}

void Fold::times(std::span<const std::int64_t> stream_times_ms) {
  impl_->times = stream_times_ms;
}
void Fold::at_time(std::int64_t stream_time_ms) {
  impl_->time = stream_time_ms;
  impl_->last_late = kNone;
}

// All say yes before any adds: a record is in whole or not at all. Leaves the encoded key.
bool Fold::takes(std::uint32_t record, std::span<const Cell> groups, std::span<const Cell> arguments) {
  Impl& m = *impl_;
  for (const Impl::Step& step : m.steps) {
    if (step.arguments.empty() || !Impl::passes(step, arguments)) continue;
    if (const char* reason = step.aggregate->refuse(m.arguments_of(step, arguments))) {
      m.parked.push_back({record, m.layout.call(step.index).text + ": " + reason});
      return false;
    }
  }
  m.key.clear();
  encode_key(groups, m.key);
  if (m.key.size() > kKeyBytesMax) {
    m.parked.push_back({record, "the group key has more than 16 KiB"});
    return false;
  }
  if (m.expiry != nullptr && m.expiry->window) {
    const auto deadline = m.expiry->deadline_of(groups[*m.expiry->window]);
    if (!deadline) {
      m.parked.push_back({record, kNoWindow});
      return false;
    }
    m.deadline = *deadline;
  }
  return true;
}

void Fold::row(std::uint32_t record, Order order, std::span<const Cell> groups, std::span<const Cell> arguments) {
  if (!takes(record, groups, arguments)) return;
  Impl& m = *impl_;
  if (m.expiry != nullptr && !m.in_time(record)) return;
  m.group = m.group_of_key();
  if (m.expiry != nullptr) m.touch(record);
  RowState& state = m.groups[m.group].state;
  RowHeader& header = state.header_ref();
  header.first = header.count == 0 ? order.sequence : std::min(header.first, order.sequence);
  // Rows come in order: one that is of the last record is counted with it.
  if (header.count == 0 || header.last != order.sequence) {
    ++header.count;
    if (m.layout.lineage()) m.remember(order.sequence);
  }
  header.last = std::max(header.last, order.sequence);
  for (const Impl::Step& step : m.steps) {
    if (!Impl::passes(step, arguments)) continue;
    m.step = &step;
    step.aggregate->add(state.state(step.index), m.arguments_of(step, arguments), order, m);
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
const Fold::GroupRecord& Fold::record(std::uint32_t index) const {
  return impl_->records[index];
}
std::span<const Fold::Parked> Fold::parked() const {
  return impl_->parked;
}
std::uint64_t Fold::late() const {
  return impl_->late;
}
const Fold::Group* Fold::find(std::string_view key) const {
  const auto i = impl_->table.find(hash_bytes(key, 0), [&](std::uint32_t g) { return impl_->groups[g].key == key; });
  return i == kNone ? nullptr : &impl_->groups[i];
}

}  // namespace tidemill::views

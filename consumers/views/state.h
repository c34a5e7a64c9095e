#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/cell.h"
#include "consumers/views/definition.h"
#include "consumers/views/row_stage.h"

namespace tidemill::views {

// The version of a stored row, docs/formats/view-state.md.
inline constexpr char kRowVersion = 1;
inline constexpr char kWithDeadline = 1;  // more, of one that has a deadline
inline constexpr char kWithRecent = 2;    // likewise, of one that says which were its last records

// Takes what an aggregate keeps below the row.
class MemberSink {
 public:
  virtual ~MemberSink() = default;
  // false: this key came before (Members::set and latest only).
  virtual bool member(std::string_view key, std::string_view value) = 0;
};
// Gives it back, in order of the keys' bytes. Returning false stops.
using MemberVisitor = std::function<bool(std::string_view key, std::string_view value)>;
class MemberSource {
 public:
  virtual ~MemberSource() = default;
  virtual Result<void> visit(std::uint32_t aggregate, const MemberVisitor& visitor) const = 0;
};

enum class Members {
  none,      // all of the state is in the row
  appended,  // each member is new; the `kept_max` with the highest keys stay, and the lowest go
  set,       // the row counts members: of those handed out, the store must find which it has already
  latest,    // of two with the same key the one with the greater value stays, which is the later: just put it
};

// One kind of state: how values are added, merged, written and read. Immutable, any thread; the state itself is
// `size()` bytes (8-aligned) of memory that the caller owns, between init() and destroy().
//
// The contract, held by one test for all (tests/consumers/views/state_contract_test.cc): merge is associative and
// commutative, the encoding depends on the set of rows added and on nothing else, and refuse() says no before add()
// would have to.
class Aggregate {
 public:
  virtual ~Aggregate() = default;
  virtual std::size_t size() const = 0;
  virtual void init(void* state) const = 0;
  virtual void destroy(void* state) const = 0;
  // Bytes beyond size(), about.
  virtual std::size_t heap(const void* /*state*/) const { return 0; }

  // nullptr: these arguments will do. Else the sentence for the quarantine. Nothing has been added yet, so that a
  // record is parked whole. Arguments are canonical cells.
  virtual const char* refuse(std::span<const Cell> arguments) const = 0;
  virtual void add(void* state, std::span<const Cell> arguments, Order order, MemberSink& members) const = 0;

  // Adds the rows of `from` to `into`; they have no record in common. Members::set: `from` counts only members that
  // `into` lacks (see take_back).
  virtual void merge(void* into, const void* from) const = 0;

  virtual Members members() const { return Members::none; }
  // Members::set: `n` members of this delta turned out to be there already.
  virtual void take_back(void* /*delta*/, std::uint64_t /*n*/) const {}
  // Members::appended: how many are kept below a row, of all that were counted; and how many more this one takes before
  // as many have to go.
  virtual std::uint64_t kept_max() const { return 0; }
  virtual std::uint64_t room(const void* /*state*/) const { return 0; }

  // Self-delimiting. decode() takes its bytes from the front of `in`; false: damaged.
  virtual void encode(const void* state, std::string& out) const = 0;
  virtual bool decode(std::string_view& in, void* state) const = 0;

  // What SQL sees. `members` is asked only if members() is not none.
  virtual Result<Value> value(const void* state, std::uint32_t aggregate, const MemberSource& members) const = 0;
};

// nullptr: no such aggregate (split has refused it before).
std::unique_ptr<const Aggregate> make_aggregate(const AggregateCall& call);

// What every stored row has besides its aggregates.
struct RowHeader {
  std::uint64_t first = 0;  // sequence of the first and last record in it
  std::uint64_t last = 0;
  std::uint64_t count = 0;    // records; 0: a state without rows
  std::int64_t deadline = 0;  // expiry.h: stream time at which it goes; 0 where rows stay
};

// The last records of a row, where its lineage is kept: those that are not in a piece of it yet (lineage.h). The last
// of them is the last record of the row.
struct Recent {
  std::uint32_t count = 0;
  std::string differences;  // varints, one less than `count`: each sequence less the one before
};

class StateLayout;

// The row part of one group: header and states, in one block of memory. Movable. Must not outlive its layout.
class RowState {
 public:
  RowState() = default;
  RowState(RowState&& other) noexcept;
  RowState& operator=(RowState&& other) noexcept;
  ~RowState();
  explicit operator bool() const { return block_ != nullptr; }

  const RowHeader& header() const;
  Recent& recent();
  const Recent& recent() const;
  void* state(std::uint32_t aggregate);
  const void* state(std::uint32_t aggregate) const;
  // What SQL sees of one aggregate.
  Result<Value> value(std::uint32_t aggregate, const MemberSource& members) const;
  // Bytes of memory, about: for caches.
  std::size_t memory() const;

  void merge(const RowState& from);  // all but recent()
  // The stored row's value, docs/formats/view-state.md. The same rows give the same bytes, whatever the batch cuts.
  void encode(std::string& out) const;

 private:
  friend class StateLayout;
  friend class Fold;
  RowState(const StateLayout* layout, std::byte* block) : layout_(layout), block_(block) {}
  RowHeader& header_ref();
  const StateLayout* layout_ = nullptr;
  std::byte* block_ = nullptr;
};

// Of a stored row, without decoding all of it. 0 where rows stay, or it is damaged.
std::int64_t deadline_of(std::string_view stored_row);
// Likewise: the sequence of the last record in it; 0: damaged.
std::uint64_t last_of(std::string_view stored_row);

// The aggregates of one view and where their states lie. Immutable; any thread.
class StateLayout {
 public:
  explicit StateLayout(const Definition& definition);
  ~StateLayout();
  StateLayout(const StateLayout&) = delete;
  StateLayout& operator=(const StateLayout&) = delete;

  std::uint32_t size() const { return static_cast<std::uint32_t>(aggregates_.size()); }
  const Aggregate& aggregate(std::uint32_t i) const { return *aggregates_[i].aggregate; }
  const AggregateCall& call(std::uint32_t i) const { return aggregates_[i].call; }
  // Whether it has a state of its own: not where it reads that of an earlier one.
  bool has_state(std::uint32_t i) const { return !aggregates_[i].call.shares; }
  bool has_members() const { return has_members_; }
  bool reads_members() const { return reads_members_; }  // to show a row: lists and maps

  RowState make() const;                                  // no rows
  Result<RowState> decode(std::string_view value) const;  // StorageErrc::damaged
  // For a reader of many rows: into the memory of an earlier row (or of none), and only the aggregates below `end`; the
  // others are as in make(), and recent() is empty.
  Result<void> decode(std::string_view value, std::uint32_t end, RowState& into) const;
  // The least `end` for which decode() reads this aggregate.
  std::uint32_t end_for(std::uint32_t aggregate) const {
    return aggregates_[aggregate].call.shares.value_or(aggregate) + 1;
  }
  bool lineage() const { return lineage_; }
  // When the rows of the view go; nullptr: they stay.
  const Expiry* expiry() const { return expiry_ ? &*expiry_ : nullptr; }

 private:
  friend class RowState;
  Result<void> decode_states(std::string_view& in, std::uint32_t end, RowState& into) const;
  struct Entry {
    AggregateCall call;
    std::unique_ptr<const Aggregate> aggregate;
    std::size_t offset;
  };
  std::vector<Entry> aggregates_;
  std::vector<std::uint32_t> states_;  // of aggregates_, those with a state of their own
  std::size_t bytes_;
  bool has_members_ = false;
  bool reads_members_ = false;
  bool lineage_ = false;
  std::optional<Expiry> expiry_;
};

}  // namespace tidemill::views

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

inline constexpr char kRowVersion = 1;  // of a stored row, docs/formats/view-state.md

// Takes what an aggregate keeps below the row.
class MemberSink {
 public:
  virtual ~MemberSink() = default;
  // false: this key came before (Members::set only).
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
  appended,  // each member is new and later than all before it: just put it (the first `room` of them)
  set,       // the row counts members: of those handed out, the store must find which it has already
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
  // Members::appended: how many more members this row takes. Members beyond it are counted and not kept.
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
  std::uint64_t count = 0;  // records; 0: a state without rows
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
  void* state(std::uint32_t aggregate);
  const void* state(std::uint32_t aggregate) const;
  // What SQL sees of one aggregate.
  Result<Value> value(std::uint32_t aggregate, const MemberSource& members) const;
  // Bytes of memory, about: for caches.
  std::size_t memory() const;

  void merge(const RowState& from);
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
  bool has_members() const { return has_members_; }

  RowState make() const;                                  // no rows
  Result<RowState> decode(std::string_view value) const;  // StorageErrc::damaged

 private:
  friend class RowState;
  struct Entry {
    AggregateCall call;
    std::unique_ptr<const Aggregate> aggregate;
    std::size_t offset;
  };
  std::vector<Entry> aggregates_;
  std::size_t bytes_;
  bool has_members_ = false;
};

}  // namespace tidemill::views

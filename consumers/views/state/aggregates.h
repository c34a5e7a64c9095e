#pragma once

#include <memory>
#include <new>
#include <string>

#include "consumers/views/encoding.h"
#include "consumers/views/state.h"

namespace tidemill::views {

// Each in the file of its name.
std::unique_ptr<const Aggregate> make_count(const AggregateCall& call);  // count(*) and count(x)
std::unique_ptr<const Aggregate> make_count_distinct(const AggregateCall& call);
std::unique_ptr<const Aggregate> make_sum(const AggregateCall& call);
std::unique_ptr<const Aggregate> make_avg(const AggregateCall& call);
std::unique_ptr<const Aggregate> make_min(const AggregateCall& call);
std::unique_ptr<const Aggregate> make_max(const AggregateCall& call);
std::unique_ptr<const Aggregate> make_first(const AggregateCall& call);
std::unique_ptr<const Aggregate> make_last(const AggregateCall& call);
std::unique_ptr<const Aggregate> make_collect(const AggregateCall& call);

// An aggregate whose state is a C++ object: lays it into the caller's memory.
template <class State>
class TypedAggregate : public Aggregate {
 public:
  static_assert(alignof(State) <= 8);
  std::size_t size() const final { return sizeof(State); }
  void init(void* state) const final { new (state) State(); }
  void destroy(void* state) const final { of(state).~State(); }

 protected:
  static State& of(void* state) { return *static_cast<State*>(state); }
  static const State& of(const void* state) { return *static_cast<const State*>(state); }
};

// A cell that owns its text.
class OwnedCell {
 public:
  void set(Cell cell) {
    if (cell.is_text()) {
      text_.assign(cell.text());
      is_text_ = true;
    } else {
      is_text_ = false;
    }
    cell_ = cell;
  }
  Cell get() const { return is_text_ ? Cell::text(text_, cell_.type()) : cell_; }

 private:
  Cell cell_;
  bool is_text_ = false;
  std::string text_;
};

}  // namespace tidemill::views

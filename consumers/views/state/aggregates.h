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
std::unique_ptr<const Aggregate> make_arg_min(const AggregateCall& call);
std::unique_ptr<const Aggregate> make_arg_max(const AggregateCall& call);
std::unique_ptr<const Aggregate> make_spread(const AggregateCall& call);  // stddev, variance and their kin

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

std::unique_ptr<const Aggregate> make_approx_count_distinct(const AggregateCall& call);
std::unique_ptr<const Aggregate> make_quantile(const AggregateCall& call);  // and median
std::unique_ptr<const Aggregate> make_map(const AggregateCall& call);

// Sequence and ordinal, big-endian: bytes in order of the rows.
inline constexpr std::size_t kOrderBytes = 12;
void put_order(Order order, std::string& out);

// What sum and all that reckons with numbers says to one: nullptr, or the sentence for the quarantine.
const char* refuse_number(Cell x);

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
  std::size_t heap() const { return text_.capacity() > 15 ? text_.capacity() : 0; }
  Cell get() const { return is_text_ ? Cell::text(text_, cell_.type()) : cell_; }

 private:
  Cell cell_;
  bool is_text_ = false;
  std::string text_;
};

}  // namespace tidemill::views

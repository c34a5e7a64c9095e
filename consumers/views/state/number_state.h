#pragma once

#include "consumers/views/state/aggregates.h"
#include "consumers/views/state/exact_sum.h"

namespace tidemill::views {

// What sum and avg keep: how many numbers, and their exact sum. varint count, then the sum (none when the count is 0).
struct NumberState {
  std::uint64_t count = 0;
  ExactSum sum;
};

class NumberAggregate : public TypedAggregate<NumberState> {
 public:
  const char* refuse(std::span<const Cell> arguments) const final { return refuse_number(arguments[0]); }
  void add(void* state, std::span<const Cell> arguments, Order, MemberSink&) const final {
    Cell x = arguments[0];
    if (x.is_null()) return;
    NumberState& s = of(state);
    ++s.count;
    if (x.type() == CellType::integer) {
      s.sum.add(x.integer());
    } else {
      s.sum.add(x.real());
    }
  }
  void merge(void* into, const void* from) const final {
    of(into).count += of(from).count;
    of(into).sum.add(of(from).sum);
  }
  void encode(const void* state, std::string& out) const final {
    put_varint(of(state).count, out);
    if (of(state).count != 0) of(state).sum.encode(out);
  }
  bool decode(std::string_view& in, void* state) const final {
    return get_varint(in, of(state).count) && (of(state).count == 0 || of(state).sum.decode(in));
  }
};

}  // namespace tidemill::views

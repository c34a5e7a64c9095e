#include "consumers/views/state/aggregates.h"
#include "consumers/views/state/exact_sum.h"

namespace tidemill::views {
namespace {

// What the standard deviation and the variance keep, of the sample and of the whole: how many numbers, their exact sum
// and the exact sum of their squares. Nothing is rounded before it is read, so that no digits cancel. varint count,
// then both sums (none when the count is 0).
struct SpreadState {
  std::uint64_t count = 0;
  ExactSum sum;
  ExactSum squares;
};

class Spread final : public TypedAggregate<SpreadState> {
 public:
  explicit Spread(std::string_view function)
      : whole_(function.ends_with("_pop")), root_(function.starts_with("stddev")) {}

  const char* refuse(std::span<const Cell> arguments) const override { return refuse_number(arguments[0]); }
  std::size_t heap(const void* state) const override { return of(state).sum.heap() + of(state).squares.heap(); }
  void add(void* state, std::span<const Cell> arguments, Order, MemberSink&) const override {
    Cell x = arguments[0];
    if (x.is_null()) return;
    SpreadState& s = of(state);
    ++s.count;
    if (x.type() == CellType::integer) {
      s.sum.add(x.integer());
      s.squares.add_square(x.integer());
    } else {
      s.sum.add(x.real());
      s.squares.add_square(x.real());
    }
  }
  void merge(void* into, const void* from) const override {
    of(into).count += of(from).count;
    of(into).sum.add(of(from).sum);
    of(into).squares.add(of(from).squares);
  }
  void encode(const void* state, std::string& out) const override {
    const SpreadState& s = of(state);
    put_varint(s.count, out);
    if (s.count == 0) return;
    s.sum.encode(out);
    s.squares.encode(out, ExactSum::Of::squares);
  }
  bool decode(std::string_view& in, void* state) const override {
    SpreadState& s = of(state);
    if (!get_varint(in, s.count)) return false;
    return s.count == 0 || (s.sum.decode(in) && s.squares.decode(in, ExactSum::Of::squares));
  }
  // Of a sample: NULL for fewer than two numbers. Of the whole: NULL for none.
  Result<Value> value(const void* state, std::uint32_t, const MemberSource&) const override {
    const SpreadState& s = of(state);
    if (s.count < (whole_ ? 1u : 2u)) return Value();
    return to_value(ExactSum::spread(s.sum, s.squares, s.count, whole_ ? s.count : s.count - 1, root_));
  }

 private:
  const bool whole_;
  const bool root_;
};

}  // namespace

std::unique_ptr<const Aggregate> make_spread(const AggregateCall& call) {
  return std::make_unique<Spread>(call.function);
}

}  // namespace tidemill::views

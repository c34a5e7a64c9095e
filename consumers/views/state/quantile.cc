#include "consumers/views/state/aggregates.h"
#include "consumers/views/state/exact_sum.h"
#include "consumers/views/state/quantile_sketch.h"

namespace tidemill::views {
namespace {

// quantile(x, fraction), and median(x), which is quantile(x, 0.5). NULL where there was no number.
class Quantile final : public TypedAggregate<QuantileSketch> {
 public:
  explicit Quantile(double fraction) : fraction_(fraction) {}

  const char* refuse(std::span<const Cell> arguments) const override { return refuse_number(arguments[0]); }
  std::size_t heap(const void* state) const override { return of(state).heap(); }
  void add(void* state, std::span<const Cell> arguments, Order, MemberSink&) const override {
    Cell x = arguments[0];
    if (x.is_null()) return;
    of(state).add(x.type() == CellType::integer ? static_cast<double>(x.integer()) : x.real());
  }
  void merge(void* into, const void* from) const override { of(into).merge(of(from)); }
  void encode(const void* state, std::string& out) const override { of(state).encode(out); }
  bool decode(std::string_view& in, void* state) const override { return of(state).decode(in); }
  Result<Value> value(const void* state, std::uint32_t, const MemberSource&) const override {
    if (of(state).empty()) return Value();
    return to_value(canonical(Cell::real(to_15_digits(of(state).quantile(fraction_)))));
  }

 private:
  const double fraction_;
};

}  // namespace

std::unique_ptr<const Aggregate> make_quantile(const AggregateCall& call) {
  return std::make_unique<Quantile>(call.fraction);
}

}  // namespace tidemill::views

#include "consumers/views/state/number_state.h"

namespace tidemill::views {
namespace {

// avg(x): the exact sum divided by the exact count, rounded once. NULL where there was no number.
class Avg final : public NumberAggregate {
 public:
  Result<Value> value(const void* state, std::uint32_t, const MemberSource&) const override {
    if (of(state).count == 0) return Value();
    return to_value(of(state).sum.mean(of(state).count));
  }
};

}  // namespace

std::unique_ptr<const Aggregate> make_avg(const AggregateCall&) {
  return std::make_unique<Avg>();
}

}  // namespace tidemill::views

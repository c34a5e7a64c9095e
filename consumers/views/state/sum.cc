#include "consumers/views/state/number_state.h"

namespace tidemill::views {
namespace {

// sum(x): exact until read. NULL where there was no number.
class Sum final : public NumberAggregate {
 public:
  Result<Value> value(const void* state, std::uint32_t, const MemberSource&) const override {
    if (of(state).count == 0) return Value();
    return to_value(of(state).sum.value());
  }
};

}  // namespace

std::unique_ptr<const Aggregate> make_sum(const AggregateCall&) {
  return std::make_unique<Sum>();
}

}  // namespace tidemill::views

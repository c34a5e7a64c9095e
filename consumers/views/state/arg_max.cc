#include "consumers/views/state/arg_extreme.h"

namespace tidemill::views {

std::unique_ptr<const Aggregate> make_arg_max(const AggregateCall&) {
  return std::make_unique<ArgExtreme<1>>();
}

}  // namespace tidemill::views

#include "consumers/views/state/extreme.h"

namespace tidemill::views {

std::unique_ptr<const Aggregate> make_min(const AggregateCall&) {
  return std::make_unique<Extreme<-1>>();
}

}  // namespace tidemill::views

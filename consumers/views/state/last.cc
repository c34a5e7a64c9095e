#include "consumers/views/state/ordered.h"

namespace tidemill::views {

std::unique_ptr<const Aggregate> make_last(const AggregateCall&) {
  return std::make_unique<Ordered<1>>();
}

}  // namespace tidemill::views

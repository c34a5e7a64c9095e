#include "api/limits/new_stream.h"

#include <algorithm>

#include "api/limits/gate.h"

namespace tidemill {

std::optional<http::Response> NewStream::refuse() {
  if (context_.limiter == nullptr) return std::nullopt;
  lock_ = context_.limiter->creating();
  const auto streams = context_.engine.list(tenant_);
  // Ours are not the tenant's doing.
  const auto own = std::count_if(streams.begin(), streams.end(), [](const auto& s) { return s->name()[0] != '_'; });
  const auto refusal = context_.limiter->new_stream(tenant_, static_cast<std::uint64_t>(own));
  return refusal ? std::optional(limit_problem(*refusal)) : std::nullopt;
}

}  // namespace tidemill

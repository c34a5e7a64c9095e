#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "api/context.h"
#include "api/ingest/visible.h"
#include "api/router/router.h"
#include "engine/rejection.h"
#include "storage/base/metrics.h"

namespace tidemill {

struct IngestMetrics {
  static constexpr std::size_t kCodes = 64;
  std::array<Counter, kCodes> rejected;    // by Rejection
  Histogram durable_us{kLatencyBoundsUs};  // from the whole request to its commit
  VisibleLatency visible;                  // from the whole request to each view, sampled
};

// POST /v1/streams/{stream}/records, on the network thread: parses, validates and hashes there, hands one Append to the
// log and answers when the commit's flush has returned. A commit wakes each network thread once.
class Ingest {
 public:
  Ingest(ApiContext& context, http::Server& server);
  ~Ingest();
  void post(Call& call, http::Responder responder);
  const IngestMetrics& metrics() const { return metrics_; }

 private:
  class PerLoop;
  ApiContext& context_;
  IngestMetrics metrics_;
  std::vector<std::unique_ptr<PerLoop>> loops_;
};

}  // namespace tidemill

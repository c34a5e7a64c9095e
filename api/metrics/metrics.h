#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/context.h"
#include "api/http/metrics.h"
#include "api/ingest/ingest.h"
#include "api/records/read.h"
#include "api/router/router.h"
#include "api/views/feed.h"
#include "storage/base/metrics.h"

namespace tidemill {

// Requests by route and status, and how long they took. Filled on the network threads.
class RequestMetrics {
 public:
  explicit RequestMetrics(std::size_t labels);
  void count(std::uint16_t label, int status, std::chrono::nanoseconds taken);

  static constexpr std::size_t kStatuses = 32;
  static int status_at(std::size_t index);  // 0: none
  struct Label {
    std::array<Counter, kStatuses> by_status;
    Histogram taken_us{kLatencyBoundsUs};
  };
  const Label& label(std::size_t index) const { return *labels_[index]; }
  std::size_t labels() const { return labels_.size(); }

 private:
  std::vector<std::unique_ptr<Label>> labels_;
};

// Of the certificate that is served. Any thread.
struct TlsMetrics {
  Gauge expires_s;  // since 1970; 0: there is no TLS
  Counter taken, refused;
};

struct MetricSources {
  ApiContext& context;
  const Router& router;
  const http::Metrics& http;
  const RequestMetrics& requests;
  const IngestMetrics& ingest;
  const TailMetrics& tails;
  const WatchMetrics& watches;
  const TlsMetrics& tls;
};

// The text that Prometheus scrapes, collected from everybody's counters. Milliseconds with thousands of series: on a
// worker, never on a network thread.
std::string metrics_text(const MetricSources& sources);

struct MetricDescription {
  std::string_view name;
  std::string_view type;  // counter, gauge, histogram
  std::string_view labels;
  std::string_view help;
};
std::span<const MetricDescription> metric_table();  // for docs/metrics.md and its test

}  // namespace tidemill

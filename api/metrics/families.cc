#include "api/metrics/families.h"

#include <prometheus/text_serializer.h>

#include <limits>

#include "api/metrics/metrics.h"
#include "storage/base/check.h"

namespace tidemill {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

Families::Families() {
  for (const MetricDescription& d : metric_table()) {
    MetricFamily family;
    family.name = d.name;
    family.help = d.help;
    family.type = d.type == "counter" ? MetricType::Counter
                  : d.type == "gauge" ? MetricType::Gauge
                                      : MetricType::Histogram;
    index_[d.name] = families_.size();
    families_.push_back(std::move(family));
  }
}

void Families::add(std::string_view name, double value, Labels labels) {
  MetricFamily& family = find(name);
  ClientMetric metric;
  metric.label = std::move(labels);
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family.metric.push_back(std::move(metric));
}

void Families::add(std::string_view name, const Histogram& h, double scale, Labels labels) {
  ClientMetric metric;
  metric.label = std::move(labels);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i <= h.bounds().size(); ++i) {
    sum += h.count(i);
    ClientMetric::Bucket bucket;
    bucket.cumulative_count = sum;
    bucket.upper_bound =
        i < h.bounds().size() ? static_cast<double>(h.bounds()[i]) / scale : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back(bucket);
  }
  metric.histogram.sample_count = sum;
  metric.histogram.sample_sum = static_cast<double>(h.sum()) / scale;
  find(name).metric.push_back(std::move(metric));
}

std::string Families::text() {
  std::erase_if(families_, [](const MetricFamily& f) { return f.metric.empty(); });
  return prometheus::TextSerializer().Serialize(families_);
}

MetricFamily& Families::find(std::string_view name) {
  const auto found = index_.find(name);
  CHECK(found != index_.end());
  return families_[found->second];
}

Labels one(std::string_view name, std::string_view value) {
  return {{std::string(name), std::string(value)}};
}

}  // namespace tidemill

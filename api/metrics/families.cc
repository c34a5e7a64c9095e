#include "api/metrics/families.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <map>

#include "api/metrics/metrics.h"
#include "storage/base/check.h"

namespace tidemill {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct Families::Impl {
  std::vector<MetricFamily> families;
  std::map<std::string_view, std::size_t> index;

  ClientMetric& new_metric(std::string_view name, Labels labels) {
    const auto found = index.find(name);
    CHECK(found != index.end());
    ClientMetric& metric = families[found->second].metric.emplace_back();
    for (auto& [label, value] : labels) metric.label.push_back({std::move(label), std::move(value)});
    return metric;
  }
};

Families::Families() : impl_(std::make_unique<Impl>()) {
  for (const MetricDescription& d : metric_table()) {
    impl_->index[d.name] = impl_->families.size();
    MetricFamily& family = impl_->families.emplace_back();
    family.name = d.name;
    family.help = d.help;
    family.type = d.type == "counter" ? MetricType::Counter
                  : d.type == "gauge" ? MetricType::Gauge
                                      : MetricType::Histogram;
  }
}

Families::~Families() = default;

void Families::add(std::string_view name, double value, Labels labels) {
  ClientMetric& metric = impl_->new_metric(name, std::move(labels));
  metric.counter.value = metric.gauge.value = value;  // the family's type says which of them counts
}

void Families::add(std::string_view name, const Histogram& h, double scale, Labels labels) {
  ClientMetric& metric = impl_->new_metric(name, std::move(labels));
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
}

std::string Families::text() {
  std::erase_if(impl_->families, [](const MetricFamily& f) { return f.metric.empty(); });
  impl_->index.clear();
  return prometheus::TextSerializer().Serialize(impl_->families);
}

Labels one(std::string_view name, std::string_view value) {
  return {{std::string(name), std::string(value)}};
}

Labels of_tenant(std::string_view label, const QualifiedName& value) {
  return {{std::string(label), value.name}, {"tenant", value.tenant}};
}

Labels with(Labels labels, std::string_view name, std::string_view value) {
  labels.emplace_back(name, value);
  return labels;
}

}  // namespace tidemill

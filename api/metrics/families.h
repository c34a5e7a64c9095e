#pragma once

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/metrics.h"

// Behind api/metrics only: prometheus-cpp's one home.
namespace tidemill {

using Labels = std::vector<prometheus::ClientMetric::Label>;

// The families of one answer, in the order of the table; a name that is not in it is our mistake.
class Families {
 public:
  Families();
  void add(std::string_view name, double value, Labels labels = {});
  // `scale`: the base unit in the histogram's own.
  void add(std::string_view name, const Histogram& h, double scale, Labels labels = {});
  std::string text();

 private:
  prometheus::MetricFamily& find(std::string_view name);

  std::vector<prometheus::MetricFamily> families_;
  std::map<std::string_view, std::size_t> index_;
};

Labels one(std::string_view name, std::string_view value);
inline double number(std::uint64_t n) {
  return static_cast<double>(n);
}

}  // namespace tidemill

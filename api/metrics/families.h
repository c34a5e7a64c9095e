#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/qualified_name.h"
#include "storage/base/metrics.h"

namespace tidemill {

using Labels = std::vector<std::pair<std::string, std::string>>;

// The families of one answer, in the order of the table; a name that is not in it is our mistake.
class Families {
 public:
  Families();
  ~Families();
  void add(std::string_view name, double value, Labels labels = {});
  // `scale`: the base unit in the histogram's own.
  void add(std::string_view name, const Histogram& h, double scale, Labels labels = {});
  std::string text();  // at the end: nothing can be added after it

 private:
  struct Impl;  // prometheus-cpp has its one home in families.cc
  std::unique_ptr<Impl> impl_;
};

Labels one(std::string_view name, std::string_view value);
// A stream, view or group, and whose it is: both on every sample of its family, so that sums and joins over them work.
Labels of_tenant(std::string_view label, const QualifiedName& value);
Labels with(Labels labels, std::string_view name, std::string_view value);
inline double number(std::uint64_t n) {
  return static_cast<double>(n);
}

}  // namespace tidemill

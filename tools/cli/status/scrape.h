#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemill::cli {

// One line of /metrics.
struct Sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

// What /metrics says: Prometheus' text format. Lines that are none of it are passed over.
class Scrape {
 public:
  Scrape() = default;
  explicit Scrape(std::string_view text);
  std::optional<double> value(std::string_view name) const;  // of the series without labels
  double sum(std::string_view name) const;                   // over all labels; 0 when there is none
  const std::vector<Sample>& samples() const { return samples_; }

 private:
  std::vector<Sample> samples_;
};

}  // namespace tidemill::cli

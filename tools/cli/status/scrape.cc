#include "tools/cli/status/scrape.h"

#include <cstdlib>

namespace tidemill::cli {
namespace {

// NAME{label="value",...} VALUE; in a value, \\ \" \n are escaped.
std::optional<Sample> parse(std::string_view line) {
  Sample sample;
  const std::size_t end = line.find_first_of("{ ");
  if (end == 0 || end == std::string_view::npos || line[0] == '#') return std::nullopt;
  sample.name = line.substr(0, end);
  std::size_t at = end;
  if (line[at] == '{') {
    for (++at; at < line.size() && line[at] != '}';) {
      const std::size_t equals = line.find("=\"", at);
      if (equals == std::string_view::npos) return std::nullopt;
      std::string& value = sample.labels[std::string(line.substr(at, equals - at))];
      for (at = equals + 2; at < line.size() && line[at] != '"'; ++at) {
        if (line[at] == '\\' && at + 1 < line.size()) {
          value += line[++at] == 'n' ? '\n' : line[at];
        } else {
          value += line[at];
        }
      }
      if (++at < line.size() && line[at] == ',') ++at;
    }
    ++at;
  }
  if (at >= line.size() || line[at] != ' ') return std::nullopt;
  const std::string number(line.substr(at + 1));
  char* rest = nullptr;
  sample.value = std::strtod(number.c_str(), &rest);
  if (rest == number.c_str()) return std::nullopt;
  return sample;
}

}  // namespace

Scrape::Scrape(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (auto sample = parse(text.substr(0, end))) samples_.push_back(std::move(*sample));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

std::optional<double> Scrape::value(std::string_view name) const {
  for (const Sample& s : samples_)
    if (s.name == name && s.labels.empty()) return s.value;
  return std::nullopt;
}

double Scrape::sum(std::string_view name) const {
  double sum = 0;
  for (const Sample& s : samples_)
    if (s.name == name) sum += s.value;
  return sum;
}

}  // namespace tidemill::cli

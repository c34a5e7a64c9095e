#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tools/cli/status/scrape.h"

namespace tidemill::cli {

// What a server said of itself.
struct ServerFacts {
  std::string address;
  bool ready = false;  // every view is where it was before the last stop
  std::string ingest;  // empty: it takes records; else the sentence why not
  std::vector<nlohmann::ordered_json> streams, groups, views, failed_views;  // as /v1/... gives them
  Scrape metrics;
  std::map<std::string, double> rates;              // records per second, by stream
  std::map<std::string, std::uint64_t> applied_by;  // where each group was a moment before
};

// Where the key shows no stream and no view although the server has some: a sentence that says why. Else empty. It is
// nothing that needs a hand: of all tenants a key may see its own only.
std::string unseen(const ServerFacts& facts);
// What needs a hand: each a sentence that says what is wrong and what to do. Empty: nothing does.
std::vector<std::string> troubles(const ServerFacts& facts);

// One screen, the troubles at its end. `width` 0: nothing is cut.
std::string screen(const ServerFacts& facts, const std::vector<std::string>& troubles, std::size_t width);
nlohmann::ordered_json report_json(const ServerFacts& facts, const std::vector<std::string>& troubles);

}  // namespace tidemill::cli

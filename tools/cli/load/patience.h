#pragma once

#include <optional>
#include <string>

#include "tools/cli/load/retry.h"
#include "tools/cli/load/sender.h"

namespace tidemill::cli {

// May the same request, sent again before long, be answered otherwise? Not where a quota is used up: that lasts until
// the next day or month.
bool is_worth_a_retry(const HttpResponse& response);

// The sentence of an answer that is final; of a 429 with the time that Retry-After says.
std::string final_problem(const HttpResponse& response);

// What to do after a request that was not answered (`lost` says why) or is worth a retry.
struct NextTry {
  std::optional<std::chrono::milliseconds> pause;  // nullopt: none, enough has been waited
  std::string problem;                             // a sentence; without a pause, why it is given up, and what to do
  int exit_code = 0;                               // without a pause
};
NextTry next_try(Retry& retry, std::chrono::steady_clock::time_point now, const HttpResponse* response,
                 const HttpFailure& lost);

}  // namespace tidemill::cli

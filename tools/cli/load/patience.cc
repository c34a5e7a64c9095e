#include "tools/cli/load/patience.h"

#include <nlohmann/json.hpp>

#include "tools/cli/commands.h"
#include "tools/cli/config/config.h"

namespace tidemill::cli {
namespace {

using std::chrono::milliseconds;

std::string code_of(const HttpResponse& response) {
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  if (!json.is_object()) return {};
  const auto code = json.find("code");
  return code != json.end() && code->is_string() ? code->get<std::string>() : std::string();
}

// In whole days, hours or minutes where it is many of them; never less than it is.
std::string readable(milliseconds time) {
  using namespace std::chrono;
  if (time > hours(48)) return format_duration(ceil<days>(time));
  if (time > hours(2)) return format_duration(ceil<hours>(time));
  if (time > minutes(2)) return format_duration(ceil<minutes>(time));
  return format_duration(ceil<seconds>(time));
}

}  // namespace

bool is_worth_a_retry(const HttpResponse& response) {
  if (response.status == 429) return code_of(response) != "quota_exceeded";
  return response.status == 408 || response.status == 425 || response.status >= 500;
}

std::string final_problem(const HttpResponse& response) {
  std::string problem = problem_text(response);
  if (const auto asked = Retry::asked(response.header("retry-after")); asked && response.status == 429)
    problem += "; Retry-After: in " + readable(*asked);
  return problem;
}

NextTry next_try(Retry& retry, std::chrono::steady_clock::time_point now, const HttpResponse* response,
                 const HttpFailure& lost) {
  NextTry next;
  next.problem = response ? problem_text(*response) : lost.message;
  next.exit_code = kNotReached;
  if (!response && lost.kind == HttpFailure::Kind::not_trusted) return next;  // no time makes that better
  const auto asked = response ? Retry::asked(response->header("retry-after")) : std::nullopt;
  const bool told = response && response->status == 429;
  next.pause = told ? retry.told_to_wait(now, asked.value_or(milliseconds(1'000))) : retry.failed(now, asked);
  if (next.pause) return next;
  const std::string limit = readable(retry.limit());
  if (!told) {
    if (!response) next.problem = unanswered(lost);
    next.problem += "; given up after " + limit + " (--retry-for)";
    return next;
  }
  next.problem += asked && *asked > retry.limit()
                      ? "; it asks to wait " + readable(*asked) + ", longer than --retry-for " + limit
                      : "; nothing has been taken for " + limit + " (--retry-for)";
  if (code_of(*response) == "connection_limit") next.problem += "; --connections says how many a load opens";
  return next;
}

}  // namespace tidemill::cli

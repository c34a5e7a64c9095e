// Records that a view could not count: which, why, and what becomes of them.
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/rows.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kCommand = "view quarantine";

std::string records(std::uint64_t n) {
  return std::to_string(n) + (n == 1 ? " record" : " records");
}

int list(const Server& server, const std::string& path, std::uint32_t limit) {
  const Answer answer = call(server, kCommand, server.request("GET", path + "?limit=" + std::to_string(limit)));
  if (answer.exit_code != kOk) return answer.exit_code;
  const Json json = Json::parse(answer.response.body, nullptr, false);
  if (!json.is_object()) return wrong_use(kCommand, "the answer is not a JSON object");
  Json shown = Json::array();
  for (const Json& record : json.value("records", Json::array())) {
    Json row;
    for (const char* name : {"sequence", "time", "key", "reason", "data"}) row[name] = record.value(name, Json());
    shown.push_back(row);
  }
  const std::uint64_t count = json.value("count", std::uint64_t{0});
  print((shown.empty() ? "" : table_of_objects(shown)) + "(" + records(count) + (count == 1 ? " is" : " are") +
        " set aside" + (json.contains("next") && json["next"].is_number() ? "; more than are shown: --limit" : "") +
        ")\n");
  return kOk;
}

// Rows as they are (-) and as they would be (+).
std::string changes_text(const Json& rows) {
  Json shown = Json::array();
  for (const Json& change : rows) {
    for (const auto& [name, sign] : {std::pair{"before", "-"}, std::pair{"after", "+"}}) {
      if (!change.contains(name) || !change[name].is_object()) continue;
      Json row{{"", sign}};
      for (const auto& [column, value] : change[name].items()) row[column] = value;
      shown.push_back(row);
    }
  }
  return shown.empty() ? "" : table_of_objects(shown);
}

// What was decided, in one answer or in several.
struct Decided {
  std::uint64_t decided = 0, refused = 0, rows = 0, left = 0;
  Json changes = Json::array(), reasons = Json::array();
  bool applied = true;

  void add(const Json& answer) {
    decided += answer.value("decided", std::uint64_t{0});
    refused += answer.value("refused_count", std::uint64_t{0});
    rows += answer.value("row_count", std::uint64_t{0});
    left = answer.value("count", std::uint64_t{0});
    applied = applied && answer.value("applied", true);
    for (const Json& c : answer.value("rows", Json::array()))
      if (changes.size() < 100) changes.push_back(c);
    for (const Json& r : answer.value("refused", Json::array()))
      if (reasons.size() < 20) reasons.push_back(r);
  }
};

int say(const ViewOptions& options, const std::string& done, const Decided& sum) {
  std::string out = changes_text(sum.changes);
  if (sum.changes.size() < sum.rows) out += "(" + std::to_string(sum.rows) + " rows change, not all are shown)\n";
  out += "view " + options.view + ": " + records(sum.decided) + (options.dry_run ? " would be " : " ") + done;
  if (sum.refused > 0) out += ", " + records(sum.refused) + " still cannot be counted";
  out += "; " + records(sum.left) + (sum.left == 1 ? " is" : " are") + " set aside";
  out += options.dry_run ? " (nothing was decided)\n" : "\n";
  if (!sum.applied) out += "it is kept, and takes effect as soon as the views' store takes writes again\n";
  if (!sum.reasons.empty()) out += table_of_objects(sum.reasons);
  print(out);
  return sum.refused > 0 ? kPartly : kOk;
}

}  // namespace

int view_quarantine(const ViewOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use(kCommand, error);
  const std::string path = "/v1/views/" + percent_encode(options.view) + "/quarantine";
  const bool skip = !options.skip.empty();
  const std::string which = skip ? options.skip : !options.redrive.empty() ? options.redrive : options.edit;
  if (which.empty()) {
    if (options.dry_run || !options.reason.empty())
      return wrong_use(kCommand, "--dry-run and --reason go with --skip, --redrive or --edit");
    return list(*server, path, options.limit);
  }
  const bool all = which == "all";
  if (all && !options.edit.empty()) return wrong_use(kCommand, "--edit takes one sequence");
  if (!all && which.find_first_not_of("0123456789") != std::string::npos)
    return wrong_use(kCommand, "a record is named by its sequence, a number" +
                                   std::string(options.edit.empty() ? "; all means all of them" : ""));
  if (!all && !options.reason.empty()) return wrong_use(kCommand, "--reason goes with all");

  std::string body = std::string("{\"decision\":\"") + (skip ? "skip" : "redrive") + "\"";
  if (!options.edit.empty()) {
    std::string data = options.data;
    if (data.empty() || data == "-")
      data.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
    if (!Json::accept(data)) return wrong_use(kCommand, "--data is not JSON");
    body += ",\"data\":" + data;  // as it is spelled
  }
  if (options.dry_run) body += ",\"dry_run\":true";
  if (!options.reason.empty())
    body += ",\"reason\":" + Json(options.reason).dump(-1, ' ', false, Json::error_handler_t::replace);

  Decided sum;
  for (std::string from;;) {
    HttpRequest request = server->request("POST", all ? path : path + "/" + which);
    request.headers.emplace_back("Content-Type", "application/json");
    const std::string text = body + from + "}";
    request.body = text;
    const Answer answer = call(*server, kCommand, request);
    if (answer.exit_code != kOk) return answer.exit_code;
    const Json json = Json::parse(answer.response.body, nullptr, false);
    if (!json.is_object()) return wrong_use(kCommand, "the answer is not a JSON object");
    sum.add(json);
    if (!all || !json.contains("next") || !json["next"].is_number()) break;
    from = ",\"from\":" + json["next"].dump();
  }
  return say(options, skip ? "skipped" : options.edit.empty() ? "driven again" : "edited", sum);
}

}  // namespace tidemill::cli

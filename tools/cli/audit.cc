#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "storage/seam/clock.h"
#include "tools/cli/commands.h"
#include "tools/cli/config/config.h"
#include "tools/cli/keys/named_key.h"
#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/rows.h"
#include "tools/cli/times.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kPage = 1'000;

// What has a column of its own, and the rest of the event as NAME=VALUE.
std::vector<Cell> row_of(const Json& event) {
  const auto take = [&](const char* name) {
    const auto it = event.find(name);
    return it == event.end() ? Cell() : cell_of(*it);
  };
  // Who asked; `key` is that in the audit trail, and whose limits were changed in the system stream.
  Cell key = take("by");
  if (key.text.empty() && event.value("log", "") != "_system") key = take("key");
  std::string rest;
  for (const auto& [name, value] : event.items()) {
    static constexpr std::string_view kColumns[] = {"time",  "action", "by",       "tenant", "address",
                                                    "count", "log",    "sequence", "first",  "last"};
    if (std::find(std::begin(kColumns), std::end(kColumns), name) != std::end(kColumns)) continue;
    if (name == "key" && key.text == cell_of(value).text) continue;
    rest += (rest.empty() ? "" : " ") + name + "=" + cell_of(value).text;
  }
  return {take("time"), take("action"), key, take("tenant"), take("address"), take("count"), Cell{rest, false}};
}

// Nothing is an answer, unless it is for a key that there is not.
int say_nothing_found(const Server& server, const AuditOptions& options, const std::string& from_to) {
  if (!options.key.empty()) {
    const Answer answer = ask(server, "audit", server.request("GET", "/v1/keys/" + options.key));
    if (answer.exit_code != kOk) return answer.exit_code;
    // Who may not see keys is not told.
    if (answer.response.status == 404)
      return wrong_use("audit", "there is no key " + options.key + "; `tidemill keys list` shows them");
  }
  if (options.json) return kOk;
  std::string of;
  if (!options.action.empty()) of += " of action " + options.action;
  if (!options.key.empty()) of += " of key " + options.key;
  std::fprintf(stderr, "no events%s%s\n", of.c_str(), from_to.c_str());
  return kOk;
}

}  // namespace

int audit(const AuditOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("audit", error);
  if (options.limit == 0) return wrong_use("audit", "--limit takes a number from 1 on");
  std::string query;
  const auto add = [&](const char* name, const std::string& value) {
    query += std::string("&") + name + "=" + percent_encode(value);
  };
  if (!options.key.empty()) {
    const auto id = named_key(options.key, error);
    if (!id) return wrong_use("audit", error);
    add("key", to_text(*id));
  }
  if (!options.action.empty()) add("action", options.action);
  std::string from_to;  // as it is said where there is nothing
  for (const auto& [name, text] : {std::pair("from", &options.from), std::pair("until", &options.until)}) {
    if (text->empty()) continue;
    const auto time = parse_past(*text, system_clock().wall());
    if (!time)
      return wrong_use(
          "audit", std::string("--") + name +
                       " takes a time such as 2026-01-31 or 2026-01-31T08:00:00Z, or how long ago, such as 24h; not '" +
                       *text + "'");
    add(name, format_rfc3339(*time));
    from_to += std::string(" ") + name + " " + format_rfc3339(*time);
  }
  std::uint64_t left = options.limit;
  RunningTable table({{"time"}, {"action"}, {"key"}, {"tenant"}, {"address"}, {"count", true}, {"what"}});
  bool whole = true;
  bool any = false;
  for (std::string cursor; left != 0;) {
    std::string path = "/v1/audit?limit=" + std::to_string(std::min(left, kPage)) + query;
    if (!cursor.empty()) path += "&cursor=" + cursor;
    const Answer answer = call(*server, "audit", server->request("GET", path));
    if (answer.exit_code != kOk) return answer.exit_code;
    const Json json = Json::parse(answer.response.body, nullptr, false);
    if (!json.is_object() || !json.contains("events") || !json["events"].is_array())
      return wrong_use("audit", "the answer is not understood; is the server of another version?");
    whole = whole && json.value("lost", Json::array()).empty();
    any = any || !json["events"].empty();
    std::vector<std::vector<Cell>> rows;
    for (const Json& event : json["events"]) {
      if (options.json) {
        if (!print(event.dump() + "\n")) return kOk;
      } else {
        rows.push_back(row_of(event));
      }
    }
    left -= std::min<std::uint64_t>(left, json["events"].size());
    if (!rows.empty() && !print(table.add(rows, 0))) return kOk;
    const auto next = json.find("next");
    if (next == json.end() || !next->is_string()) break;
    cursor = next->get<std::string>();
  }
  if (!any)
    if (const int code = say_nothing_found(*server, options, from_to); code != kOk) return code;
  if (whole) return kOk;
  (void)wrong_use("audit", "some events cannot be read: the logs are damaged; `tidemill verify` says where");
  return kPartly;
}

int audit_head(const AuditOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("audit head", error);
  const Answer answer = call(*server, "audit head", server->request("GET", "/v1/audit/head"));
  if (answer.exit_code != kOk) return answer.exit_code;
  const Json json = Json::parse(answer.response.body, nullptr, false);
  if (!json.is_object() || !json.contains("heads") || !json["heads"].is_array())
    return wrong_use("audit head", "the answer is not understood; is the server of another version?");
  for (const Json& head : json["heads"])
    print(head.value("log", "") + " " + std::to_string(head.value("sequence", std::uint64_t{0})) + " " +
          head.value("sha256", "") + "\n");
  return kOk;
}

}  // namespace tidemill::cli

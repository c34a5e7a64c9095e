// The points at which the views are kept as they were.
#include <nlohmann/json.hpp>

#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/rows.h"

namespace tidemill::cli {

int view_history(const ViewOptions& options) {
  using Json = nlohmann::ordered_json;
  constexpr const char* kCommand = "view history";
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use(kCommand, error);
  const Answer answer = call(*server, kCommand, server->request("GET", "/v1/history"));
  if (answer.exit_code != kOk) return answer.exit_code;
  const Json json = Json::parse(answer.response.body, nullptr, false);
  if (!json.is_object()) return wrong_use(kCommand, "the answer is not a JSON object");
  // A row for each stream: its views are at the same record.
  Json shown = Json::array();
  const Json points = json.value("points", Json::array());
  for (const Json& point : points) {
    Json rows = Json::object();
    for (const Json& v : point.value("views", Json::array())) {
      const std::string stream = v.value("stream", "");
      if (!rows.contains(stream)) rows[stream] = Json{{"sequence", v.value("sequence", Json())}, {"views", ""}};
      std::string names = rows[stream]["views"].get<std::string>();
      rows[stream]["views"] = names + (names.empty() ? "" : " ") + v.value("view", "");
    }
    if (rows.empty()) rows[""] = Json{{"sequence", nullptr}, {"views", ""}};
    for (const auto& [stream, row] : rows.items())
      shown.push_back({{"point", point.value("number", Json())},
                       {"made", point.value("made", "")},
                       {"stream", stream},
                       {"sequence", row["sequence"]},
                       {"views", row["views"]},
                       {"bytes", point.value("bytes", Json())}});
  }
  const Json every = json.value("every_seconds", Json());
  std::string out = shown.empty() ? "" : table_of_objects(shown);
  if (!every.is_number()) {
    out += "(none is kept: history.every is off)\n";
  } else {
    out += "(" + std::to_string(points.size()) + " of at most " + std::to_string(json.value("keep", std::uint64_t{0})) +
           ", one each " + every.dump() + " s where a view has changed)\n";
  }
  if (const Json failed = json.value("failed", Json()); failed.is_string())
    out += "The last one could not be made: " + failed.get<std::string>() + "\n";
  print(out);
  return kOk;
}

}  // namespace tidemill::cli

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "tools/cli/config/config.h"
#include "tools/cli/load/display.h"
#include "tools/cli/remote.h"
#include "tools/cli/rows.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kLagSecondsMax = 60;  // a group that is further behind needs a hand

// Everything that one screen says, asked of the server; and what of it is not well.
class Status {
 public:
  explicit Status(Server server) : server_(std::move(server)), client_(server_.url, {}) {}

  // False: the server was not reached or does not answer like one; `error` says so.
  bool ask(std::string& error) {
    const auto ready = get("/readyz", error);
    if (!ready) return false;
    ready_ = ready->status == 200;
    const auto ingest = get("/readyz/ingest", error);
    if (!ingest) return false;
    ingest_ = ingest->status == 200;
    if (!list("/v1/streams", "streams", streams_, error) || !list("/v1/groups", "groups", groups_, error) ||
        !list("/v1/views", "views", views_, error))
      return false;
    const auto before = positions(error);
    const auto begin = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::seconds(1));  // a rate is a difference
    const auto after = positions(error);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    for (const auto& [name, position] : after) {
      records_[name] = position - 1;
      if (const auto it = before.find(name); it != before.end() && position >= it->second)
        rates_[name] = static_cast<double>(position - it->second) / seconds;
    }
    judge();
    return true;
  }

  const std::vector<std::string>& troubles() const { return troubles_; }

  std::string text() const {
    std::string out = "tidemill at " + server_.url.authority() + ": " + (ready_ ? "ready" : "views are catching up") +
                      (ingest_ ? "" : ", not taking records") + "\n\n";
    std::vector<std::vector<Cell>> rows;
    for (const Json& s : streams_) {
      const std::string name = s.value("name", "");
      rows.push_back({{name, false},
                      {with_commas(value_of(records_, name)), true},
                      {with_commas(static_cast<std::uint64_t>(value_of(rates_, name))), true},
                      {s.contains("bytes") && s["bytes"].is_number() ? megabytes(s["bytes"]) : "", true}});
    }
    out += format_table({"stream", "records", "records/s", "MB"}, rows, terminal_width());
    rows.clear();
    for (const Json& g : groups_)
      rows.push_back({{g.value("name", ""), false},
                      {with_commas(number(g, "lag_records")), true},
                      {seconds_text(g), true},
                      {error_of(g), false}});
    out += "\n" + format_table({"group", "lag records", "lag seconds", "last error"}, rows, terminal_width());
    rows.clear();
    for (const Json& v : views_)
      rows.push_back({{v.value("name", ""), false},
                      {with_commas(number(v, "rows")), true},
                      {with_commas(number(v, "parked")), true},
                      {v.value("ready", true) ? "yes" : "no", false}});
    if (!rows.empty()) out += "\n" + format_table({"view", "rows", "parked", "ready"}, rows, terminal_width());
    for (const std::string& trouble : troubles_)
      out += (&trouble == &troubles_.front() ? "\n! " : "! ") + trouble + "\n";
    return out;
  }

  Json json() const {
    Json out{{"ready", ready_}, {"ingest", ingest_},   {"streams", streams_},          {"groups", groups_},
             {"views", views_}, {"records", records_}, {"records_per_second", rates_}, {"troubles", troubles_}};
    return out;
  }

 private:
  template <class Map>
  static typename Map::mapped_type value_of(const Map& map, const std::string& name) {
    const auto it = map.find(name);
    return it == map.end() ? typename Map::mapped_type{} : it->second;
  }
  static std::uint64_t number(const Json& object, const char* name) {
    const auto it = object.find(name);
    return it != object.end() && it->is_number() ? static_cast<std::uint64_t>(it->get<double>()) : 0;
  }
  static std::string error_of(const Json& group) {
    const auto it = group.find("last_error");
    return it != group.end() && it->is_object() ? it->value("message", "") : "";
  }
  static std::string megabytes(double bytes) { return with_commas(static_cast<std::uint64_t>(bytes / 1e6)); }
  static std::string seconds_text(const Json& group) {
    const auto it = group.find("lag_seconds");
    if (it == group.end() || !it->is_number()) return "";
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", it->get<double>());
    return text;
  }

  std::optional<HttpResponse> get(const std::string& path, std::string& error) {
    HttpFailure failure;
    auto response = client_.send(server_.request("GET", path), failure);
    if (!response) error = failure.message + "; is the server running? (--url or API_URL says where)";
    return response;
  }

  bool list(const std::string& path, const char* member, Json& into, std::string& error) {
    const auto response = get(path, error);
    if (!response) return false;
    const Json json = Json::parse(response->body, nullptr, false);
    if (response->status != 200 || !json.is_object() || !json.contains(member) || !json[member].is_array()) {
      error = path + ": " + problem_text(*response);
      return false;
    }
    into = json[member];
    return true;
  }

  // Of each stream: the sequence of the next record.
  std::map<std::string, std::uint64_t> positions(std::string& error) {
    std::map<std::string, std::uint64_t> out;
    for (const Json& s : streams_) {
      const std::string name = s.value("name", "");
      const auto response = get("/v1/streams/" + percent_encode(name) + "/records?from=latest&limit=1", error);
      if (!response || response->status != 200) continue;
      const Json json = Json::parse(response->body, nullptr, false);
      if (json.is_object() && json.contains("next")) out[name] = std::max<std::uint64_t>(1, number(json, "next"));
    }
    return out;
  }

  void judge() {
    if (!ingest_) troubles_.push_back("the server takes no records: see its log");
    for (const Json& s : streams_)
      if (!s.value("accepting", true))
        troubles_.push_back("stream " + s.value("name", "") +
                            " takes no records since its disk failed: repair it and start "
                            "the server again");
    for (const Json& s : streams_)
      if (const auto lost = s.find("lost"); lost != s.end() && lost->is_array() && !lost->empty())
        troubles_.push_back("stream " + s.value("name", "") + " has damaged records: " + lost->dump() +
                            " (the server's log names file and offset)");
    for (const Json& g : groups_) {
      const std::string error = error_of(g);
      // An error that was got over leaves no lag behind.
      if (!error.empty() && number(g, "lag_records") > 0)
        troubles_.push_back("group " + g.value("name", "") + " does not get on: " + error);
      else if (g.contains("lag_seconds") && g["lag_seconds"].is_number() && g["lag_seconds"] > kLagSecondsMax)
        troubles_.push_back("group " + g.value("name", "") + " is more than a minute behind");
    }
    for (const Json& v : views_)
      if (number(v, "parked") > 0)
        troubles_.push_back("view " + v.value("name", "") + " has parked " + with_commas(number(v, "parked")) +
                            " records that it cannot count");
  }

  Server server_;
  HttpClient client_;
  bool ready_ = false;
  bool ingest_ = false;
  Json streams_ = Json::array(), groups_ = Json::array(), views_ = Json::array();
  std::map<std::string, std::uint64_t> records_;
  std::map<std::string, double> rates_;
  std::vector<std::string> troubles_;
};

}  // namespace

int status(const StatusOptions& options) {
  std::string error;
  auto server = resolve(options.remote, error);
  if (!server) return wrong_use("status", error);
  Status status(std::move(*server));
  if (!status.ask(error)) {
    wrong_use("status", error);
    return kNotReached;
  }
  const std::string out = options.json ? status.json().dump(2) + "\n" : status.text();
  if (std::fputs(out.c_str(), stdout) < 0 || std::fflush(stdout) != 0) return kWrongUse;
  return status.troubles().empty() ? kOk : kPartly;
}

}  // namespace tidemill::cli

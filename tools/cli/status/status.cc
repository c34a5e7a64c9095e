#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/status/report.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

// Asks the server for all that status() shows.
class Asking {
 public:
  explicit Asking(Server server) : server_(std::move(server)), client_(server_.url, {}) {}

  // False: the server was not reached or does not answer like one; `error` says so.
  bool ask(ServerFacts& facts, std::string& error) {
    facts.address = server_.url.authority();
    const auto ready = get("/readyz", error);
    if (!ready) return false;
    facts.ready = ready->status == 200;
    const auto ingest = get("/readyz/ingest", error);
    if (!ingest) return false;
    if (ingest->status != 200) facts.ingest = problem_text(*ingest);

    Json before, groups_before;
    if (!ask_json("/v1/streams", before, error) || !ask_json("/v1/groups", groups_before, error)) return false;
    const auto begin = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::seconds(1));  // a rate is a difference
    Json streams, groups, views;
    if (!ask_json("/v1/streams", streams, error) || !ask_json("/v1/groups", groups, error) ||
        !ask_json("/v1/views", views, error))
      return false;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const auto metrics = get("/metrics", error);
    if (!metrics) return false;
    if (metrics->status != 200) {
      error = "/metrics: " + problem_text(*metrics);
      note_refusal(*metrics);
      return false;
    }
    facts.metrics = Scrape(metrics->body);
    facts.streams = member(streams, "streams");
    facts.groups = member(groups, "groups");
    facts.views = member(views, "views");
    facts.failed_views = member(views, "failed");
    for (const Json& g : member(groups_before, "groups"))
      facts.applied_by[g.value("name", "")] = g.value("applied", std::uint64_t{0});
    std::map<std::string, std::uint64_t> last;
    for (const Json& s : member(before, "streams"))
      last[s.value("name", "")] = s.value("last_sequence", std::uint64_t{0});
    for (const Json& s : facts.streams) {
      const std::uint64_t now = s.value("last_sequence", std::uint64_t{0});
      const auto then = last.find(s.value("name", ""));
      if (then != last.end() && now >= then->second)
        facts.rates[then->first] = static_cast<double>(now - then->second) / seconds;
    }
    return true;
  }

  int exit_code() const { return exit_code_; }  // after ask() gave false

 private:
  std::optional<HttpResponse> get(const std::string& path, std::string& error) {
    HttpFailure failure;
    auto response = client_.send(server_.request("GET", path), failure);
    if (!response) error = unanswered(failure);
    return response;
  }
  bool ask_json(const std::string& path, Json& into, std::string& error) {
    const auto response = get(path, error);
    if (!response) return false;
    into = Json::parse(response->body, nullptr, false);
    if (response->status == 200 && into.is_object()) return true;
    error = path + ": " + problem_text(*response);
    note_refusal(*response);
    return false;
  }
  // What it refuses is wrong use; what it cannot do now, it may later.
  void note_refusal(const HttpResponse& response) {
    if (response.status < 500) exit_code_ = kWrongUse;
  }
  static std::vector<Json> member(const Json& object, const char* name) {
    const auto it = object.find(name);
    return it != object.end() && it->is_array() ? it->get<std::vector<Json>>() : std::vector<Json>();
  }

  Server server_;
  HttpClient client_;
  int exit_code_ = kNotReached;
};

}  // namespace

int status(const StatusOptions& options) {
  std::string error;
  auto server = resolve(options.remote, error);
  if (!server) return wrong_use("status", error);
  Asking asking(std::move(*server));
  ServerFacts facts;
  if (!asking.ask(facts, error)) {
    wrong_use("status", error);
    return asking.exit_code();
  }
  const auto found = troubles(facts);
  const std::string out =
      options.json ? report_json(facts, found).dump(2) + "\n" : screen(facts, found, terminal_width());
  print(out);
  if (const std::string why = unseen(facts); !why.empty()) std::fprintf(stderr, "tidemill status: %s\n", why.c_str());
  return found.empty() ? kOk : kPartly;
}

}  // namespace tidemill::cli

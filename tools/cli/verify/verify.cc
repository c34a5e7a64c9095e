#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/json/writer.h"
#include "tools/cli/commands.h"
#include "tools/cli/looking.h"
#include "tools/cli/output.h"
#include "tools/cli/verify/verify_data.h"

namespace tidemill::cli {
namespace {

// Lines for people and scripts, or one JSON object a line. Both are as docs/cli.md has them.
class Printing final : public VerifyReport {
 public:
  Printing(std::string data, bool json) : data_(std::move(data)), json_(json) {}

  void finding(const Finding& f) override {
    const bool damage = f.grade == Finding::Grade::damage;
    ++(damage ? damages_ : notes_);
    std::string file = f.file;  // below the data directory
    if (file.starts_with(data_ + "/")) file.erase(0, data_.size() + 1);
    std::string line;
    if (json_) {
      JsonWriter json(line);
      json.begin_object().field("type", damage ? "damage" : "note").field("kind", f.kind).field("file", file);
      json.field("offset", f.offset.value());
      if (f.first != Sequence()) json.field("first", f.first.value()).field("last", f.last.value());
      json.field("text", f.text).end_object();
    } else {
      line = std::string(damage ? "damage " : "note ") + f.kind + " " + file + " offset " +
             std::to_string(f.offset.value());
      if (f.first != Sequence())
        line += " records " + std::to_string(f.first.value()) + "-" + std::to_string(f.last.value());
      line += ": " + f.text;
    }
    print(line + "\n");
  }

  void part(const std::string& what, const std::string& name, const Facts& facts) override {
    std::string line;
    if (json_) {
      JsonWriter json(line);
      json.begin_object().field("type", what).field("name", name);
      for (const auto& [fact, number] : facts) json.field(fact, number);
      json.end_object();
    } else {
      line = what + " " + name + ":";
      for (const auto& [fact, number] : facts) line += std::string(" ") + fact + " " + std::to_string(number);
    }
    print(line + "\n");
  }

  int end() {
    std::string line;
    if (json_) {
      JsonWriter json(line);
      json.begin_object().field("type", "end").field("damages", damages_).field("notes", notes_).end_object();
    } else {
      line = damages_ == 0 ? "nothing is damaged" : "damages " + std::to_string(damages_);
      line += ", notes " + std::to_string(notes_);
    }
    print(line + "\n");
    return damages_ == 0 ? kOk : kPartly;
  }

 private:
  const std::string data_;
  const bool json_;
  std::uint64_t damages_ = 0;
  std::uint64_t notes_ = 0;
};

// A directory of one's own for views that are made anew; gone at the end.
class Scratch {
 public:
  explicit Scratch(const std::string& where) {
    const char* tmp = std::getenv("TMPDIR");
    path_ = (!where.empty() ? where : tmp && *tmp ? tmp : "/tmp") + "/tidemill-verify-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The server compares its views by itself.
int verify_views_by(const Server& server, VerifyReport& report) {
  const Answer list = call(server, "verify", server.request("GET", "/v1/views"));
  if (list.exit_code != kOk) return list.exit_code;
  const auto views = nlohmann::json::parse(list.response.body, nullptr, false);
  if (!views.is_object() || !views.contains("views")) return wrong_use("verify", "the list of views is not understood");
  HttpClient::Options patient;
  patient.answer_timeout = std::chrono::hours(24);
  for (const auto& view : views["views"]) {
    const std::string name = view.value("name", "");
    HttpClient client(server.url, patient);
    HttpFailure failure;
    const auto response = client.send(server.request("POST", "/v1/views/" + percent_encode(name) + "/verify"), failure);
    if (!response) return wrong_use("verify", failure.message), kNotReached;
    if (response->status == 404) continue;  // dropped meanwhile
    if (response->status == 410) {
      report.finding({Finding::Grade::note,
                      "view",
                      "views",
                      ByteOffset(0),
                      {},
                      {},
                      "View " + name +
                          ": Not compared: records that it counts are gone from the log, and there is no base of the "
                          "views that has them."});
      continue;
    }
    if (response->status != 200) return wrong_use("verify", "view " + name + ": " + problem_text(*response));
    const auto json = nlohmann::json::parse(response->body, nullptr, false);
    const std::uint64_t differ = json.value("difference_count", std::uint64_t{0});
    if (differ != 0)
      report.finding({Finding::Grade::damage,
                      "view",
                      "views",
                      ByteOffset(0),
                      {},
                      {},
                      "View " + name + ": " + std::to_string(differ) +
                          " keys differ from what the log gives. Stop the server, move DATA/views away and start it: "
                          "all views are then built from their base, where there is one, and the log."});
    report.part("view", name, {{"differences", differ}});
  }
  return kOk;
}

// What `audit head` prints: LOG SEQUENCE SHA256, a line each. False: a line is something else, or (`wrong` is empty)
// there is none: a head that was not kept must not pass for one that fits.
bool take_heads(std::istream& in, VerifyDataOptions& into, std::string& wrong) {
  bool any = false;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string log, hash, more;
    std::uint64_t sequence = 0;
    words >> log >> sequence >> hash;
    const auto parsed = chain_hash_from_hex(hash);
    if (!words || words >> more || !parsed || (log != "_system" && log != "_audit")) {
      wrong = line;
      return false;
    }
    any = true;
    if (sequence != 0) into.heads[log].push_back({Sequence(sequence), *parsed});
  }
  return any;
}

// What the server knows of its own logs. It is asked before the cut, so that all of it is below.
int ask_heads(const Server& server, VerifyDataOptions& into) {
  const Answer answer = call(server, "verify", server.request("GET", "/v1/audit/head"));
  if (answer.exit_code != kOk) return answer.exit_code;
  const auto json = nlohmann::json::parse(answer.response.body, nullptr, false);
  if (!json.is_object() || !json.contains("heads") || !json["heads"].is_array())
    return wrong_use("verify", "the server's answer to GET /v1/audit/head is not understood");
  for (const auto& head : json["heads"]) {
    const auto hash = chain_hash_from_hex(head.value("sha256", ""));
    const std::uint64_t sequence = head.value("sequence", std::uint64_t{0});
    if (hash && sequence != 0) into.heads[head.value("log", "")].push_back({Sequence(sequence), *hash});
  }
  return kOk;
}

}  // namespace

int verify(const VerifyOptions& options) {
  const bool online = !options.remote.url.empty();
  std::optional<Server> server;
  if (online) {
    std::string error;
    server = resolve(options.remote, error);
    if (!server) return wrong_use("verify", error);
  }
  Looking looking;
  VerifyDataOptions what;
  what.data = options.data;
  while (what.data.size() > 1 && what.data.ends_with('/')) what.data.pop_back();
  what.moved_files_ok = options.moved_files_ok;
  if (!options.heads.empty()) {
    std::ifstream file(options.heads);
    if (!file) return wrong_use("verify", "cannot read " + options.heads + ", the file of --heads");
    std::string wrong;
    if (!take_heads(file, what, wrong))
      return wrong_use("verify",
                       options.heads + (wrong.empty() ? " has no line of `tidemill audit head`, so it proves nothing"
                                                      : " has a line that `tidemill audit head` does not "
                                                        "print: " +
                                                            wrong.substr(0, 100)));
  }
  if (online)
    if (const int code = ask_heads(*server, what); code != kOk) return code;
  int asked = kOk;
  if (online) what.cut = [&] { return ask_cut(*server, "verify", asked); };
  std::optional<Scratch> scratch;
  if (!online && !options.no_views) {
    scratch.emplace(options.scratch);
    if (scratch->path().empty()) return wrong_use("verify", "no directory could be made for scratch; see --scratch");
    what.scratch = scratch->path();
  }
  Printing report(what.data, options.json);
  const auto verified = verify_data(looking.env, looking.writing, what, report);
  if (asked != kOk) return asked;
  if (!verified) return wrong_use("verify", cannot_look(verified.error(), what.data, online));
  if (online && !options.no_views)
    if (const int code = verify_views_by(*server, report); code != kOk) return code;
  return report.end();
}

}  // namespace tidemill::cli

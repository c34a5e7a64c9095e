#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/cli/http/events.h"
#include "tools/cli/json_text.h"
#include "tools/cli/load/interrupts.h"
#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/rows.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr std::size_t kTogether = 500;  // rows that are aligned with each other before the first are shown
constexpr std::chrono::hours kForever{24 * 365 * 10};

// What is said beside the rows.
void note(const std::string& sentence) {
  std::fprintf(stderr, "tidemill view watch: %s\n", sentence.c_str());
}

// Events as lines. False: nobody reads them.
class Printer {
 public:
  explicit Printer(bool json) : json_(json) {}

  void columns(const Json& columns) {
    std::vector<Cell> names{Cell{}};
    keys_.clear();
    for (const Json& c : columns) {
      const std::string type = c.value("type", "");
      names.push_back({c.value("name", ""), type == "integer" || type == "real"});
      keys_.push_back(c.value("key", false));
    }
    table_.emplace(std::move(names));
  }

  bool event(const std::string& name, const std::string& data, const std::string& cursor) {
    if (json_) return line(name, data, cursor);
    if (name == "snapshot") {
      begun_ = false;
      return true;
    }
    if (name != "row" && name != "delete") return show();
    if (!take(data, name == "row")) return true;
    return rows_.size() < kTogether || show();
  }
  // Whatever has come. Before the first rows have all come they wait for each other.
  bool piece_ended() { return (json_ || !begun_ || show()) && flush(); }
  bool show() {
    begun_ = true;
    const auto rows = std::exchange(rows_, {});
    return rows.empty() || (print(table_->add(rows, terminal_width())) && flush());
  }

 private:
  // The server's own text: numbers keep their digits.
  static bool line(const std::string& name, const std::string& data, const std::string& cursor) {
    std::string out = "{\"event\":\"" + name + "\"";
    if (name == "current" || name == "progress") out += ",\"cursor\":\"" + cursor + "\"";
    if (data != "{}") out += "," + data.substr(1);
    return print(out) && print(data == "{}" ? "}\n" : "\n");
  }
  // A row, or the key of one that is gone, in the column that shows it.
  bool take(const std::string& data, bool there) {
    const Json json = Json::parse(data, nullptr, false);
    if (!json.is_object()) return false;
    std::vector<Cell> cells{{there ? "+" : "-", false}};
    const Json key = json.value("key", Json::array());
    if (there) {
      const Json row = json.value("row", Json::object());
      for (const auto& [name, value] : row.items()) cells.push_back(cell_of(value));
    } else if (key.size() == 1 && std::count(keys_.begin(), keys_.end(), true) == 1) {
      for (const bool is_key : keys_) cells.push_back(is_key ? cell_of(key[0]) : Cell{});
    } else {
      // Its parts are in the order of GROUP BY, which the columns need not be in, nor show all of it.
      cells.push_back({key.dump(), false});
    }
    rows_.push_back(std::move(cells));
    return true;
  }

  const bool json_;
  bool begun_ = false;
  std::vector<bool> keys_;  // of the columns
  std::optional<RunningTable> table_;
  std::vector<std::vector<Cell>> rows_;
};

std::string path_of(const ViewOptions& options) {
  std::string path = "/v1/views/" + percent_encode(options.view) + "/changes";
  char before = '?';
  const std::pair<const char*, const std::string&> parts[] = {{"key", options.key},
                                                              {"prefix", options.prefix},
                                                              {"from", options.from},
                                                              {"to", options.to},
                                                              {"where", options.where}};
  for (const auto& [name, value] : parts) {
    if (value.empty()) continue;
    path += before + std::string(name) + "=" + percent_encode(value);
    before = '&';
  }
  return path;
}

class ViewWatch {
 public:
  ViewWatch(const ViewOptions& options, const Server& server)
      : server_(server),
        path_(path_of(options)),
        view_path_("/v1/views/" + percent_encode(options.view)),
        json_(options.json),
        client_(server.url,
                {.stop = &stop_.flag()}),  // the server says something every 15 s; 60 s of silence is an end
        interrupts_(stop_),
        retry_(kForever),
        printer_(options.json),
        cursor_(options.cursor) {}

  int run() {
    // First, for a view that is not there, and for the names of its columns.
    if (const int code = learn(); code != kOk) return code;
    while (!end_) {
      const auto pause = connect_once();
      if (end_ || stop_.stopped() || std::ferror(stdout) || reader_is_gone()) break;
      if (!stop_.sleep(pause)) break;
    }
    if (!json_ && !printer_.show()) return kOk;
    if (end_) return *end_;
    if (interrupts_.interrupted() && !cursor_.empty()) note("go on with --cursor " + cursor_);
    return kOk;
  }

 private:
  int learn() {
    const Answer answer = call(server_, "view watch", server_.request("GET", view_path_));
    if (answer.exit_code != kOk) return answer.exit_code;
    const Json view = Json::parse(answer.response.body, nullptr, false);
    if (view.is_object()) printer_.columns(view.value("columns", Json::array()));
    return kOk;
  }

  // How long to wait before the next try.
  milliseconds connect_once() {
    HttpRequest request = server_.request("GET", path_);
    request.headers.emplace_back("Accept", "text/event-stream");
    if (!cursor_.empty()) request.headers.emplace_back("Last-Event-ID", cursor_);
    events_.clear();
    HttpFailure failure;
    const auto response = client_.stream(
        request,
        [&](std::string_view bytes) {
          const bool more = events_.add(bytes, [&](const std::string& name, const std::string& data) {
            begun_ = true;
            return take(name, data);
          });
          return printer_.piece_ended() && more && !reader_is_gone();
        },
        failure);
    if (end_ || stop_.stopped()) return {};
    const auto pause = retry_.failed(std::chrono::steady_clock::now()).value_or(milliseconds(2'000));
    if (response && response->status / 100 != 2) {
      if (begun_ && (response->status == 429 || response->status >= 500)) {
        away(problem_text(*response));
        return Retry::retry_after(response->header("retry-after"), pause);
      }
      end_ = wrong_use("view watch", problem_text(*response));
      return {};
    }
    const bool for_good = !response && failure.kind == HttpFailure::Kind::not_trusted;
    if (begun_ && !for_good)
      away(response ? server_.url.authority() + ": the server ended the answer" : failure.message);
    if ((begun_ && !for_good) || response) return pause;
    end_ = kNotReached;
    wrong_use("view watch", failure.message);
    return {};
  }

  // Once for each time that it is away.
  void away(const std::string& why) {
    if (!away_ && !refetching_) note(why + "; waiting for it");
    away_ = true;
  }

  // False: that was all of this answer.
  bool take(const std::string& name, const std::string& data) {
    if (name == "must-refetch") {
      if (!printer_.event(name, data, {})) return false;
      note("begins again: " + Json::parse(data, nullptr, false).value("reason", ""));
      cursor_.clear();
      refetching_ = true;
      return false;
    }
    if (name == "error") {
      const Json problem = Json::parse(data, nullptr, false);
      const std::string text = problem_text({.status = problem.value("status", 0), .headers = {}, .body = data});
      // Of the condition: it would be the same again.
      if (problem.value("code", "") == "query_timeout" || problem.value("status", 0) / 100 == 4) {
        end_ = wrong_use("view watch", text);
      } else {
        away(text);
      }
      return false;
    }
    if (name == "snapshot" && std::exchange(refetching_, false)) {
      // Perhaps the view has another definition now.
      if (learn() != kOk) {
        refetching_ = true;
        return false;
      }
    }
    if (name == "current" || name == "progress") {
      cursor_ = events_.id();
      retry_.answered();
      away_ = false;
    }
    return printer_.event(name, data, cursor_);
  }

  const Server& server_;
  const std::string path_;
  const std::string view_path_;
  const bool json_;
  LoadStop stop_;
  HttpClient client_;
  InterruptWatch interrupts_;
  Retry retry_;
  Printer printer_;
  Events events_;
  std::string cursor_;      // everything up to it was printed
  std::optional<int> end_;  // the exit code, once there is no going on
  bool begun_ = false;      // the server has sent something: from here on breaks are waited out
  bool away_ = false;       // that was said
  bool refetching_ = false;
};

}  // namespace

int view_watch(const ViewOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("view watch", error);
  return ViewWatch(options, *server).run();
}

}  // namespace tidemill::cli

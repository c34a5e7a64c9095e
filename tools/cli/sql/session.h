#pragma once

#include <atomic>
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/cli/http/client.h"
#include "tools/cli/remote.h"
#include "tools/cli/sql/completer.h"

namespace tidemill::cli {

// What `tidemill sql` does with one statement: asks the server, prints the answer or says what is wrong.
class SqlSession {
 public:
  struct Options {
    std::string format = "table";             // table, csv, ndjson, json
    std::string after;                        // a token to wait for
    std::string at;                           // of the past, a sequence or a time; empty: now
    bool timing = false;                      // say how long each took
    bool caret = false;                       // errors show the line and where in it
    const std::atomic<bool>* stop = nullptr;  // becomes true: the statement under way is cancelled
  };
  SqlSession(Server server, Options options);

  Options& options() { return options_; }
  const Server& server() const { return server_; }
  // `line`: where the statement begins in a file; 0: of no interest. The exit code.
  int run(const std::string& statement, const std::vector<std::string>& params, std::size_t line = 0);
  // \d and \d VIEW.
  int describe(const std::string& view);
  // Names for the completion. nullopt: the server was not reached, which was said.
  std::optional<std::vector<ViewWords>> words();

 private:
  std::optional<nlohmann::ordered_json> get(const std::string& path, int& code);
  int say_error(const std::string& statement, const HttpResponse& response, std::size_t line);
  int say_failure(const HttpFailure& failure, bool begun);

  const Server server_;
  Options options_;
  HttpClient client_;
};

}  // namespace tidemill::cli

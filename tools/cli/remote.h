#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "tools/cli/commands.h"
#include "tools/cli/http/client.h"

namespace tidemill::cli {

// Where the client commands talk to: flags over the environment (API_URL; TIDEMILL_KEY, API_KEY) over `.env` in the
// current folder over http://127.0.0.1:7077. Whom an https:// server's certificate must be of: TIDEMILL_CA_FILE,
// TIDEMILL_TLS_FINGERPRINT; else the system's authorities. What it is shown: TIDEMILL_CERT_FILE with
// TIDEMILL_CERT_KEY_FILE; else nothing.
struct Server {
  Url url;
  std::string key;  // sent as Authorization: Bearer

  // A request for a path of the API, below the URL's own path. With the key, if there is one.
  HttpRequest request(std::string method, std::string_view path) const;
};
std::optional<Server> resolve(const Remote& remote, std::string& error);

// The environment's value, else `.env`'s; nullopt where neither has one that is not empty.
std::optional<std::string> setting_from_environment(const std::string& name);
// NAME=VALUE lines; `export ` before and quotes around are allowed, # begins a comment.
std::map<std::string, std::string> parse_dot_env(std::string_view text);

// For the small commands: sends and gives the answer if its status is 2xx; else says on standard error what went wrong
// ("tidemill COMMAND: ...") and gives the exit code.
struct Answer {
  int exit_code = 0;
  HttpResponse response;
};
std::string unanswered(const HttpFailure& failure);  // its sentence, and what may be the matter
Answer ask(const Server& server, std::string_view command, const HttpRequest& request);  // whatever the status
Answer call(const Server& server, std::string_view command, const HttpRequest& request);
// The sentence of a problem answer (application/problem+json), or what there is of it.
std::string problem_text(const HttpResponse& response);
// Says it on standard error, without the secret of any key that is in it; the exit code of wrong use.
int wrong_use(std::string_view command, const std::string& message);

}  // namespace tidemill::cli

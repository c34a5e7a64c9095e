#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tools/cli/output.h"
#include "tools/cli/remote.h"

namespace tidemill::cli {
namespace {

constexpr std::size_t kRequestBytes = 1 << 20;

// What goes into one request.
struct Part {
  std::string type;
  std::string body;
  std::vector<std::uint64_t> lines;  // of standard input, of each record; empty: it came as an argument
  std::uint64_t number = 0;
};

// Prints the answer, and on standard error each record that was refused. The exit code.
int send(const Server& server, const PutOptions& options, const Part& part) {
  std::string path = "/v1/streams/" + percent_encode(options.stream) + "/records";
  if (!options.ack.empty()) path += "?ack=" + percent_encode(options.ack);
  HttpRequest request = server.request("POST", path);
  request.headers.emplace_back("Content-Type", part.type);
  if (!options.partition_key.empty()) request.headers.emplace_back("Tidemill-Partition-Key", options.partition_key);
  if (!options.idempotency_key.empty())
    request.headers.emplace_back("Idempotency-Key",
                                 options.idempotency_key + (part.number == 0 ? "" : "-" + std::to_string(part.number)));
  request.body = part.body;
  const Answer answer = ask(server, "put", request);
  if (answer.exit_code != kOk) return answer.exit_code;

  const HttpResponse& response = answer.response;
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  const auto rejected = json.is_object() ? json.value("rejected", nlohmann::json::array()) : nlohmann::json::array();
  // 400 with a list: every record was refused, each for a reason of its own.
  if (response.status / 100 != 2 && (response.status != 400 || rejected.empty()))
    return wrong_use("put", problem_text(response));
  for (const auto& r : rejected) {
    const std::uint64_t index = r.value("index", std::uint64_t{0});
    const std::string where =
        index < part.lines.size() ? "line " + std::to_string(part.lines[index]) : "record " + std::to_string(index + 1);
    wrong_use("put", where + ": " + r.value("message", r.value("code", std::string("refused"))));
  }
  if (response.status / 100 == 2) {
    print(response.body);
    if (!response.body.ends_with('\n')) print("\n");
  }
  return rejected.empty() ? kOk : kPartly;
}

bool one_line(const std::string& value) {
  return std::none_of(value.begin(), value.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

}  // namespace

int put(const PutOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("put", error);
  if (!one_line(options.partition_key)) return wrong_use("put", "--partition-key must not hold control characters");
  if (!one_line(options.idempotency_key)) return wrong_use("put", "--idempotency-key must not hold control characters");
  if (!options.record.empty() && options.record != "-")
    return send(*server, options, {"application/json", options.record, {}, 0});

  // Whole lines, as many as make a request of a good size.
  Part part{"application/x-ndjson", {}, {}, 0};
  std::string line;
  int worst = kOk;
  for (std::uint64_t number = 1; std::getline(std::cin, line); ++number) {
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    part.body += line;
    part.body += '\n';
    part.lines.push_back(number);
    if (part.body.size() < kRequestBytes) continue;
    const int code = send(*server, options, part);
    if (code > kPartly) return code;
    worst = std::max(worst, code);
    part = {part.type, {}, {}, part.number + 1};
  }
  if (part.body.empty() && part.number > 0) return worst;
  return std::max(worst, send(*server, options, part));
}

}  // namespace tidemill::cli

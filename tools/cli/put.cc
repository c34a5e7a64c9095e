#include <cstdio>
#include <iostream>
#include <iterator>

#include "tools/cli/remote.h"

namespace tidemill::cli {
namespace {

constexpr std::size_t kRequestBytes = 1 << 20;

// 0, or the exit code. Prints the answer.
int send(const Server& server, const PutOptions& options, const std::string& type, std::string_view body,
         std::uint64_t part) {
  std::string path = "/v1/streams/" + percent_encode(options.stream) + "/records";
  if (!options.ack.empty()) path += "?ack=" + percent_encode(options.ack);
  HttpRequest request = server.request("POST", path);
  request.headers.emplace_back("Content-Type", type);
  if (!options.partition_key.empty()) request.headers.emplace_back("Tidemill-Partition-Key", options.partition_key);
  if (!options.idempotency_key.empty())
    request.headers.emplace_back("Idempotency-Key",
                                 options.idempotency_key + (part == 0 ? "" : "-" + std::to_string(part)));
  request.body = body;
  const Answer answer = call(server, "put", request);
  if (answer.exit_code != kOk) return answer.exit_code;
  std::fputs(answer.response.body.c_str(), stdout);
  if (!answer.response.body.ends_with('\n')) std::fputc('\n', stdout);
  return answer.response.status == 207 ? kPartly : kOk;
}

}  // namespace

int put(const PutOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("put", error);
  if (!options.record.empty() && options.record != "-")
    return send(*server, options, "application/json", options.record, 0);

  // Whole lines, as many as make a request of a good size.
  std::string lines;
  std::string line;
  std::uint64_t part = 0;
  int worst = kOk;
  while (std::getline(std::cin, line)) {
    lines += line;
    lines += '\n';
    if (lines.size() < kRequestBytes) continue;
    const int code = send(*server, options, "application/x-ndjson", lines, part++);
    if (code > kPartly) return code;
    worst = std::max(worst, code);
    lines.clear();
  }
  if (lines.empty() && part > 0) return worst;
  return std::max(worst, send(*server, options, "application/x-ndjson", lines, part));
}

}  // namespace tidemill::cli

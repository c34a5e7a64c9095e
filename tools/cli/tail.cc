#include <cstdio>

#include "storage/seam/clock.h"
#include "tools/cli/http/events.h"
#include "tools/cli/json_text.h"
#include "tools/cli/output.h"
#include "tools/cli/remote.h"
#include "tools/cli/times.h"

namespace tidemill::cli {
namespace {

bool print_record(std::string_view record, bool data_only) {
  return print(data_only ? json_member(record, "data") : record) && print("\n");
}

// The elements of a JSON array, as they are spelled.
template <class F>
void each_element(std::string_view array, F&& element) {
  int depth = 0;
  std::size_t begin = 1;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const char c = array[i];
    if (c == '"') {
      for (++i; i < array.size() && array[i] != '"'; ++i)
        if (array[i] == '\\') ++i;
      continue;
    }
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if ((depth == 1 && c == ',') || depth == 0) {
      if (i > begin) element(array.substr(begin, i - begin));
      begin = i + 1;
    }
  }
}

int page_through(const Server& server, const TailOptions& options, const std::string& base) {
  std::string from = place_text(options.from, system_clock().wall());
  std::uint64_t left = options.limit == 0 ? ~std::uint64_t{0} : options.limit;
  while (left > 0) {
    const std::uint64_t limit = std::min<std::uint64_t>(left, 1'000);
    const Answer answer =
        call(server, "tail",
             server.request("GET", base + "?from=" + percent_encode(from) + "&limit=" + std::to_string(limit) +
                                       (options.shard.empty() ? "" : "&shard=" + percent_encode(options.shard))));
    if (answer.exit_code != kOk) return answer.exit_code;
    bool written = true;
    std::uint64_t count = 0;
    each_element(json_member(answer.response.body, "records"), [&](std::string_view record) {
      ++count;
      written = written && print_record(record, options.data_only);
    });
    if (!written) return kOk;
    left -= std::min(left, count);
    std::string next(json_member(answer.response.body, "next"));
    std::erase(next, '"');
    if (next == "null") {  // a closed shard has no more
      std::fprintf(stderr, "tidemill tail: the shard is closed; its children are %s\n",
                   std::string(json_member(answer.response.body, "children")).c_str());
      break;
    }
    if (next == from || (count == 0 && (options.shard.empty() || next.empty()))) break;
    from = next;
  }
  return kOk;
}

}  // namespace

int tail(const TailOptions& options) {
  std::string error;
  const auto server = resolve(options.remote, error);
  if (!server) return wrong_use("tail", error);
  const std::string base = "/v1/streams/" + percent_encode(options.stream) + "/records";
  if (!options.follow) return page_through(*server, options, base);

  HttpRequest request =
      server->request("GET", base + "?from=" + percent_encode(place_text(options.from, system_clock().wall())) +
                                 (options.shard.empty() ? "" : "&shard=" + percent_encode(options.shard)));
  request.headers.emplace_back("Accept", "text/event-stream");
  HttpClient client(server->url, {});  // the server says something every 15 s; 60 s of silence is an end
  std::uint64_t left = options.limit;
  Events events;
  while (true) {
    HttpFailure failure;
    bool enough = false;
    bool closed = false;
    std::string refused;
    const auto response = client.stream(
        request,
        [&](std::string_view bytes) {
          const bool more = events.add(bytes, [&](const std::string& name, const std::string& record) {
            if (name == "error" && json_member(record, "status").starts_with('4')) {
              // The stream has gone, the key is not good any more: it would be the same again.
              refused = problem_text(
                  {.status = std::stoi(std::string(json_member(record, "status"))), .headers = {}, .body = record});
              return false;
            }
            if (!name.empty()) {  // lost records, an error: nothing for who reads records
              std::fprintf(stderr, "tidemill tail: %s %s\n", name.c_str(), record.c_str());
              closed = name == "closed";  // the shard, for ever
              return !closed;
            }
            enough = !print_record(record, options.data_only) || (options.limit > 0 && --left == 0);
            return !enough;
          });
          return more && flush() && !reader_is_gone();
        },
        failure);
    if (enough || closed || std::ferror(stdout) || reader_is_gone()) return kOk;
    if (!refused.empty()) return wrong_use("tail", refused);
    if (response && response->status / 100 != 2) return wrong_use("tail", problem_text(*response));
    // Cut off: go on where it stopped, as a browser does; once it has begun. Before that the trouble is said.
    if (events.id().empty()) {
      wrong_use("tail", (response ? server->url.authority() + ": the server ended the tail" : failure.message));
      return kNotReached;
    }
    using Kind = HttpFailure::Kind;
    if (failure.kind == Kind::not_connected || failure.kind == Kind::no_tls || failure.kind == Kind::not_trusted) {
      wrong_use("tail", failure.message);
      return kNotReached;
    }
    events.clear();
    std::erase_if(request.headers, [](const auto& h) { return h.first == "Last-Event-ID"; });
    request.headers.emplace_back("Last-Event-ID", events.id());
  }
}

}  // namespace tidemill::cli

#include "tools/cli/load/stream_info.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/cli/load/patience.h"

namespace tidemill::cli {
namespace {

// The answer to a GET whose status is 2xx.
std::optional<HttpResponse> get(HttpClient& client, const Server& server, const std::string& path,
                                std::chrono::milliseconds retry_for, LoadStop& stop, LoadFailure& failure,
                                const std::string& missing) {
  Retry retry(retry_for);
  bool said = false;
  while (true) {
    HttpFailure lost;
    auto response = client.send(server.request("GET", path), lost);
    if (response && response->status / 100 == 2) return response;
    if (response && response->status == 404) {
      failure = {kWrongUse, missing};
      return std::nullopt;
    }
    if (response && !is_worth_a_retry(*response)) {
      failure = {kWrongUse, final_problem(*response)};
      return std::nullopt;
    }
    const NextTry next = next_try(retry, std::chrono::steady_clock::now(), response ? &*response : nullptr, lost);
    if (!next.pause) {
      failure = {next.exit_code, next.problem};
      return std::nullopt;
    }
    if (!said) std::fprintf(stderr, "tidemill load: %s; trying on\n", next.problem.c_str());
    said = true;
    if (!stop.sleep(*next.pause)) {
      failure = {kInterrupted, "interrupted"};
      return std::nullopt;
    }
  }
}

FieldType type_of(const std::string& name) {
  if (name == "integer") return FieldType::integer;
  if (name == "number") return FieldType::number;
  return FieldType::text;
}

}  // namespace

std::string stream_in(const std::string& path) {
  constexpr std::string_view before = "/v1/streams/", behind = "/records";
  const std::string whole = path.substr(0, path.find('?'));
  const std::size_t at = whole.find(before);
  if (at == whole.npos || !whole.ends_with(behind) || at + before.size() + behind.size() >= whole.size()) return {};
  return whole.substr(at + before.size(), whole.size() - behind.size() - at - before.size());
}

std::optional<StreamInfo> ask_stream(const Server& server, const std::string& stream,
                                     std::chrono::milliseconds retry_for, LoadStop& stop, LoadFailure& failure) {
  HttpClient client(server.url, {.stop = &stop.flag()});
  const std::string path = "/v1/streams/" + percent_encode(stream);
  const auto definition =
      get(client, server, path, retry_for, stop, failure,
          "there is no stream '" + stream + "' at " + server.url.authority() +
              " (--stream names another; `tidemill status` lists them, `tidemill apply` makes them)");
  if (!definition) return std::nullopt;

  StreamInfo info;
  const auto json = nlohmann::json::parse(definition->body, nullptr, false);
  if (!json.is_object()) {
    failure = {kWrongUse, server.url.authority() + ": does not answer like a Tidemill server; is the URL right?"};
    return std::nullopt;
  }
  if (const auto key = json.find("partition_key"); key != json.end() && key->is_string()) info.partition_key = *key;
  if (const auto fields = json.find("fields"); fields != json.end() && fields->is_object())
    for (const auto& [name, type] : fields->items())
      if (type.is_string()) info.fields.emplace(name, type_of(type));
  if (const auto keys = json.find("idempotency_keys"); keys != json.end() && keys->is_number_unsigned())
    info.idempotency_keys = *keys;
  if (const auto last = json.find("last_sequence"); last != json.end() && last->is_number_unsigned())
    info.next_sequence = last->get<std::uint64_t>() + 1;
  return info;
}

}  // namespace tidemill::cli

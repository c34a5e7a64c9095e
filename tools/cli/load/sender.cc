#include "tools/cli/load/sender.h"

#include <nlohmann/json.hpp>

#include "tools/cli/load/patience.h"

namespace tidemill::cli {

struct Sender::Lane {
  std::deque<Batch> queue;
  bool busy = false;
  std::thread thread;
};

namespace {

constexpr std::size_t kQueuedBatches = 3;  // for each connection, besides the one on its way

}  // namespace

std::optional<BatchResult> read_answer(const HttpResponse& response, const Batch& batch, std::string& problem) {
  BatchResult result;
  result.block = batch.block;
  result.lane = batch.lane;
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  const bool ok = response.status / 100 == 2;
  const bool has_list = json.is_object() && json.contains("rejected") && json["rejected"].is_array();
  // 400 with a list: every single record was refused, for reasons of its own.
  if (!ok && !(response.status == 400 && has_list && !json["rejected"].empty())) {
    problem = final_problem(response);
    return std::nullopt;
  }
  if (has_list) {
    for (const auto& entry : json["rejected"]) {
      if (!entry.is_object()) continue;
      const std::uint64_t index = entry.value("index", std::uint64_t{0});
      if (index >= batch.lines.size()) continue;
      result.rejected.push_back({batch.lines[index],
                                 entry.value("message", entry.value("code", std::string("refused"))),
                                 batch.raw.empty() ? std::string() : batch.raw[index]});
    }
  }
  result.accepted = batch.lines.size() - result.rejected.size();
  if (json.is_object()) {
    if (json.contains("accepted") && json["accepted"].is_number_unsigned()) result.accepted = json["accepted"];
    if (json.contains("replayed") && json["replayed"].is_boolean()) result.replayed = json["replayed"];
    if (json.contains("last_sequence") && json["last_sequence"].is_number_unsigned())
      result.last_sequence = json["last_sequence"];
  }
  return result;
}

Sender::Sender(Options options, LoadStop& stop, std::function<void(BatchResult)> answered,
               std::function<void(const std::string&)> waiting)
    : options_(std::move(options)), stop_(stop), answered_(std::move(answered)), waiting_(std::move(waiting)) {
  lanes_.resize(std::clamp<std::uint32_t>(options_.connections, 1, kLanes));
  for (Lane& lane : lanes_) lane.thread = std::thread([this, &lane] { run(lane); });
}

Sender::~Sender() {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
    for (Lane& lane : lanes_) lane.queue.clear();
  }
  changed_.notify_all();
  for (Lane& lane : lanes_)
    if (lane.thread.joinable()) lane.thread.join();
}

void Sender::fail(int exit_code, std::string message) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = {exit_code, std::move(message)};
  }
  stop_.stop();
  changed_.notify_all();
}

bool Sender::send(Batch batch) {
  std::unique_lock lock(mutex_);
  Lane& lane = lanes_[batch.lane % lanes_.size()];
  while (lane.queue.size() >= kQueuedBatches && !stop_.stopped())
    changed_.wait_for(lock, std::chrono::milliseconds(200));
  if (stop_.stopped()) return false;
  lane.queue.push_back(std::move(batch));
  changed_.notify_all();
  return true;
}

std::optional<LoadFailure> Sender::finish() {
  {
    std::unique_lock lock(mutex_);
    finishing_ = true;
    changed_.notify_all();
  }
  for (Lane& lane : lanes_) lane.thread.join();
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Sender::run(Lane& lane) {
  HttpClient client(options_.server.url, {.stop = &stop_.flag()});
  Retry retry(options_.retry_for);
  while (true) {
    Batch batch;
    {
      std::unique_lock lock(mutex_);
      while (lane.queue.empty() && !finishing_ && !stop_.stopped())
        changed_.wait_for(lock, std::chrono::milliseconds(200));
      if (lane.queue.empty() || stop_.stopped()) return;
      batch = std::move(lane.queue.front());
      lane.queue.pop_front();
    }
    changed_.notify_all();
    if (!deliver(client, retry, batch)) return;
  }
}

// Until it is answered for good. The idempotency key makes a second try harmless, whatever became of the first.
bool Sender::deliver(HttpClient& client, Retry& retry, Batch& batch) {
  HttpRequest request = options_.server.request("POST", "");
  request.target = options_.target;
  request.headers.emplace_back("Content-Type", "application/x-ndjson");
  request.headers.emplace_back("Idempotency-Key", batch.idempotency_key);
  request.body = batch.body;
  while (!stop_.stopped()) {
    HttpFailure failure;
    const auto response = client.send(request, failure);
    std::string problem;
    if (response && !is_worth_a_retry(*response)) {
      retry.answered();
      auto result = read_answer(*response, batch, problem);
      if (result) {
        const std::lock_guard lock(answer_mutex_);
        taken_at_ = std::chrono::steady_clock::now();
        answered_(std::move(*result));
        return true;
      }
      if (response->status == 422)
        problem +=
            "; these rows were loaded before with other settings (columns, types, encoding): --again loads them "
            "once more, as they are now";
      fail(kWrongUse, problem);
      return false;
    }
    if (!response && failure.kind == HttpFailure::Kind::stopped) return false;

    NextTry next;
    {
      const std::lock_guard lock(answer_mutex_);
      // A rate limit lets the lanes through in turns: only where none gets on is it an outage.
      if (response && response->status == 429) retry.others_were_answered(taken_at_);
      next = next_try(retry, std::chrono::steady_clock::now(), response ? &*response : nullptr, failure);
      if (next.pause) waiting_(next.problem);
    }
    if (!next.pause) {
      fail(next.exit_code, next.problem);
      return false;
    }
    if (!stop_.sleep(*next.pause)) return false;
  }
  return false;
}

}  // namespace tidemill::cli

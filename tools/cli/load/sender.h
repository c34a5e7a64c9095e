#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tools/cli/load/batches.h"
#include "tools/cli/load/retry.h"
#include "tools/cli/remote.h"

namespace tidemill::cli {

// What became of a batch that the server answered.
struct BatchResult {
  std::uint64_t block = 0;
  std::uint32_t lane = 0;
  std::uint64_t accepted = 0;
  std::vector<RejectedRow> rejected;
  bool replayed = false;            // it was in from an earlier run
  std::uint64_t last_sequence = 0;  // 0: unknown
};

// Why a load cannot go on.
struct LoadFailure {
  int exit_code = 0;
  std::string message;
};

// Sends batches, each lane's one after the other down one connection, lanes side by side. Threads of its own, one for
// each connection, ended by finish() or the destructor.
class Sender {
 public:
  struct Options {
    Server server;
    std::string target;  // path (and query) of the POST
    std::uint32_t connections = kLanes;
    std::chrono::milliseconds retry_for{60'000};
  };
  // `answered` is called on the senders' threads, one call at a time; `waiting` too, when something is not going well
  // and is tried again (a sentence).
  Sender(Options options, LoadStop& stop, std::function<void(BatchResult)> answered,
         std::function<void(const std::string&)> waiting);
  ~Sender();

  // Waits while the lane has enough to do. False: there was a failure or a stop.
  bool send(Batch batch);
  // Waits until all is answered, or a failure or a stop.
  std::optional<LoadFailure> finish();

 private:
  struct Lane;
  void run(Lane& lane);
  bool deliver(HttpClient& client, Retry& retry, Batch& batch);
  void fail(int exit_code, std::string message);

  Options options_;
  LoadStop& stop_;
  std::function<void(BatchResult)> answered_;
  std::function<void(const std::string&)> waiting_;
  std::mutex mutex_;  // everything below
  std::condition_variable changed_;
  std::deque<Lane> lanes_;  // one for each connection
  bool finishing_ = false;
  std::optional<LoadFailure> failure_;
  std::mutex answer_mutex_;                           // the one below
  std::chrono::steady_clock::time_point taken_at_{};  // when a batch of any lane was last taken
};

// The result of one answer; nullopt: it is no result but a problem (`problem` is its sentence).
std::optional<BatchResult> read_answer(const HttpResponse& response, const Batch& batch, std::string& problem);

}  // namespace tidemill::cli

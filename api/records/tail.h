#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "api/context.h"
#include "api/errors/catalogue.h"
#include "api/records/read.h"
#include "api/router/follower.h"
#include "engine/serial.h"

namespace tidemill {

// One client that watches a stream (text/event-stream). Runs on env.background whenever the log has published
// something, hands what is new to the connection, and ends when the client is gone, too far behind, its key is not good
// any more, or the server drains. The log's listener and a timer wake it; each holds it weakly or as long as it is
// open.
//
// Until it has caught up, it is as a page of old records is: what is not in memory is read where it leaves the
// processors to those who write, without staying in the page cache, and no faster than the client takes it.
class Tail final : public Serial {
 public:
  Tail(ApiContext& context, TailMetrics& metrics, Follower follower, std::shared_ptr<Stream> stream, HashRange range,
       std::optional<ShardId> shard, Sequence from, std::shared_ptr<http::Stream> out);
  void begin();

 private:
  static constexpr std::size_t kBehindMax = 4 << 20;
  static constexpr std::chrono::seconds kComment{15};
  static constexpr std::size_t kAheadMax = 1 << 20;  // of a client that catches up
  static constexpr std::chrono::milliseconds kPauseMin{10}, kPauseMax{1000};
  enum class Where { memory, disk };
  void run() override;
  void look(Where where);
  void go_to_disk();
  Result<RecordBatch> read(Where where);
  void end(bool abort);
  void end_of_shard();
  void fail(ErrorId id, std::string_view detail = {});

  ApiContext& context_;
  TailMetrics& metrics_;
  const Follower follower_;
  const std::shared_ptr<Stream> stream_;
  const HashRange range_;
  const std::optional<ShardId> shard_;  // whose range it is
  Sequence from_;
  std::shared_ptr<http::Stream> out_;
  std::shared_ptr<void> listener_;
  std::shared_ptr<Tail> self_;  // until it ends
  MonotonicTime comment_due_{};
  std::chrono::milliseconds pause_ = kPauseMin;  // until it is looked whether the client has taken something
  // Of one shard: where the first commit since the last look begins that has a record of it; 0 when there is none.
  std::atomic<std::uint64_t> unseen_{0};
  bool at_end_ = false;               // the last look found no more
  bool caught_up_ = false;            // it has been at the end since it last needed the disk
  std::atomic<bool> at_disk_{false};  // the rest belongs to a task on the historical threads, and run() does nothing
};

}  // namespace tidemill

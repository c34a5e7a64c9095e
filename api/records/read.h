#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "api/context.h"
#include "api/router/router.h"
#include "storage/base/metrics.h"

namespace tidemill {

class Tail;

struct TailMetrics {
  Gauge open;
  Counter disconnected;  // too far behind
};

// GET /v1/streams/{stream}/records: pages of JSON, or a live tail of server-sent events.
class Records {
 public:
  explicit Records(ApiContext& context);
  ~Records();
  void get(Call& call, http::Responder responder);
  void wake();  // all tails look again: the server drains, a stream was removed, or its shards have changed
  const TailMetrics& metrics() const { return metrics_; }

 private:
  struct Ask;
  void page(Ask ask, http::Responder responder);
  void read_page(const Ask& ask, Sequence from, http::Responder responder);
  void tail(Ask ask, bool head_only, http::Responder responder);

  ApiContext& context_;
  TailMetrics metrics_;
  std::mutex mutex_;
  std::set<std::weak_ptr<Tail>, std::owner_less<std::weak_ptr<Tail>>> tails_;
};

// The shards that a closed one became: "3,4".
std::string children_of(const Stream& stream, ShardId shard);

// One record as answers show it: {"sequence","shard","time","key","data"}.
void append_record(std::string& out, const Stream& stream, const Record& record);

}  // namespace tidemill

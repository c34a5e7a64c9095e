// What producers are told when the disk is slow, fails or is full.

#include <condition_variable>
#include <mutex>

#include "tests/api/api_world.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_file_system.h"

namespace tidemill {
namespace {

using std::chrono::seconds;

// A door that flushes go through.
class Gate {
 public:
  void close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
    waiting_ = 0;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void until_somebody_waits() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int waiting_ = 0;
};

std::string random_text(std::uint64_t seed, std::size_t bytes) {
  std::string out;
  for (std::uint64_t i = 0; out.size() < bytes; ++i) out += static_cast<char>('a' + mix(seed * 10'000 + i) % 26);
  return out;
}

// A server on a simulated disk, with real threads. Flushes of the stream's segments can be held, and take as long as
// the test says.
struct DiskWorld {
  explicit DiskWorld(const LogOptions& log = {}) : world({}, null_logger(), false, log, {&disk, &clock}) {
    disk.on_step([this, directory = segments()](const DiskStep& step) {
      if (step.op != DiskOp::sync_data || !step.path.starts_with(directory)) return;
      clock.advance(flush_takes.load());
      gate.pass();
    });
  }
  ~DiskWorld() {
    gate.open();
    disk.clear_faults();
    disk.set_capacity(~0ull);
  }
  std::string segments() const { return world.engine->directory().stream(world.stream->definition().id) + "/"; }
  std::string batch(std::size_t bytes) {
    std::string body;
    while (body.size() < bytes) body += "{\"InvoiceNo\":\"" + std::to_string(++made) + "\"}\n";
    return body;
  }
  // All records, in order, as they lie in the log.
  std::vector<std::string> stored() {
    std::vector<std::string> out;
    std::uint64_t from = 1;
    for (;;) {
      const auto page = world.get("/v1/streams/retail/records?limit=10000&from=" + std::to_string(from)).json();
      if (page["records"].empty()) return out;
      for (const auto& r : page["records"]) {
        EXPECT_EQ(r["sequence"], out.size() + 1) << "a hole";
        out.push_back(r["data"]["InvoiceNo"]);
      }
      from = page["next"];
    }
  }

  SimFileSystem disk{1};
  SimClock clock;
  Gate gate;
  std::atomic<std::chrono::nanoseconds> flush_takes{};
  std::uint64_t made = 100'000;
  ApiWorld world;
};

TEST(Pressure, AFullQueueIs429WithTheTimeThatItNeeds) {
  LogOptions log;
  log.queue_bytes_max = 10'000;  // one request of any size, and small ones beside it
  DiskWorld w(log);
  // The flush of so much took five and a half seconds.
  w.flush_takes = std::chrono::milliseconds(5'500);
  ASSERT_EQ(w.world.ask(ApiWorld::post(w.batch(20'000), kNdjsonHeader)).status, 200);
  w.flush_takes = seconds(0);
  w.gate.close();
  RawClient first(w.world.server->port());
  first.send(ApiWorld::post(w.batch(20'000), kNdjsonHeader));
  w.gate.until_somebody_waits();
  const std::string body = w.batch(20'000);
  const auto refused = w.world.ask(ApiWorld::post(body, kNdjsonHeader));
  EXPECT_EQ(refused.status, 429) << refused.body;
  EXPECT_EQ(refused.code(), "throttled");
  EXPECT_EQ(refused.headers.at("retry-after"), "6");
  // The disk hangs. What is said stays a number that a client can use.
  w.clock.advance(seconds(600));
  EXPECT_EQ(w.world.ask(ApiWorld::post(body, kNdjsonHeader)).headers.at("retry-after"), "60");
  w.gate.open();
  EXPECT_EQ(first.answer().status, 200);
  EXPECT_EQ(w.world.ask(ApiWorld::post(body, kNdjsonHeader)).status, 200);
  EXPECT_NE(
      w.world.get("/metrics").body.find("tidemill_throttled_requests_total{stream=\"retail\",tenant=\"default\"} 2"),
      std::string::npos);
}

// Nobody knows whether the records of a failed flush are on the disk; the key decides it, once and for all.
TEST(Pressure, AFailedFlushIsUnknownAndItsKeyResolvesIt) {
  DiskWorld w;
  ASSERT_EQ(w.world.ask(ApiWorld::post(R"({"InvoiceNo":"a"})")).status, 200);
  const std::string request =
      ApiWorld::post(R"([{"InvoiceNo":"b"},{"InvoiceNo":"c"}])", std::string(kJsonHeader) + "Idempotency-Key: 1\r\n");
  w.disk.fail({.op = DiskOp::sync_data, .path_contains = w.segments()});
  const auto failed = w.world.ask(request);
  EXPECT_EQ(failed.status, 503) << failed.body;
  EXPECT_EQ(failed.code(), "flush_failed");
  EXPECT_EQ(failed.json()["outcome"], "unknown");
  EXPECT_EQ(failed.headers.at("retry-after"), "1");
  EXPECT_EQ(w.disk.faults_hit(), 1u);
  EXPECT_EQ(w.stored(), std::vector<std::string>{"a"}) << "what was not acknowledged is not shown";
  const auto again = w.world.ask(request);
  ASSERT_EQ(again.status, 200) << again.body;
  EXPECT_EQ(again.json()["accepted"], 2);
  EXPECT_EQ(again.json()["first_sequence"], 2);
  EXPECT_FALSE(again.json().contains("replayed"));
  EXPECT_EQ(w.world.ask(request).json()["replayed"], true);
  EXPECT_EQ(w.stored(), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(Pressure, AFullDiskIs507BeforeAnyAcknowledgementAndRecoversByItself) {
  LogOptions log;
  log.segment_bytes_first = 64 << 10;
  log.segment_bytes_max = 64 << 10;
  DiskWorld w(log);
  ASSERT_EQ(w.world.ask(ApiWorld::post(R"({"InvoiceNo":"first"})")).status, 200);
  std::vector<std::string> acknowledged{"first"};
  w.disk.set_capacity(w.disk.used() + (160 << 10));
  const auto post = [&] {
    const std::string key = std::to_string(++w.made);
    const auto answer = w.world.ask(
        ApiWorld::post("{\"InvoiceNo\":\"" + key + "\",\"x\":\"" + random_text(w.made, 6'000) + "\"}", kJsonHeader));
    if (answer.status == 200) acknowledged.push_back(key);
    return answer;
  };
  ClientAnswer answer;
  for (int i = 0; i < 1'000 && (answer = post()).status == 200; ++i) continue;
  EXPECT_EQ(answer.status, 507) << answer.body;
  EXPECT_EQ(answer.code(), "disk_full");
  EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json");
  EXPECT_GT(acknowledged.size(), 5u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(post().status, 507);
  EXPECT_EQ(w.world.get("/readyz").status, 200) << "it goes on serving";
  EXPECT_EQ(w.stored(), acknowledged);
  w.disk.set_capacity(w.disk.used() + (4 << 20));
  for (int i = 0; i < 20; ++i) {
    answer = post();
    EXPECT_EQ(answer.status, 200) << answer.body;
  }
  EXPECT_EQ(w.stored(), acknowledged);
}

// Not the disk: the answer names the limit that is to be raised.
TEST(Pressure, NoDescriptorLeftIsNotTakenForABrokenDisk) {
  DiskWorld w;
  const auto create = [&] { return w.world.ask(ApiWorld::request("PUT", "/v1/streams/late", "{}", kJsonHeader)); };
  w.disk.fail({.op = DiskOp::open, .path_contains = "", .times = ~0ull, .error = EMFILE});
  const auto refused = create();
  EXPECT_EQ(refused.status, 503) << refused.body;
  EXPECT_EQ(refused.code(), "too_many_files");
  EXPECT_NE(refused.json()["detail"].get<std::string>().find("LimitNOFILE= of its service (ulimit -n"),
            std::string::npos);
  w.disk.clear_faults();
  EXPECT_EQ(create().status, 201);
}

TEST(Pressure, ADiskThatCannotSealIs503UntilTheNextStartAndServesOn) {
  DiskWorld w;
  ASSERT_EQ(w.world.ask(ApiWorld::post(R"({"InvoiceNo":"a"})")).status, 200);
  w.disk.fail({.op = DiskOp::change, .path_contains = w.segments(), .times = ~0ull});
  EXPECT_EQ(w.world.ask(ApiWorld::post(kGood)).code(), "flush_failed");
  const auto refused = w.world.ask(ApiWorld::post(kGood));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.code(), "not_accepting");
  EXPECT_FALSE(refused.headers.contains("retry-after")) << "only a restart helps";
  EXPECT_EQ(refused.body.find(w.segments()), std::string::npos) << "no path goes out";
  EXPECT_EQ(w.world.get("/v1/streams/retail").json()["accepting"], false);
  EXPECT_EQ(w.stored(), std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace tidemill

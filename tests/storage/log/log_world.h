#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "storage/base/errors.h"
#include "storage/log/log.h"
#include "tests/support/sim_env.h"

namespace tidemill {

// One request of a test: owns the bytes, is its own sink, remembers its answer.
struct TestRequest final : AppendSink {
  Append append;
  std::vector<std::string> texts;
  std::vector<std::string> keys;
  std::vector<NewRecord> records;
  std::vector<RejectedRecord> rejected;
  int answers = 0;

  TestRequest() { append.sink = this; }
  void appended(Append* done) noexcept override {
    for (Append* next = nullptr; done != nullptr; done = next) {
      next = done->next_done;
      done->next_done = nullptr;
      ++static_cast<TestRequest*>(done->sink)->answers;
    }
  }
  bool ok() const { return answers == 1 && !append.error; }
};

inline HashKey test_hash(std::uint64_t n) {
  return {mix(n), mix(n + 1)};
}

// A log on a simulated disk, spoken to in a small language, and a ledger of what it promised.
class LogWorld {
 public:
  explicit LogWorld(std::uint64_t seed = 1, Logger& logger = null_logger()) : sim(seed, logger) {
    options.segment_bytes_first = 32 << 10;
    options.segment_bytes_max = 128 << 10;
    options.commit_bytes_max = 64 << 10;
    options.tail_cache_bytes = 16 << 10;
  }
  ~LogWorld() {
    sim.power_off();
    log.reset();
    sim.executor.drop_all();
  }

  bool try_open() {
    auto opened = Log::open(sim.env, directory, options);
    open_error = opened ? ErrorCode() : opened.error();
    log = opened ? *opened : nullptr;
    return log != nullptr;
  }
  void open() { ASSERT_TRUE(try_open()) << open_error.message(); }
  // Stops as the program does.
  void close() {
    bool closed = false;
    log->close([&] { closed = true; });
    ASSERT_TRUE(sim.executor.run_until([&] { return closed; }));
    log.reset();
    settle_requests();
  }
  // kill -9: the process is gone, the machine stays.
  void kill() {
    sim.files.kill();
    drop();
  }
  // The power goes.
  void crash(const CrashPolicy& policy = {}) {
    sim.power_off();
    drop();
    sim.files.crash(policy);
  }
  void drop() {
    log.reset();
    sim.executor.drop_all();
    settle_requests();
  }

  // Queues a request of `count` records of about `bytes` each. Nothing runs yet.
  TestRequest& send(std::size_t count, std::size_t bytes = 50, const std::string& key = {}) {
    TestRequest& r = prepare(count, bytes, key);
    log->append(&r.append);
    return r;
  }
  TestRequest& prepare(std::size_t count, std::size_t bytes, const std::string& key) {
    TestRequest& r = *requests.emplace_back(std::make_unique<TestRequest>());
    r.texts.reserve(count);
    r.keys.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t n = ++made;
      std::string text = "{\"n\":" + std::to_string(n) + ",\"x\":\"";
      for (std::size_t at = 0; text.size() < bytes; ++at) text += static_cast<char>('a' + mix(n * 1000 + at) % 26);
      r.texts.push_back(text + "\"}");
      r.keys.push_back("k" + std::to_string(n % 7));
      NewRecord record;
      record.key = r.keys.back();
      record.hash = test_hash(n % 7);
      record.arrival = sim.clock.wall();
      record.data = r.texts.back();
      r.records.push_back(record);
    }
    r.append.records = r.records;
    if (!key.empty()) r.append.identity = identity(key);
    return r;
  }
  static RequestIdentity identity(const std::string& key, std::uint64_t body = 1) {
    RequestIdentity id;
    const std::uint64_t a = mix(std::hash<std::string>()(key));
    const std::uint64_t b = mix(a);
    std::memcpy(id.key_hash.data(), &a, 8);
    std::memcpy(id.key_hash.data() + 8, &b, 8);
    id.body_hash = body;
    return id;
  }
  // Sends and waits for the answer.
  TestRequest& append(std::size_t count, std::size_t bytes = 50, const std::string& key = {}) {
    TestRequest& r = send(count, bytes, key);
    sim.executor.run_until([&] { return r.answers != 0; });
    settle_requests();
    return r;
  }
  void run() { sim.executor.run_until_idle(); }

  // Enters all answers so far into the ledger.
  void settle_requests() {
    for (const auto& r : requests) {
      EXPECT_LE(r->answers, 1) << "a sink was called twice";
      if (!r->ok() || r->append.replayed) continue;
      for (std::size_t i = 0; i < r->append.accepted; ++i) {
        const std::uint64_t s = r->append.first.value() + i;
        const auto [it, fresh] = acknowledged.emplace(s, r->texts[i]);
        EXPECT_TRUE(fresh || it->second == r->texts[i]) << "sequence " << s << " was given twice";
      }
    }
  }

  struct Read {
    std::map<std::uint64_t, std::string> records;
    std::vector<LostRange> lost;
  };
  // Everything, in small steps so that all paths are met.
  Read read_all(const ReadOptions& with = {}) {
    Read out;
    Sequence at = log->start();
    std::uint64_t last = 0;
    while (at <= log->durable()) {
      auto batch = log->read(at, with);
      if (!batch) {
        EXPECT_TRUE(reads_may_fail || !sim.files.powered()) << batch.error().message();
        break;
      }
      EXPECT_GT(batch->next, at);
      if (batch->next <= at) break;
      for (const Record& r : batch->records) {
        EXPECT_GT(r.sequence.value(), last) << "order";
        last = r.sequence.value();
        EXPECT_GE(r.sequence, at);
        EXPECT_LT(r.sequence, batch->next);
        out.records.emplace(r.sequence.value(), std::string(r.data));
      }
      out.lost.insert(out.lost.end(), batch->lost.begin(), batch->lost.end());
      at = batch->next;
    }
    return out;
  }
  // What was acknowledged is there, unaltered, and nothing is missing in between.
  void expect_nothing_lost() {
    const Read read = read_all();
    EXPECT_TRUE(read.lost.empty());
    expect_start();
    for (const auto& [s, text] : acknowledged) {
      if (s < log->start().value()) continue;
      const auto it = read.records.find(s);
      ASSERT_NE(it, read.records.end()) << "acknowledged record " << s << " is gone";
      ASSERT_EQ(it->second, text) << "record " << s;
    }
    std::uint64_t expected = log->start().value();
    for (const auto& [s, text] : read.records) ASSERT_EQ(s, expected++);
    ASSERT_EQ(expected, log->durable().value() + 1);
  }
  // Retention: nobody can take the start back, and it is never further up than was asked for.
  void expect_start() {
    EXPECT_GE(log->start(), start_known) << "the log's start went back";
    EXPECT_LE(log->start(), start_asked) << "more was removed than was asked for";
    start_known = log->start();
  }
  void drop_before(Sequence start) {
    start_asked = std::max(start_asked, start);
    const auto dropped = log->drop_before(start);
    EXPECT_TRUE(dropped || reads_may_fail || !sim.files.powered()) << dropped.error().message();
    if (dropped) start_known = std::max(start_known, *dropped);
  }
  std::vector<std::string> files(const std::string& ending) const {
    std::vector<std::string> out;
    for (const std::string& f : sim.files.all_files()) {
      if (f.ends_with(ending)) out.push_back(f);
    }
    return out;
  }

  SimEnv sim;
  std::string directory = "/data/streams/1";
  LogOptions options;
  std::shared_ptr<Log> log;
  ErrorCode open_error;
  std::deque<std::unique_ptr<TestRequest>> requests;
  std::map<std::uint64_t, std::string> acknowledged;
  std::uint64_t made = 0;
  Sequence start_asked{1};
  Sequence start_known{1};
  bool reads_may_fail = false;  // while faults are armed
};

}  // namespace tidemill

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "consumers/archive/archive.h"
#include "storage/base/errors.h"
#include "tests/support/sim_random.h"

namespace tidemill {

// A log in memory: what an archive reads, and reads again.
struct TestLog {
  struct Stored {
    Sequence sequence;
    HashKey hash;
    ContentType content;
    WallTime arrival;
    std::string data;
  };
  std::vector<Stored> records;
  std::vector<LostRange> lost;
  std::uint64_t end = 0;  // last sequence

  void append(HashKey hash, std::string data, WallTime arrival, ContentType content = ContentType::json) {
    records.push_back({Sequence(++end), hash, content, arrival, std::move(data)});
  }
  void lose(std::uint64_t count) {
    lost.push_back({Sequence(end + 1), Sequence(end + count), "segment-7", ByteOffset(4096)});
    end += count;
  }

  Result<RecordBatch> read(Sequence from, const ReadOptions& options) const {
    if (from.value() > end + 1) return StorageErrc::beyond_end;
    RecordBatch batch;
    std::uint64_t through = from.value() - 1;
    std::uint32_t taken = 0;
    auto gap = lost.begin();
    const auto pass_gaps = [&](std::uint64_t before) {
      for (; gap != lost.end() && gap->first.value() < before; ++gap) {
        if (gap->last < from) continue;
        batch.lost.push_back(*gap);
        through = std::max(through, gap->last.value());
      }
    };
    auto it = std::lower_bound(records.begin(), records.end(), from,
                               [](const Stored& r, Sequence s) { return r.sequence < s; });
    for (; it != records.end() && taken < options.records_max; ++it) {
      pass_gaps(it->sequence.value());
      through = it->sequence.value();
      if (!options.range.contains(it->hash)) continue;
      ++taken;
      batch.records.push_back({it->sequence, it->hash, false, it->content, it->arrival, {}, {}, it->data});
    }
    if (it == records.end()) {
      pass_gaps(end + 1);
      through = end;
    }
    batch.next = Sequence(through + 1);
    return batch;
  }
  LogReader reader() const {
    return [this](Sequence from, const ReadOptions& options) { return read(from, options); };
  }
};

inline StreamDefinition test_stream(std::uint32_t shards, std::uint64_t size_bytes = 5 << 20) {
  StreamDefinition definition;
  definition.id = StreamId(7);
  definition.name = "retail";
  const std::uint64_t width = shards == 1 ? 0 : ~0ull / shards + 1;
  for (std::uint32_t i = 0; i < shards; ++i) {
    const std::uint64_t last = i + 1 == shards ? ~0ull : width * (i + 1) - 1;
    definition.shards.push_back({ShardId(i), {{width * i, 0}, {last, ~0ull}}, {}, true});
  }
  definition.archive.size_bytes = size_bytes;
  return definition;
}

// What the groups' runtime does to an archive, without the runtime: opens it, reads from the least checkpoint, deals
// batches of random length to the shards, retries.
class TestGroup {
 public:
  TestGroup(Env& env, std::string directory, StreamDefinition definition, const TestLog& log, std::uint64_t seed)
      : log_(log),
        definition_(std::move(definition)),
        random_(seed),
        archive_(make_archive(env, std::move(directory), definition_, log.reader())) {}

  Result<void> open() {
    RETURN_IF_ERROR(archive_->open());
    for (const auto& shard : definition_.shards) {
      ASSIGN_OR_RETURN(auto consumer, archive_->open_shard(shard));
      ASSIGN_OR_RETURN(const Position at, consumer->open());
      EXPECT_EQ(at, consumer->persisted());
      next_.push_back(next(at.sequence()));
      consumers_.push_back(std::move(consumer));
    }
    return {};
  }
  // Everything up to `through`; an error is retried so many times. Between attempts `on_error` may cure it.
  Result<void> deliver(std::uint64_t through, int attempts = 1, const std::function<void()>& on_error = {}) {
    for (;;) {
      std::vector<std::size_t> behind;
      for (std::size_t i = 0; i < consumers_.size(); ++i)
        if (next_[i].value() <= through) behind.push_back(i);
      if (behind.empty()) return {};
      const std::size_t i = behind[random_.below(behind.size())];
      ReadOptions options;
      options.range = definition_.shards[i].range;
      options.records_max = static_cast<std::uint32_t>(1 + random_.below(5));
      ASSIGN_OR_RETURN(RecordBatch batch, log_.read(next_[i], options));
      while (!batch.records.empty() && batch.records.back().sequence.value() > through) batch.records.pop_back();
      if (batch.next.value() > through + 1) batch.next = Sequence(through + 1);
      while (!batch.lost.empty() && batch.lost.back().first.value() > through) batch.lost.pop_back();
      for (int attempt = 1;; ++attempt) {
        const auto result = consumers_[i]->process(batch);
        if (result) break;
        if (attempt >= attempts) return result.error();
        if (on_error) on_error();
      }
      next_[i] = batch.next;
      EXPECT_EQ(consumers_[i]->applied(), Position::through(Sequence(batch.next.value() - 1)));
      EXPECT_LE(consumers_[i]->persisted(), consumers_[i]->applied());
    }
  }
  Result<void> tick(int attempts = 1) {
    for (auto& consumer : consumers_)
      for (int attempt = 1;; ++attempt) {
        const auto result = consumer->tick();
        if (result) break;
        if (attempt >= attempts) return result.error();
      }
    return {};
  }
  Result<void> close(int attempts = 1) {
    for (auto& consumer : consumers_)
      for (int attempt = 1;; ++attempt) {
        const auto result = consumer->close();
        if (result) break;
        if (attempt >= attempts) return result.error();
      }
    consumers_.clear();
    return archive_->close();
  }
  Consumer& shard(std::size_t i) { return *consumers_[i]; }

 private:
  const TestLog& log_;
  const StreamDefinition definition_;
  SimRandom random_;
  std::unique_ptr<ShardedConsumer> archive_;
  std::vector<std::unique_ptr<Consumer>> consumers_;
  std::vector<Sequence> next_;
};

}  // namespace tidemill

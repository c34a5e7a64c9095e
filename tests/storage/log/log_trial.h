#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/storage/log/log_world.h"

namespace tidemill {

// A random workload on a small log, drawn from a seed, and the checks that must hold whatever happened to the disk:
// nothing acknowledged is lost, altered or out of order; nothing that was ever published is taken back; a request is
// there whole or not at all; what was refused for sure is not there; keyed requests get the same answer again.
class LogTrial {
 public:
  explicit LogTrial(std::uint64_t seed) : w_(seed), random_(mix(seed) + 77) {
    w_.options.segment_bytes_first = 24 << 10;
    w_.options.segment_bytes_max = 48 << 10;
    w_.options.commit_bytes_max = 16 << 10;
    w_.options.tail_cache_bytes = 8 << 10;
    w_.options.mark_delay = std::chrono::milliseconds(5);
    w_.options.request_window = 40;
    w_.options.write_through = seed % 3 == 0;
  }

  void workload() {
    if (!w_.try_open()) return;
    work(25);
    if (w_.sim.files.powered() && random_.one_in(3)) {
      bool closed = false;
      w_.log->close([&] { closed = true; });
      w_.sim.executor.run_until([&] { return closed; });
      w_.log.reset();
      w_.settle_requests();
      if (!w_.try_open()) return;
    }
    work(15);
    w_.run();
  }

  void work(int rounds) {
    for (int i = 0; i < rounds && w_.sim.files.powered(); ++i) {
      for (std::uint64_t n = 1 + random_.below(3); n > 0; --n) {
        const bool keyed = random_.one_in(4);
        const std::size_t count = keyed && random_.one_in(3) ? 0 : 1 + random_.below(6);
        const std::size_t bytes = random_.one_in(6) ? 3000 : 20 + random_.below(300);
        const std::string key = keyed ? "key" + std::to_string(++keys_) : "";
        TestRequest& r = w_.prepare(count, bytes, key);
        if (keyed) {
          r.rejected = {{1, 2}, {7, 3}};
          r.append.rejected = r.rejected;
          keyed_[key] = &r;
        }
        sent_.push_back(&r);
        w_.log->append(&r.append);
        if (random_.one_in(2)) w_.sim.executor.run_one();
      }
      if (random_.one_in(2)) w_.run();
      if (random_.one_in(5)) w_.sim.executor.run_for(std::chrono::milliseconds(10));
      if (random_.one_in(8) && w_.sim.files.powered()) {
        const std::uint64_t held = w_.log->durable().value() - w_.log->start().value() + 2;
        w_.drop_before(Sequence(w_.log->start().value() + random_.below(held)));
      }
      if (random_.one_in(3) && w_.sim.files.powered()) look();
    }
  }

  // A reader sees this, so it was published and must stay.
  void look() {
    const auto read = w_.read_all();
    EXPECT_TRUE(read.lost.empty());
    w_.expect_start();
    for (const auto& [s, text] : read.records) {
      const auto [it, fresh] = published_.emplace(s, text);
      ASSERT_TRUE(fresh || it->second == text) << "published record " << s << " changed";
    }
  }

  void check() {
    w_.expect_nothing_lost();
    const auto read = w_.read_all();
    const std::uint64_t start = w_.log->start().value();
    for (const auto& [s, text] : published_) {
      if (s < start) continue;
      const auto it = read.records.find(s);
      ASSERT_TRUE(it != read.records.end()) << "published record " << s << " was taken back";
      ASSERT_TRUE(it->second == text) << "published record " << s << " changed";
    }
    look();
    std::map<std::string, std::uint64_t> at;
    for (const auto& [s, text] : read.records) {
      ASSERT_TRUE(at.emplace(text, s).second) << "record " << s << " is there twice";
    }
    for (const TestRequest* r : sent_) {
      EXPECT_LE(r->answers, 1);
      if (r->texts.empty()) continue;
      const bool refused = r->answers == 1 && r->append.error && r->append.error != StorageErrc::flush_failed;
      if (refused) {
        ASSERT_FALSE(at.contains(r->texts[0]))
            << "refused (" << r->append.error.message() << ") and there all the same";
      }
      // Retention may have taken it, or the first of it.
      if (r->ok() && r->append.first.value() < start) continue;
      bool cut = false;
      for (std::size_t i = 0; i < r->texts.size(); ++i) {
        const auto it = at.find(r->texts[i]);
        cut = cut || (it != at.end() && it->second < start + i);
      }
      if (cut) continue;
      const auto first = at.find(r->texts[0]);
      for (std::size_t i = 0; i < r->texts.size(); ++i) {
        const auto it = at.find(r->texts[i]);
        ASSERT_EQ(first == at.end(), it == at.end()) << "a part of a request";
        if (it == at.end()) continue;
        ASSERT_EQ(it->second, first->second + i);
      }
    }
    EXPECT_TRUE(w_.log->status().damage.empty());
    // The latest keys are in the window for sure.
    int looked = 0;
    for (std::uint64_t k = keys_; k > 0 && looked < 10; --k) {
      const TestRequest& r = *keyed_.at("key" + std::to_string(k));
      if (!r.ok()) continue;
      ++looked;
      TestRequest again;
      again.append.identity = r.append.identity;
      again.append.records = r.append.records;
      w_.log->append(&again.append);
      w_.run();
      ASSERT_TRUE(again.ok()) << again.append.error.message();
      EXPECT_TRUE(again.append.replayed);
      EXPECT_EQ(again.append.first, r.append.first);
      EXPECT_EQ(again.append.accepted, r.append.accepted);
      EXPECT_EQ(again.append.replayed_rejected, r.rejected);
    }
  }

  LogWorld& world() { return w_; }
  SimRandom& random() { return random_; }

 private:
  LogWorld w_;
  SimRandom random_;
  std::vector<TestRequest*> sent_;
  std::map<std::string, TestRequest*> keyed_;
  std::uint64_t keys_ = 0;
  std::map<std::uint64_t, std::string> published_;
};

}  // namespace tidemill

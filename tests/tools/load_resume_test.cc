// Loads that ended in the middle, and how they go on: --resume and the file of the progress.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/tools/load_world.h"
#include "tools/cli/load/progress.h"

namespace tidemill::cli {
namespace {

using testing::HasSubstr;

TEST_F(LoadTest, InterruptedWhileAPipeIsSilent) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int before = ::dup(STDIN_FILENO);
  ::dup2(ends[0], STDIN_FILENO);
  ASSERT_EQ(::write(ends[1], "InvoiceNo\n1", 11), 11);
  LoadOptions o = options("-");
  o.encoding = "utf-8";
  ::kill(::getpid(), SIGINT);  // taken up as soon as the load waits for it
  EXPECT_EQ(run(o), kInterrupted) << "nobody ever writes on, and nobody closes";
  EXPECT_THAT(err_, HasSubstr("interrupted"));
  ::dup2(before, STDIN_FILENO);
  for (const int fd : {before, ends[0], ends[1]}) ::close(fd);
}

TEST_F(LoadTest, InterruptedAndResumed) {
  const std::string path = sample(60'000);
  const auto full = contents(path);
  set_before([](int n, const Request&) -> std::optional<Reply> {
    if (n == 30) ::kill(::getpid(), SIGINT);
    return std::nullopt;
  });
  EXPECT_EQ(run(options(path)), kInterrupted);
  EXPECT_LT(stored(), 60'000u);
  std::string error;
  const auto progress = Progress::read(path + ".progress", error);
  ASSERT_TRUE(progress) << error;
  EXPECT_GT(progress->rows, 0u);
  EXPECT_LE(progress->rows, stored());
  set_before({});
  const int posts_before = posts();

  // Another file under the same name is refused, and so is one that may have been forgotten.
  LoadOptions o = options(path);
  o.resume = true;
  file("sample.csv", full + "1,1,1,1,1,1,1,1\r\n");
  EXPECT_EQ(run(o), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("has changed"));
  o.force = true;  // even so not where no row begins
  file("sample.csv", full.substr(0, progress->offset - 1) + "x" + full.substr(progress->offset));
  EXPECT_EQ(run(o), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("no beginning of a row"));
  o.force = false;
  file("sample.csv", full);
  o.delimiter = ";";
  EXPECT_EQ(run(o), kWrongUse);
  o.delimiter = ",";
  skipped_ = 100'000;  // more than the 50,000 keys that the stream remembers
  if (!progress->in_flight.empty()) {
    EXPECT_EQ(run(o), kWrongUse);
    EXPECT_THAT(err_, HasSubstr("--force"));
  }
  skipped_ = 0;
  EXPECT_EQ(posts(), posts_before) << "nothing of that was sent";

  EXPECT_EQ(run(o), kOk) << err_;
  expect_sample_once(60'000);
  EXPECT_LT(posts_ - posts_before, 60) << "it does not begin at the beginning";
  EXPECT_FALSE(std::filesystem::exists(path + ".progress"));
}

TEST_F(LoadTest, AFileThatGrewIsResumedByForce) {
  const std::string path = sample(60'000);
  set_before([](int n, const Request&) -> std::optional<Reply> {
    if (n == 30) ::kill(::getpid(), SIGINT);
    return std::nullopt;
  });
  EXPECT_EQ(run(options(path)), kInterrupted);
  set_before({});
  file("sample.csv", contents(path) + "last,1,1,1,1,1,1,1\r\n");
  LoadOptions o = options(path);
  o.resume = o.force = true;
  EXPECT_EQ(run(o), kOk) << err_;
  EXPECT_GE(records_.size(), 60'001u);
  EXPECT_LT(records_.size(), 100'000u) << "it does not begin at the beginning";
  EXPECT_EQ(std::count_if(records_.begin(), records_.end(),
                          [](const std::string& r) { return r.find("\"last\"") != r.npos; }),
            1);
}

TEST_F(LoadTest, ServerThatGoesAwayForGood) {
  const std::string path = sample(10'000);
  LoadOptions o = options(path);
  o.retry_for = "0s";
  set_before([](int n, const Request&) -> std::optional<Reply> {
    if (n > 5) return Reply{.drop = true};
    return std::nullopt;
  });
  EXPECT_EQ(run(o), kNotReached);
  EXPECT_THAT(err_, HasSubstr("--resume"));
  set_before({});
  o.resume = true;
  EXPECT_EQ(run(o), kOk) << err_;
  expect_sample_once(10'000);
}

// The header is read once, also where nothing was final when the load ended.
TEST_F(LoadTest, ResumedBeforeTheFirstBlockWasFinal) {
  const std::string path = sample(10'000);
  LoadOptions o = options(path);
  o.retry_for = "0s";
  set_before([](int, const Request&) -> std::optional<Reply> { return Reply{.drop = true}; });
  EXPECT_EQ(run(o), kNotReached);
  std::string error;
  const auto progress = Progress::read(path + ".progress", error);
  ASSERT_TRUE(progress) << error;
  ASSERT_EQ(progress->rows, 0u);
  set_before({});
  o.resume = true;
  EXPECT_EQ(run(o), kOk) << err_;
  expect_sample_once(10'000);
}

TEST_F(LoadTest, ResumeWithoutAProgressFileBeginsAtTheBeginning) {
  LoadOptions o = options(sample(3'000));
  o.resume = true;
  EXPECT_EQ(run(o), kOk);
  EXPECT_THAT(err_, HasSubstr("from the beginning"));
  expect_sample_once(3'000);
}

TEST(LoadProgress, ReadsBackWhatItWrote) {
  Progress p;
  p.file_size = 1;
  p.file_hash = "h";
  p.target = "t\"";
  p.settings = "s";
  p.nonce = "n";
  p.block = 2;
  p.rows = 3;
  p.line = 4;
  p.offset = 5;
  p.accepted = 6;
  p.rejected = 7;
  p.in_flight = {"a", "b"};
  p.last_sequence = 8;
  const auto q = Progress::from_json(p.to_json());
  ASSERT_TRUE(q);
  EXPECT_EQ(q->to_json(), p.to_json());
  EXPECT_FALSE(Progress::from_json("{}"));
  EXPECT_FALSE(Progress::from_json("half of i"));
  EXPECT_FALSE(Progress::from_json("{\"version\":2}"));
}

TEST(LoadTracker, ABlockIsOverWhenAllBeforeItAre) {
  Tracker tracker({});
  for (std::uint64_t b = 0; b < 3; ++b) {
    BlockOfRows block;
    block.number = b;
    block.rows_end = (b + 1) * 10;
    block.offset_end = (b + 1) * 100;
    block.rejected.push_back({b * 10 + 5, "local", ""});
    for (std::uint32_t lane : {0u, 1u}) {
      Batch batch;
      batch.block = b;
      batch.lane = lane;
      batch.idempotency_key = std::to_string(b) + "-" + std::to_string(lane);
      block.batches.push_back(batch);
    }
    tracker.sent(block);
  }
  const auto answer = [&](std::uint64_t b, std::uint32_t lane) {
    BatchResult r;
    r.block = b;
    r.lane = lane;
    r.accepted = 4;
    r.rejected.push_back({b * 10 + 2, "server", ""});
    tracker.answered(r);
  };
  answer(1, 0);
  answer(1, 1);
  answer(0, 0);
  EXPECT_EQ(tracker.progress().rows, 0u);
  EXPECT_EQ(tracker.progress().in_flight.size(), 6u);
  EXPECT_TRUE(tracker.take_rejected().empty());
  answer(0, 1);
  EXPECT_EQ(tracker.progress().rows, 20u);
  EXPECT_EQ(tracker.progress().block, 2u);
  EXPECT_EQ(tracker.progress().in_flight, (std::vector<std::string>{"2-0", "2-1"}));
  std::vector<std::uint64_t> lines;
  for (const auto& row : tracker.take_rejected()) lines.push_back(row.line);
  EXPECT_EQ(lines, (std::vector<std::uint64_t>{2, 2, 5, 12, 12, 15}));
}

}  // namespace
}  // namespace tidemill::cli

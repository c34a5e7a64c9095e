// The log on a real disk with real threads: many writers, readers that follow the end, and kill -9 of a process of its
// own. Worth running under the thread sanitizer.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "storage/log/log.h"
#include "tests/support/real_env.h"
#include "tests/support/sim_random.h"

namespace tidemill {
namespace {

// One request in flight, over and over: what a connection of the server does.
class Client final : public AppendSink {
 public:
  Client(Log& log, std::uint64_t number) : log_(log), random_(number), number_(number) { append_.sink = this; }

  void appended(Append*) noexcept override {
    const std::lock_guard lock(mutex_);
    answered_ = true;
    changed_.notify_one();
  }
  // The answer, or its error.
  ErrorCode send(std::size_t records) {
    texts_.clear();
    records_.clear();
    for (std::size_t i = 0; i < records; ++i) {
      texts_.push_back("c" + std::to_string(number_) + ":" + std::to_string(++sent_) +
                       std::string(random_.below(500), '.'));
    }
    for (const std::string& text : texts_) {
      NewRecord r;
      r.key = "key";
      r.hash = {random_.next(), random_.next()};
      r.data = text;
      records_.push_back(r);
    }
    append_.records = records_;
    answered_ = false;
    log_.append(&append_);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return answered_; });
    return append_.error;
  }
  const Append& answer() const { return append_; }
  const std::vector<std::string>& texts() const { return texts_; }
  SimRandom& random() { return random_; }

 private:
  Log& log_;
  SimRandom random_;
  std::uint64_t number_;
  Append append_;
  std::vector<std::string> texts_;
  std::vector<NewRecord> records_;
  std::uint64_t sent_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool answered_ = false;
};

LogOptions small_segments() {
  LogOptions options;
  options.segment_bytes_first = 64 << 10;
  options.segment_bytes_max = 256 << 10;
  options.tail_cache_bytes = 64 << 10;
  options.mark_delay = std::chrono::milliseconds(1);
  return options;
}

void close(Env& env, Log& log) {
  const auto closed = env.background.make_signal();
  log.close([closed] { closed->set(); });
  closed->wait();
}

TEST(LogOnRealDisk, ManyWritersAndReadersAgree) {
  RealEnv real;
  const std::string directory = real.directory / "log";
  constexpr int kClients = 8;
  constexpr int kRounds = 60;
  std::mutex ledger_mutex;
  std::map<std::uint64_t, std::string> ledger;
  {
    auto opened = Log::open(real.env, directory, small_segments());
    ASSERT_TRUE(opened) << opened.error().message();
    Log& log = **opened;
    std::atomic<bool> writing{true};
    std::atomic<std::uint64_t> heard{0};
    auto listener = log.listen([&](Sequence s) { heard = s.value(); });
    std::vector<std::thread> threads;
    for (int c = 0; c < kClients; ++c) {
      threads.emplace_back([&, c] {
        Client client(log, static_cast<std::uint64_t>(c));
        for (int i = 0; i < kRounds; ++i) {
          ASSERT_FALSE(client.send(1 + client.random().below(20)));
          const std::lock_guard lock(ledger_mutex);
          for (std::size_t n = 0; n < client.texts().size(); ++n) {
            ASSERT_TRUE(ledger.emplace(client.answer().first.value() + n, client.texts()[n]).second);
          }
        }
      });
    }
    std::vector<std::map<std::uint64_t, std::string>> seen(3);
    std::vector<std::thread> readers;
    for (std::size_t i = 0; i < seen.size(); ++i) {
      readers.emplace_back([&, i] {
        Sequence at(1);
        ReadOptions options;
        options.records_max = i == 0 ? 3 : 10'000;
        for (;;) {
          const bool more = writing;
          auto batch = log.read(at, options);
          ASSERT_TRUE(batch) << batch.error().message();
          ASSERT_TRUE(batch->lost.empty());
          for (const Record& r : batch->records) seen[i].emplace(r.sequence.value(), std::string(r.data));
          if (!more && batch->next == at) return;
          at = batch->next;
          std::this_thread::yield();
        }
      });
    }
    for (std::thread& t : threads) t.join();
    writing = false;
    for (std::thread& t : readers) t.join();
    EXPECT_EQ(heard, log.durable().value());
    listener.reset();
    for (const auto& records : seen) EXPECT_TRUE(records == ledger);
    EXPECT_EQ(ledger.size(), log.durable().value());
    EXPECT_GT(log.status().segments, 1u);
    close(real.env, log);
  }
  auto again = Log::open(real.env, directory, small_segments());
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ((*again)->durable().value(), ledger.size());
  close(real.env, **again);
}

// The process that gets killed: appends for ever and says what was acknowledged.
TEST(LogKill, DISABLED_Writer) {
  const char* const directory = std::getenv("TIDEMILL_KILL_DIRECTORY");
  const char* const life = std::getenv("TIDEMILL_KILL_LIFE");
  if (directory == nullptr || life == nullptr) GTEST_SKIP() << "run by LogKill.LosesNothingAcknowledged";
  RealEnv real;
  auto opened = Log::open(real.env, directory, small_segments());
  ASSERT_TRUE(opened) << opened.error().message();
  std::vector<std::thread> threads;
  std::mutex pipe;
  for (std::uint64_t c = 0; c < 4; ++c) {
    threads.emplace_back([&, c] {
      Client client(**opened, std::strtoull(life, nullptr, 10) * 100 + c);
      while (!client.send(1 + client.random().below(8))) {
        std::string lines;
        for (std::size_t n = 0; n < client.texts().size(); ++n) {
          lines += std::to_string(client.answer().first.value() + n) + " " + client.texts()[n] + "\n";
        }
        const std::lock_guard lock(pipe);
        for (std::size_t at = 0; at < lines.size();) {
          const ssize_t n = write(3, lines.data() + at, lines.size() - at);
          if (n <= 0) std::_Exit(1);
          at += static_cast<std::size_t>(n);
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
}

// Starts the writer, kills it once it has acknowledged so many records; gives back all that it said.
std::string run_and_kill(const std::string& directory, int life, std::size_t bytes) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const std::string life_text = std::to_string(life);
  const pid_t child = fork();
  if (child == 0) {
    setenv("TIDEMILL_KILL_DIRECTORY", directory.c_str(), 1);
    setenv("TIDEMILL_KILL_LIFE", life_text.c_str(), 1);
    dup2(ends[1], 3);  // not close-on-exec, unless it was 3 already
    if (ends[1] == 3) fcntl(3, F_SETFD, 0);
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    execl("/proc/self/exe", "storage_tests", "--gtest_also_run_disabled_tests",
          "--gtest_filter=LogKill.DISABLED_Writer", static_cast<char*>(nullptr));
    _exit(127);
  }
  ::close(ends[1]);
  std::string said;
  bool killed = false;
  char some[4096];
  for (ssize_t n = 0; (n = read(ends[0], some, sizeof some)) > 0;) {
    said.append(some, static_cast<std::size_t>(n));
    if (!killed && said.size() >= bytes) {
      EXPECT_EQ(kill(child, SIGKILL), 0);
      killed = true;
    }
  }
  ::close(ends[0]);
  EXPECT_TRUE(killed) << "the writer ended by itself";
  waitpid(child, nullptr, 0);
  return said.substr(0, said.rfind('\n') + 1);
}

TEST(LogKill, LosesNothingAcknowledged) {
  RealEnv real;
  const std::string directory = real.directory / "log";
  std::map<std::uint64_t, std::string> acknowledged;
  SimRandom random(42);
  for (int life = 1; life <= 6; ++life) {
    const std::string said = run_and_kill(directory, life, 1000 + random.below(400'000));
    for (std::size_t at = 0; at < said.size();) {
      const std::size_t end = said.find('\n', at);
      const std::size_t space = said.find(' ', at);
      const std::uint64_t sequence = std::strtoull(said.c_str() + at, nullptr, 10);
      ASSERT_TRUE(acknowledged.emplace(sequence, said.substr(space + 1, end - space - 1)).second) << sequence;
      at = end + 1;
    }
    auto log = Log::open(real.env, directory, small_segments());
    ASSERT_TRUE(log) << log.error().message();
    EXPECT_TRUE((*log)->status().damage.empty());
    std::map<std::uint64_t, std::string> read;
    for (Sequence at(1); at <= (*log)->durable();) {
      const auto batch = (*log)->read(at, {});
      ASSERT_TRUE(batch);
      ASSERT_TRUE(batch->lost.empty());
      for (const Record& r : batch->records) read.emplace(r.sequence.value(), std::string(r.data));
      at = batch->next;
    }
    EXPECT_EQ(read.size(), (*log)->durable().value());
    for (const auto& [s, text] : acknowledged) {
      ASSERT_TRUE(read.contains(s)) << s << " of life " << life;
      ASSERT_EQ(read.at(s), text);
    }
    close(real.env, **log);
  }
}

}  // namespace
}  // namespace tidemill

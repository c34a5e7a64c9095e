#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tidemill::cli {

std::string with_commas(std::uint64_t number);
std::string count_of_rows(std::uint64_t number);  // "1 row", "1,000 rows"  // 541,909

// How a load is going, on standard error: a bar that is drawn over and over on a terminal, else a line now and then.
// One thread at a time.
class LoadDisplay {
 public:
  // `bytes` 0: unknown, as of a pipe.
  LoadDisplay(std::uint64_t bytes, bool quiet);
  ~LoadDisplay();

  void update(std::uint64_t bytes_done, std::uint64_t rows);
  // A line of its own, above the bar.
  void say(const std::string& line);
  // Like say(), but not again while it stays the same.
  void say_once(const std::string& line);
  void finish();  // takes the bar away
  double seconds() const;

 private:
  void clear();
  std::uint64_t bytes_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  std::uint64_t bytes_begin_ = 0;
  bool started_ = false;
  std::string last_said_;
  std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point drawn_at_;
};

}  // namespace tidemill::cli

#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/time.h"

namespace tidemill::cli {

// Decides which lines of a log are left out because the same line was written a moment ago. A line that comes again
// within the quiet time is counted; the count goes out with the next such line after it, or with flush().
// Remembers the last few different lines, so that two alternating ones are caught as well. Not thread-safe.
class Repeats {
 public:
  explicit Repeats(std::chrono::nanoseconds quiet = std::chrono::seconds(10)) : quiet_(quiet) {}

  struct Decision {
    bool write = true;
    std::uint64_t left_out = 0;  // how often the line was left out since it was last written
  };
  Decision see(std::string_view line, MonotonicTime now);

  struct LeftOut {
    std::string line;
    std::uint64_t count;
  };
  // Lines with a count that have been quiet since `before`; they are forgotten.
  std::vector<LeftOut> flush(MonotonicTime before);

 private:
  struct Entry {
    std::string line;
    MonotonicTime written{};
    std::uint64_t left_out = 0;
  };
  std::chrono::nanoseconds quiet_;
  std::array<Entry, 16> entries_;
};

// Lines of one message whose fields differ each time (a record that is refused, a file that is damaged): so many of one
// message are written in a while, the rest is counted. Not thread-safe.
class Floods {
 public:
  static constexpr std::uint64_t kLines = 100;
  explicit Floods(std::chrono::nanoseconds window = std::chrono::seconds(10)) : window_(window) {}

  bool see(std::string_view message, MonotonicTime now);  // false: left out
  // Messages with a count whose time is over; they begin anew.
  std::vector<Repeats::LeftOut> flush(MonotonicTime now);

 private:
  struct Entry {
    MonotonicTime began{};
    std::uint64_t lines = 0;
  };
  std::chrono::nanoseconds window_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace tidemill::cli

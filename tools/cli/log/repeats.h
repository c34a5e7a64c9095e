#pragma once

#include <array>
#include <cstdint>
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

}  // namespace tidemill::cli

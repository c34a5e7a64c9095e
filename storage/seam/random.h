#pragma once

#include <cstdint>

namespace tidemill {

// Salts, ids, incarnations. Any thread.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;
};

Random& system_random();  // the kernel's

}  // namespace tidemill

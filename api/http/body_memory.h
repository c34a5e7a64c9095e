#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include "storage/base/time.h"
#include "storage/log/drain_rate.h"

namespace tidemill::http {

// The large receive buffers of all connections together: how much they are, whose, and how fast they are given back,
// for who finds no room. Any thread.
class BodyMemory {
 public:
  struct Most {
    std::size_t bytes;     // of all together
    std::size_t one_body;  // what the largest body that is taken needs
  };

  // A buffer of a client at this address is to become larger; `from` 0: there was none. Only what comes to it counts.
  // False: there is no room for it, and nothing has changed. The last half of the memory, `one_body` of it at most, is
  // for those who hold no more than that: one address cannot keep all the others' bodies out.
  bool grow(const std::string& address, std::size_t from, std::size_t to, const Most& most, MonotonicTime now);
  void give_back(const std::string& address, std::size_t bytes, MonotonicTime now);
  // When so much will probably fit. 0: it does, or nothing was given back yet.
  std::chrono::nanoseconds time_for(std::size_t bytes, std::size_t limit, MonotonicTime now) const;

 private:
  mutable std::mutex mutex_;
  std::size_t held_ = 0;
  std::map<std::string, std::size_t> of_address_;  // those that hold something
  DrainRate drain_;
};

}  // namespace tidemill::http

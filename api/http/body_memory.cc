#include "api/http/body_memory.h"

#include <algorithm>

namespace tidemill::http {

bool BodyMemory::grow(const std::string& address, std::size_t from, std::size_t to, const Most& most,
                      MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  const std::size_t more = to - from;
  if (held_ + more > most.bytes) return false;
  const auto own = of_address_.find(address);
  const std::size_t mine = (own == of_address_.end() ? 0 : own->second) + more;
  const std::size_t reserve = std::min(most.one_body, most.bytes / 2);
  if (mine > reserve && held_ + more > most.bytes - reserve) return false;
  if (held_ == 0) drain_.busy(now);
  held_ += more;
  of_address_[address] = mine;
  return true;
}

void BodyMemory::give_back(const std::string& address, std::size_t bytes, MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  held_ -= bytes;
  const auto own = of_address_.find(address);
  if ((own->second -= bytes) == 0) of_address_.erase(own);
  drain_.drained(bytes, now);
}

std::chrono::nanoseconds BodyMemory::time_for(std::size_t bytes, std::size_t limit, MonotonicTime now) const {
  const std::lock_guard lock(mutex_);
  if (held_ + bytes <= limit) return {};
  return drain_.time_for(std::min(held_, held_ + bytes - limit), now);
}

}  // namespace tidemill::http

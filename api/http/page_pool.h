#pragma once

#include <cstddef>
#include <vector>

namespace tidemill::http {

// The first receive buffers of one loop's connections: a page each, by the kernel's own measure, so that pages nobody
// uses go back to it one by one; the C library's heap would keep them between what lives longer. Owned by the loop, on
// its thread; outlives the connections.
class PagePool {
 public:
  static constexpr std::size_t kPage = 4 << 10;

  PagePool() = default;
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  char* take();  // throws std::bad_alloc
  void give_back(char* page);
  void trim();  // from time to time: what has been too much for a while goes back to the kernel

  std::size_t resident() const { return (slabs_.size() * kSlabPages - cold_.size()) * kPage; }  // at most

 private:
  static constexpr std::size_t kSlabPages = 64;
  static constexpr std::size_t kKept = 64;        // pages that are not worth giving back
  static constexpr std::size_t kTrimmed = 4'096;  // at most at a time, so that nobody waits for it

  std::vector<char*> slabs_;
  std::vector<char*> warm_;  // free; the last one given back is the first to be taken
  std::vector<char*> cold_;  // free, and the kernel has its memory
};

}  // namespace tidemill::http

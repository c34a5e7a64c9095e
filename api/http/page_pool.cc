#include "api/http/page_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace tidemill::http {

PagePool::~PagePool() {
  for (char* slab : slabs_) ::munmap(slab, kSlabPages * kPage);
}

char* PagePool::take() {
  if (warm_.empty() && cold_.empty()) {
    void* slab = ::mmap(nullptr, kSlabPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slab == MAP_FAILED) throw std::bad_alloc();
    // No huge pages: one of them would hold what a single connection needs against all the others.
    ::madvise(slab, kSlabPages * kPage, MADV_NOHUGEPAGE);
    slabs_.push_back(static_cast<char*>(slab));
    for (std::size_t i = kSlabPages; i-- > 0;) cold_.push_back(slabs_.back() + i * kPage);
  }
  std::vector<char*>& from = warm_.empty() ? cold_ : warm_;
  char* page = from.back();
  from.pop_back();
  return page;
}

void PagePool::give_back(char* page) {
  warm_.push_back(page);
}

void PagePool::trim() {
  if (warm_.size() <= kKept) return;
  // The front of it has waited longest.
  const std::size_t n = std::min(kTrimmed, warm_.size() - kKept);
  for (std::size_t i = 0; i < n; ++i) {
    ::madvise(warm_[i], kPage, MADV_DONTNEED);
    cold_.push_back(warm_[i]);
  }
  warm_.erase(warm_.begin(), warm_.begin() + static_cast<std::ptrdiff_t>(n));
}

}  // namespace tidemill::http

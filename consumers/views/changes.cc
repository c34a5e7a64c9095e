#include "consumers/views/changes.h"

#include <algorithm>

namespace tidemill::views {
namespace {

constexpr std::size_t kEach = 64;  // what a write costs besides its keys, about

}  // namespace

bool Changes::wanted() const {
  const std::lock_guard lock(mutex_);
  return wanted_;
}

void Changes::append(std::string& keys, std::string_view group_key) {
  const auto size = static_cast<std::uint32_t>(group_key.size());
  keys.append(reinterpret_cast<const char*>(&size), sizeof size).append(group_key);
}

void Changes::add(const Write& write, std::string keys) {
  const std::lock_guard lock(mutex_);
  if (!wanted_) return;
  ++latest_;
  bytes_ += keys.size() + kEach;
  kept_.push_back({write, std::move(keys)});
  if (bytes_ <= kBytesMax) return;
  if (watchers_ == 0) {
    wanted_ = false;
    return drop_all();
  }
  while (bytes_ > kBytesMax) {
    bytes_ -= kept_.front().keys.size() + kEach;
    kept_.pop_front();
  }
}

void Changes::drop_all() {
  kept_ = {};
  bytes_ = 0;
}

void Changes::tell() {
  std::vector<std::shared_ptr<std::function<void()>>> told;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, then] : listeners_) told.push_back(then);
  }
  for (const auto& then : told) (*then)();
}

std::shared_ptr<void> Changes::watch() {
  const std::lock_guard lock(mutex_);
  ++watchers_;
  if (!wanted_) drop_all();
  wanted_ = true;
  return {nullptr, [self = shared_from_this()](void*) {
            const std::lock_guard gone(self->mutex_);
            --self->watchers_;
          }};
}

std::shared_ptr<void> Changes::listen(std::function<void()> then) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = ++listeners_made_;
  listeners_.emplace_back(number, std::make_shared<std::function<void()>>(std::move(then)));
  return {nullptr, [self = shared_from_this(), number](void*) {
            const std::lock_guard gone(self->mutex_);
            std::erase_if(self->listeners_, [&](const auto& l) { return l.first == number; });
          }};
}

std::uint64_t Changes::latest() const {
  const std::lock_guard lock(mutex_);
  return latest_;
}

std::optional<Changes::Since> Changes::since(std::uint64_t from, std::uint64_t seen, Position position) const {
  Since out;
  {
    const std::lock_guard lock(mutex_);
    if (!wanted_ || from + kept_.size() < latest_) return std::nullopt;
    // What came before a write that is seen is seen.
    out.to = std::max(from, seen);
    for (std::uint64_t n = latest_; n > out.to; --n) {
      const Write& write = kept_[kept_.size() - 1 - (latest_ - n)].write;
      if (write.moved && write.position <= position) out.to = n;
    }
    for (std::uint64_t n = from + 1; n <= out.to; ++n) {
      const Kept& kept = kept_[kept_.size() - 1 - (latest_ - n)];
      for (std::string_view left = kept.keys; !left.empty();) {
        std::uint32_t size = 0;
        left.copy(reinterpret_cast<char*>(&size), sizeof size);
        out.keys.emplace_back(left.substr(sizeof size, size));
        left.remove_prefix(sizeof size + size);
      }
    }
  }
  std::sort(out.keys.begin(), out.keys.end());
  out.keys.erase(std::unique(out.keys.begin(), out.keys.end()), out.keys.end());
  return out;
}

// A write that moved to `position` is sent again: what came after it and moved nothing may not have been seen.
std::optional<Changes::Begin> Changes::begin(Position position) const {
  const std::lock_guard lock(mutex_);
  if (kept_.empty() || position < kept_.front().write.position) return std::nullopt;
  if (position == kept_.front().write.position && !kept_.front().write.moved) return std::nullopt;
  Begin out{latest_ - kept_.size(), kept_.front().write.stream_time_ms};
  for (const Kept& kept : kept_) {
    if (!(kept.write.position < position)) break;
    ++out.after;
    out.stream_time_ms = kept.write.stream_time_ms;
  }
  return out;
}

}  // namespace tidemill::views

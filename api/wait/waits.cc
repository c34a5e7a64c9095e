#include "api/wait/waits.h"

#include <algorithm>
#include <atomic>
#include <charconv>

namespace tidemill {

struct Waits::Wait : std::enable_shared_from_this<Waits::Wait> {
  Wait(Waits& waits, http::Loop& loop, std::function<void(bool)> then)
      : waits(waits), loop(loop), then(std::move(then)) {}

  // Any thread; the first one counts.
  void end(bool reached) {
    if (ended.exchange(true)) return;
    loop.post([self = shared_from_this(), reached] {
      self->handles.clear();
      self->waits.forget(self);
      auto then = std::move(self->then);
      then(reached);
    });
  }

  Waits& waits;
  http::Loop& loop;
  std::function<void(bool)> then;
  std::vector<std::shared_ptr<void>> handles;  // touched on the loop only
  std::atomic<std::size_t> left{0};
  std::atomic<bool> ended{false};
};

void Waits::until_applied(http::Loop& loop, std::shared_ptr<views::Views> views, const std::vector<std::string>& names,
                          Position position, std::chrono::milliseconds wait, std::function<void(bool)> then) {
  auto w = std::make_shared<Wait>(*this, loop, std::move(then));
  w->left = names.size();
  bool ended = false;
  {
    const std::lock_guard lock(mutex_);
    ended = ended_;
    waits_.insert(w);
  }
  if (names.empty()) return w->end(true);
  loop.post([this, w, views = std::move(views), names, position, wait, ended] {
    for (const std::string& name : names) {
      w->handles.push_back(views->when_applied(name, position, [weak = std::weak_ptr(w)] {
        const auto self = weak.lock();
        if (self && self->left.fetch_sub(1) == 1) self->end(true);
      }));
    }
    if (ended || wait.count() <= 0) return w->end(false);
    w->loop.post_after(wait, [weak = std::weak_ptr(w)] {
      if (const auto self = weak.lock()) self->end(false);
    });
  });
}

void Waits::end_all() {
  std::set<std::shared_ptr<Wait>> all;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    all = waits_;
  }
  for (const auto& w : all) w->end(false);
}

std::size_t Waits::waiting() const {
  const std::lock_guard lock(mutex_);
  return waits_.size();
}

void Waits::forget(const std::shared_ptr<Wait>& wait) {
  const std::lock_guard lock(mutex_);
  waits_.erase(wait);
}

std::optional<std::chrono::milliseconds> wait_of(const http::Query& query) {
  const auto text = query.get("wait");
  if (!text) return kWaitDefault;
  std::uint64_t ms = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), ms);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  if (ms > static_cast<std::uint64_t>(kWaitMax.count())) return std::nullopt;
  return std::chrono::milliseconds(ms);
}

}  // namespace tidemill

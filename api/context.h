#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "api/http/server.h"
#include "api/server.h"
#include "api/wait/waits.h"

namespace tidemill {

// What every handler needs. Made and owned by the server; outlives the requests.
struct ApiContext {
  Env& env;
  Engine& engine;
  views::Views* views;  // may be nullptr
  Executor& workers;
  std::atomic<bool> draining{false};
  Executor* historical = nullptr;              // set before the first request
  std::optional<FlushTime> flush_time;         // set before the first request
  derived::DerivedStreams* derived = nullptr;  // set before the first request; may stay nullptr
  std::function<void()> wake_tails;            // set before the first request; a stream was removed
  Waits waits;
  std::atomic<std::uint64_t> forbidden{0};  // requests that a handler turned away for want of a scope

  ApiContext(Env& e, Engine& en, views::Views* v, Executor& w) : env(e), engine(en), views(v), workers(w) {}

  std::shared_ptr<const ApiLimits> limits() const {
    const std::lock_guard lock(mutex_);
    return limits_;
  }
  void set_limits(const ApiLimits& limits) {
    const std::lock_guard lock(mutex_);
    limits_ = std::make_shared<const ApiLimits>(limits);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const ApiLimits> limits_ = std::make_shared<const ApiLimits>();
};

// Answers on a worker, where blocking is allowed. What `work` needs of the request it has copied. Sending is the last
// thing it does.
template <class Work>
void on_worker(ApiContext& context, http::Responder responder, Work work) {
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  context.workers.post([shared = std::move(shared), work = std::move(work)]() mutable { work(std::move(*shared)); });
}

inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kNdjson = "application/x-ndjson";
inline constexpr std::string_view kCsv = "text/csv; charset=utf-8";

}  // namespace tidemill

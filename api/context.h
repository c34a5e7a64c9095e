#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "api/http/server.h"
#include "api/router/pass.h"
#include "api/server.h"
#include "api/turns/tenant_queue.h"
#include "api/wait/waits.h"
#include "engine/audit/audit_trail.h"
#include "engine/keys/principal.h"
#include "engine/usage/usage_log.h"

namespace tidemill {

// The views of whom a call is for. nullptr: this server has none. Good as long as the server.
using OwnViews = std::shared_ptr<views::Views>;

// What every handler needs. Made and owned by the server; outlives the requests.
struct ApiContext {
  Env& env;
  Engine& engine;
  views::AllViews* all_views;  // may be nullptr
  Executor& workers;           // what is brief
  TenantQueue questions;       // the rest, on the workers: a tenant does not hold up the others
  TenantQueue old_pages;       // of records that are not in memory
  Executor& management;        // keys and limits, /metrics
  Executor& changes;           // of streams
  std::atomic<bool> draining{false};
  std::optional<FlushTime> flush_time;         // set before the first request
  derived::DerivedStreams* derived = nullptr;  // set before the first request; may stay nullptr
  UsageLog* usage = nullptr;                   // set before the first request; may stay nullptr
  Limiter* limiter = nullptr;                  // set before the first request; may stay nullptr
  AuditTrail* audit = nullptr;                 // set before the first request; may stay nullptr
  std::function<void()> wake_tails;            // set before the first request; a stream was removed, a key ended
  Waits waits;
  std::atomic<std::uint64_t> forbidden{0};                // requests that a handler turned away for want of a scope
  std::array<std::atomic<std::uint64_t>, kEnds> ended{};  // answers without an end, by why

  ApiContext(Env& env, Engine& engine, views::AllViews* views, Executor& workers, const ApiOptions& options = {});

  // What there is for whom a call is for. Nothing that a client names is looked for in another way: so what is
  // another tenant's is not there, like what nobody has. nullptr: it is not.
  OwnViews views_of(const Principal& who) const { return all_views ? all_views->of(who.tenant) : nullptr; }
  std::shared_ptr<Stream> stream_of(const Principal& who, const std::string& name) const {
    return engine.find(QualifiedName{who.tenant, name});
  }
  std::shared_ptr<Stream> stream_of(const Principal& who, const Token& token) const {
    auto stream = engine.find(token.stream);
    return stream && stream->tenant() == who.tenant ? stream : nullptr;
  }

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

// Answers where blocking is allowed. What `work` needs of the request it has copied. Sending is the last thing it does.
template <class Work>
void answer_on(Executor& executor, http::Responder responder, Work work) {
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  executor.post([shared = std::move(shared), work = std::move(work)]() mutable { work(std::move(*shared)); });
}
// What takes a moment at most, whatever was asked.
template <class Work>
void on_worker(ApiContext& context, http::Responder responder, Work work) {
  answer_on(context.workers, std::move(responder), std::move(work));
}

// Of the tenant that it is for, when that one's turn comes; 429 where too much of it waits already.
void post_in_turn(TenantQueue& queue, const std::string& tenant, std::shared_ptr<http::Responder> responder, Task task);
template <class Work>
void in_turn(TenantQueue& queue, const std::string& tenant, http::Responder responder, Work work) {
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  post_in_turn(queue, tenant, shared, [shared, work = std::move(work)]() mutable { work(std::move(*shared)); });
}

inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kNdjson = "application/x-ndjson";
inline constexpr std::string_view kCsv = "text/csv; charset=utf-8";

}  // namespace tidemill

#include "api/context.h"

#include <algorithm>

#include "api/errors/problem.h"

namespace tidemill {
namespace {

// A page is brief: turns are enough, nobody needs a thread of their own.
TenantQueue::Limits of_pages(std::size_t threads) {
  auto limits = TenantQueue::of_threads(threads);
  limits.at_work = limits.at_work_of_one = std::max<std::size_t>(threads, 1);
  return limits;
}

}  // namespace

ApiContext::ApiContext(Env& e, Engine& en, views::AllViews* v, Executor& w, const ApiOptions& options)
    : env(e),
      engine(en),
      all_views(v),
      workers(w),
      questions(w, TenantQueue::of_threads(options.worker_threads)),
      old_pages(options.historical != nullptr ? *options.historical : w, of_pages(options.historical_threads)),
      management(options.management != nullptr ? *options.management : w),
      changes(options.changes != nullptr ? *options.changes : w) {}

void post_in_turn(TenantQueue& queue, const std::string& tenant, std::shared_ptr<http::Responder> responder,
                  Task task) {
  if (queue.post(tenant, std::move(task))) return;
  responder->send(problem(ErrorId::throttled, "As many requests of the tenant as may wait for their turn do already."));
}

}  // namespace tidemill

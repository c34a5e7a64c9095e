#include "consumers/usage/usage_view.h"

#include <algorithm>
#include <memory>
#include <string>

#include "engine/usage/usage_log.h"
#include "storage/base/logger.h"
#include "storage/seam/executor.h"

namespace tidemill {
namespace {

void make_view(Env& env, views::AllViews& all, const std::string& tenant) {
  const auto views = all.of(tenant);
  const auto there = [&] {
    const auto failed = views->failed();  // it was said why it cannot be opened
    return views->find(kUsageView) ||
           std::any_of(failed.begin(), failed.end(), [](const auto& f) { return f.name == kUsageView; });
  };
  if (!there()) {
    const auto made = views->create(kUsageView, kUsageViewSql);
    const auto* error = std::get_if<views::SqlError>(&made);
    if (error == nullptr) return env.logger.info("the view of usage was made", {{"tenant", tenant}});
    if (!there())
      return env.logger.warning("the view of usage was not made; the next start tries again",
                                {{"tenant", tenant}, {"cause", error->message}});
  }
  const auto found = views->find(kUsageView);
  if (found && found->stream != kUsageStream)
    env.logger.warning(
        "the tenant has a view `usage` of its own, which stays; its keys' usage is in the stream `_usage`, "
        "and a view of another name can be made over that",
        {{"tenant", tenant}, {"reads", found->stream}});
}

}  // namespace

// Not within the hook: that would hold up whoever notes a first usage for as long as a definition takes, and all other
// changes of streams.
void keep_usage_views(Env& env, Engine& engine, views::AllViews& views, Executor& executor) {
  engine.on_stream([&env, &views, &executor](const std::shared_ptr<Stream>& stream) {
    if (stream->name() != kUsageStream) return;
    executor.post([&env, &views, tenant = stream->tenant()] { make_view(env, views, tenant); });
  });
}

}  // namespace tidemill

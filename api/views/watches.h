#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "api/context.h"
#include "api/router/router.h"
#include "api/turns/tenant_shares.h"
#include "api/views/feed.h"
#include "api/views/watcher.h"

namespace tidemill {

// All clients that watch views: how many they are, and which of them share a feed. Any thread.
class Watches {
 public:
  static constexpr std::size_t kOfAll = 2'000;
  static constexpr std::size_t kOfOne = 1'000;  // tenant

  explicit Watches(ApiContext& context) : context_(context) {}
  struct Asked {
    Follower follower;  // who asks
    OwnViews views;     // of the same
    QualifiedName view;
    bool head_only = false;
    views::RangeOptions bounds;
    std::vector<views::Row> keys;   // these instead
    std::string where;              // of these, rows that fit; empty: all
    std::uint64_t fingerprint = 0;  // of all of that; 0: it is the whole view
    std::string cursor;             // that decode_cursor() reads; empty: none
  };
  // With a `where` it blocks for a moment: on a worker.
  void open(const Asked& asked, http::Responder responder);
  void wake();  // all look again: the server drains
  const WatchMetrics& metrics() const { return metrics_; }

 private:
  std::shared_ptr<Feed> feed(const Asked& asked);
  Watcher::Ask ask(const Asked& asked, views::Watch& watch) const;

  ApiContext& context_;
  WatchMetrics metrics_;
  const std::shared_ptr<TenantShares> shares_ = std::make_shared<TenantShares>(kOfAll, kOfOne);
  std::mutex mutex_;
  std::map<QualifiedName, std::weak_ptr<Feed>> feeds_;  // by view
  std::set<std::weak_ptr<Watcher>, std::owner_less<std::weak_ptr<Watcher>>> watchers_;
};

}  // namespace tidemill

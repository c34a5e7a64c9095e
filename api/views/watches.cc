#include "api/views/watches.h"

#include <algorithm>
#include <array>
#include <string>

#include "api/errors/problem.h"
#include "api/media_type.h"
#include "api/views/key_input.h"
#include "api/views/view_routes.h"
#include "storage/base/hash.h"

namespace tidemill {
namespace {

constexpr std::string_view kEvents = "text/event-stream";

// Which rows are asked for, as the client says it: who comes back with a cursor has a copy of these.
std::uint64_t fingerprint_of(const http::Query& query) {
  std::string asked;
  for (const std::string_view name : {"key", "prefix", "from", "to", "where"}) {
    const auto value = query.get(name);
    if (value) asked.append(name).append("=").append(*value).append(1, '\0');
  }
  return asked.empty() ? 0 : std::max<std::uint64_t>(xxh3(asked), 1);
}

}  // namespace

void ViewRoutes::changes(Call& call, http::Responder responder) {
  const auto refuse = [&](ErrorId id, std::string_view detail = {}) { responder.send(problem(id, detail)); };
  static constexpr std::array<std::string_view, 1> kOffered{kEvents};
  if (negotiate(call.request, kOffered).empty())
    return refuse(ErrorId::not_acceptable, "This path gives " + std::string(call.route.gives) + ".");
  Watches::Asked asked;
  asked.follower = Follower(call);
  asked.views = context_.views_of(*call.who);
  asked.view = {call.who->tenant, call.params[0]};
  asked.head_only = call.request.method == "HEAD";
  const auto info = asked.views ? asked.views->find(asked.view.name) : std::nullopt;
  if (!info) return refuse(ErrorId::view_not_found);
  auto bounds = bounds_of(*info, call.query);
  if (!bounds) return refuse(ErrorId::invalid_key);
  asked.bounds = std::move(*bounds);
  if (call.query.get("key")) {
    if (asked.bounds.prefix || asked.bounds.from || asked.bounds.to)
      return refuse(ErrorId::invalid_parameter, "`key` names one row, `prefix`, `from` and `to` many; send either.");
    asked.keys = key_of(call, *info, {});
    if (asked.keys.empty()) return refuse(ErrorId::invalid_key);
  }
  if (const auto where = call.query.get("where")) {
    if (where->empty())
      return refuse(ErrorId::invalid_parameter, "`where` is empty: write a condition over the view's columns.");
    asked.where = *where;
  }
  asked.fingerprint = fingerprint_of(call.query);
  // Who connects again by itself says where it was, and asks for what it asked for first.
  if (const auto cursor = call.query.get("cursor")) asked.cursor = *cursor;
  if (const std::string_view last = call.request.header("Last-Event-ID"); !last.empty()) asked.cursor = last;
  if (!asked.cursor.empty()) {
    const auto cursor = decode_cursor(asked.cursor);
    if (!cursor) return refuse(ErrorId::invalid_cursor);
    if (cursor->fingerprint != asked.fingerprint)
      return refuse(ErrorId::invalid_cursor,
                    "It was given to who asked for other rows: `key`, `prefix`, `from`, `to` and `where` must be the "
                    "same as then.");
  }
  const std::string view = asked.view.name;
  when_visible(call, std::move(responder), {view}, info->stream,
               [this, asked = std::move(asked)](http::Responder ready) {
                 if (asked.where.empty()) return watches_.open(asked, std::move(ready));
                 in_turn(context_.questions, asked.view.tenant, std::move(ready),
                         [this, asked](http::Responder r) { watches_.open(asked, std::move(r)); });
               });
}

std::shared_ptr<Feed> Watches::feed(const Asked& asked) {
  const std::lock_guard lock(mutex_);
  std::erase_if(feeds_, [](const auto& f) { return f.second.expired(); });
  if (const auto there = feeds_.find(asked.view); there != feeds_.end())
    if (auto feed = there->second.lock(); feed && !feed->watch().over()) return feed;
  auto watch = asked.views->watch(asked.view.name);
  if (!watch) return nullptr;
  auto feed = std::make_shared<Feed>(context_, std::move(watch));
  feed->begin();
  feeds_.insert_or_assign(asked.view, feed);
  return feed;
}

Watcher::Ask Watches::ask(const Asked& asked, views::Watch& watch) const {
  Watcher::Ask out;
  out.follower = asked.follower;
  if (asked.keys.empty()) {
    out.ranges = watch.ranges(asked.bounds);
  } else {
    for (const views::Row& key : asked.keys) out.ranges.push_back(watch.range_of(key));
  }
  out.fingerprint = asked.fingerprint;
  out.whole = asked.fingerprint == 0;
  if (asked.cursor.empty()) return out;
  const auto read = decode_cursor(asked.cursor);
  out.cursor = read->cursor;
  auto stream = context_.engine.find(read->token.stream);
  if (stream && stream->tenant() != asked.view.tenant) stream = nullptr;
  const auto position = stream ? context_.engine.resolve(*stream, read->token) : Result<Position>(Position());
  if (position) {
    out.cursor->position = *position;
  } else {
    out.refetch = "The log was cut off before the cursor, or is another one.";
  }
  return out;
}

void Watches::open(const Asked& asked, http::Responder responder) {
  auto feed = this->feed(asked);
  if (!feed) return responder.send(problem(ErrorId::view_not_found));
  std::shared_ptr<views::RowFilter> filter;
  if (!asked.where.empty()) {
    auto made = feed->watch().filter(asked.where);
    if (const auto* error = std::get_if<views::SqlError>(&made)) {
      if (error->code == "internal") return responder.send(problem(ErrorId::internal, error->message));
      return responder.send(problem(ErrorId::invalid_parameter, "`where`, " + error->message));
    }
    filter = std::move(std::get<0>(made));
  }
  auto share = shares_->take(asked.view.tenant);
  if (!share) return responder.send(problem(ErrorId::throttled, "As many clients as may watch views do already."));
  metrics_.open.add(1);
  http::Loop& loop = responder.loop();
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  loop.post(
      [this, feed = std::move(feed), filter = std::move(filter), asked, shared, share = std::move(share)]() mutable {
        http::Response head;
        head.content_type = kEvents;
        head.add_header("Cache-Control", "no-store");
        auto out = shared->stream(head);
        auto wanted = ask(asked, feed->watch());
        wanted.filter = filter;
        wanted.share = std::move(share);
        auto watcher = std::make_shared<Watcher>(context_, metrics_, feed, std::move(wanted), out);
        if (asked.head_only) {
          metrics_.open.add(-1);
          return out->finish();
        }
        {
          const std::lock_guard lock(mutex_);
          std::erase_if(watchers_, [](const auto& w) { return w.expired(); });
          watchers_.insert(watcher);
        }
        watcher->begin();
      });
}

void Watches::wake() {
  const std::lock_guard lock(mutex_);
  for (const auto& weak : watchers_)
    if (const auto watcher = weak.lock()) watcher->wake();
}

}  // namespace tidemill

// SQL at kept points.
#include <algorithm>
#include <set>

#include "consumers/views/catalog.h"
#include "consumers/views/timestamp.h"
#include "storage/base/errors.h"
#include "storage/base/text.h"
#include "storage/seam/clock.h"

namespace tidemill::views {
namespace {

SqlError error(std::string code, std::string message) {
  return {std::move(code), std::move(message)};
}

// Holds what its rows come from.
class PointCursor final : public QueryCursor {
 public:
  PointCursor(std::shared_ptr<PointSource> source, std::unique_ptr<QueryCursor> cursor, KeptPoint point)
      : source_(std::move(source)), cursor_(std::move(cursor)), point_(std::move(point)) {}
  const std::vector<Column>& columns() const override { return cursor_->columns(); }
  const AsOf& as_of() const override { return cursor_->as_of(); }
  SqlResult<std::span<const Row>> next(std::size_t rows_max) override { return cursor_->next(rows_max); }
  bool truncated() const override { return cursor_->truncated(); }
  const KeptPoint* point() const override { return &point_; }

 private:
  const std::shared_ptr<PointSource> source_;
  const std::unique_ptr<QueryCursor> cursor_;
  const KeptPoint point_;
};

}  // namespace

History::Catalog Catalog::for_history() {
  History::Catalog out;
  out.served = [this] { return served(); };
  out.defined = [this] {
    std::set<std::uint64_t> ids;
    const std::lock_guard lock(mutex_);
    defined_.each_family([&](const Defined& d) { ids.insert(d.id); });
    return ids;
  };
  // A stream that has been removed is of no view any more.
  out.fits = [this](const PointView& v) {
    const auto stream = engine_.find(v.stream);
    return !stream || v.sequence <= stream->log().durable();
  };
  out.begin_flush = [this] { return begin_flush(); };
  out.live = [this](std::string_view tenant) { return tables(tenant); };
  out.say = [this](const QualifiedName& view, const Checkpoint& checkpoint) -> std::optional<AsOf> {
    const auto there = entry(view);
    if (!there) return std::nullopt;
    return as_of(*there, checkpoint);
  };
  return out;
}

// Those that go with the others of their stream: they have what there is.
std::vector<PointView> Catalog::served() const {
  std::vector<PointView> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : entries_) {
    const LiveView& live = *entry.live;
    if (!live.caught_up()) continue;
    out.push_back({live.view->id(), entry.stream->definition().id, live.applied().sequence(), live.parked});
  }
  return out;
}

Result<void> Catalog::begin_flush() const {
  std::vector<std::shared_ptr<StreamViews>> consumers;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, consumer] : consumers_) consumers.push_back(consumer);
  }
  for (const auto& consumer : consumers) RETURN_IF_ERROR(consumer->begin_flush());
  return {};
}

std::vector<Catalog::Named> Catalog::named(std::string_view tenant, const std::vector<std::string>& views) const {
  std::vector<Named> out;
  for (const std::string& name : views) {
    if (const auto there = entry({std::string(tenant), name}))
      out.push_back({name, there->live->view->id(), there->stream->definition().id, there->live->applied().sequence()});
  }
  return out;
}

// What no point can answer.
std::optional<SqlError> Catalog::refuse_at(const std::vector<Named>& views, const Views::At& at) const {
  if (const auto* time = std::get_if<WallTime>(&at)) {
    const WallTime now = env_.clock.wall();
    if (*time <= now) return std::nullopt;
    return error("at_ahead", "`at` has not come yet: the server's clock says " + format_rfc3339(now) + ".");
  }
  const Sequence sequence = std::get<Sequence>(at);
  if (views.empty())
    return error("invalid_parameters", "A sequence is one of a stream, and the statement reads no view: use a time.");
  for (const Named& v : views) {
    if (v.stream != views.front().stream)
      return error("invalid_parameters",
                   "The views " + views.front().name + " and " + v.name +
                       " are of different streams, whose sequences have nothing to do with each other: use a time.");
    if (sequence > v.applied)
      return error("at_ahead", "The view " + v.name + " has come to sequence " + std::to_string(v.applied.value()) +
                                   ", and `at` is sequence " + std::to_string(sequence.value()) + ".");
  }
  return std::nullopt;
}

// The newest that has come no further, and has all of the views; or why there is none.
SqlResult<std::uint64_t> Catalog::point_for(const std::vector<Named>& views, const Views::At& at) const {
  if (history_->options().every.count() == 0)
    return error("not_supported",
                 "This server keeps no points of the past for SQL: history.every of its configuration is off. One row "
                 "can be had without: /v1/views/{view}/rows/{key}?at=.");
  if (auto refused = refuse_at(views, at)) return std::move(*refused);
  // All views of a stream are at the same record.
  const auto had_come = [&](const History::Point& p) {
    const auto* sequence = std::get_if<Sequence>(&at);
    if (sequence == nullptr) return p.content->made <= std::get<WallTime>(at);
    const auto& had = p.content->views;
    return std::any_of(had.begin(), had.end(),
                       [&](const PointView& v) { return v.stream == views.front().stream && v.sequence <= *sequence; });
  };
  const auto lacks = [&](const History::Point& p) {
    return std::find_if(views.begin(), views.end(), [&](const Named& v) { return p.content->find(v.id) == nullptr; });
  };
  const auto points = history_->status().points;
  if (points.empty())
    return error("history_gone", "No point of the past has been kept yet. One is kept every " +
                                     std::to_string(history_->options().every.count() / 1000) +
                                     " s, where a view has changed.");
  const History::Point* oldest = nullptr;   // that has them all
  const History::Point* without = nullptr;  // the newest of then that has not
  for (auto p = points.rbegin(); p != points.rend(); ++p) {
    const bool whole = lacks(*p) == views.end();
    if (whole && had_come(*p)) return p->number;
    if (whole) oldest = &*p;
    if (!whole && without == nullptr && had_come(*p)) without = &*p;
  }
  std::string message = "No point is kept from then.";
  if (without != nullptr)
    message = "The view " + lacks(*without)->name +
              ", as it is defined now, is not in the points of then: it was defined after them, or had not caught up.";
  if (oldest == nullptr) {
    message += " No point has " + std::string(views.size() == 1 ? "it" : "all that the statement reads") + " yet.";
  } else {
    message += " The oldest with " + std::string(views.size() == 1 ? "it" : "all that the statement reads") +
               " is number " + std::to_string(oldest->number) + ", of " + format_rfc3339(oldest->content->made);
    if (std::holds_alternative<Sequence>(at))
      message += ", at sequence " + std::to_string(oldest->content->find(views.front().id)->sequence.value());
    message += ".";
  }
  return error("history_gone", message + " GET /v1/history lists them.");
}

KeptPoint Catalog::shown(const History::Point& point, Whose whose) const {
  KeptPoint out{point.number, point.content->made, {}, point.bytes};
  const std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : entries_) {
    if (whose && name.tenant != *whose) continue;
    if (const PointView* had = point.content->find(entry.live->view->id()))
      out.views.push_back({name.name, entry.stream->name(), had->sequence});
  }
  return out;
}

HistoryStatus Catalog::history(Whose whose) const {
  const History::Status status = history_->status();
  HistoryStatus out{
      history_->options().every, history_->options().keep, {}, status.bytes, status.failures, status.failed};
  for (const auto& point : status.points) out.points.push_back(shown(point, whose));
  return out;
}

SqlResult<std::unique_ptr<QueryCursor>> Catalog::query_at(std::string_view tenant, std::string_view sql,
                                                          const Row& params, const QueryLimits& limits,
                                                          const Views::At& at) {
  // Views may be altered, and points go, between two steps of this.
  constexpr int kTries = 3;
  for (int i = 1;; ++i) {
    const auto views = executor_.views_of(tenant, sql);
    if (const auto* failed = std::get_if<SqlError>(&views)) return *failed;
    const auto wanted = named(tenant, std::get<0>(views));
    const auto number = point_for(wanted, at);
    if (const auto* failed = std::get_if<SqlError>(&number)) return *failed;
    const auto status = history_->status();
    const auto point = std::find_if(status.points.begin(), status.points.end(),
                                    [&](const auto& p) { return p.number == std::get<0>(number); });
    auto source = history_->source(std::get<0>(number));
    if (!source && source.error() == StorageErrc::not_accepting)
      return error("throttled", "So many kept points are being read that no further one can be opened now.");
    if (!source)
      return error("view_damaged", "The kept point " + std::to_string(std::get<0>(number)) +
                                       " cannot be read: " + source.error().message() + ".");
    if (!*source || point == status.points.end()) {
      if (i < kTries) continue;
      return error("history_gone", "The point that was kept from then has just gone.");
    }
    auto cursor = (*source)->executor().query(tenant, sql, params, limits);
    if (const auto* failed = std::get_if<SqlError>(&cursor)) {
      if (failed->code == "no_such_view" && i < kTries) continue;
      return *failed;
    }
    return std::unique_ptr<QueryCursor>(
        std::make_unique<PointCursor>(std::move(*source), std::get<0>(std::move(cursor)), shown(*point, tenant)));
  }
}

}  // namespace tidemill::views

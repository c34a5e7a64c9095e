#include "api/metrics/metrics.h"

#include <algorithm>

#include "api/metrics/families.h"
#include "api/metrics/process.h"
#include "api/views/freshness.h"
#include "storage/base/build_info.h"
#include "storage/log/pond.h"
#include "storage/seam/clock.h"
#include "storage/seam/file_system.h"

namespace tidemill {
namespace {

constexpr std::array<int, 29> kKnown{200, 201, 202, 204, 207, 304, 400, 403, 404, 405, 406, 408, 409, 410, 411,
                                     413, 415, 417, 422, 429, 431, 500, 501, 503, 504, 505, 507, 401, 0};

void add_stream(Families& out, const Stream& stream) {
  const LogMetrics& m = stream.log().metrics();
  const LogStatus s = stream.log().status();
  const Labels l = of_tenant("stream", stream.qualified_name());
  constexpr double kUs = 1e6;
  out.add("tidemill_records_total", number(m.records.value()), l);
  out.add("tidemill_record_bytes_total", number(m.record_bytes.value()), l);
  out.add("tidemill_commits_total", number(m.commits.value()), l);
  out.add("tidemill_commit_bytes_total", number(m.commit_bytes.value()), l);
  out.add("tidemill_commit_records", m.records_per_commit, 1, l);
  out.add("tidemill_flush_duration_seconds", m.flush_us, kUs, l);
  out.add("tidemill_queue_wait_seconds", m.queue_us, kUs, l);
  out.add("tidemill_queued_bytes", static_cast<double>(m.queued_bytes.value()), l);
  out.add("tidemill_flush_failures_total", number(m.flush_failures.value()), l);
  out.add("tidemill_throttled_requests_total", number(m.throttled.value()), l);
  out.add("tidemill_replayed_requests_total", number(m.replayed.value()), l);
  out.add("tidemill_stream_shards", number(stream.shards().now().table->open()), l);
  out.add("tidemill_log_last_sequence", number(s.durable.value()), l);
  out.add("tidemill_log_first_sequence", number(s.start.value()), l);
  out.add("tidemill_log_bytes", number(s.bytes), l);
  out.add("tidemill_log_segments", number(s.segments), l);
  out.add("tidemill_log_accepting", s.accepting ? 1 : 0, l);
  out.add("tidemill_log_lost_ranges", number(s.damage.size()), l);
}

void add_windows(Families& out, const ApiContext& context) {
  const auto& pond = context.engine.options().log.pond;
  if (!pond) return;
  out.add("tidemill_idempotency_bytes", number(pond->requests.bytes()));
  out.add("tidemill_idempotency_limit_bytes", number(pond->requests.bytes_max()));
  const MonotonicTime now = context.env.clock.monotonic();
  for (const auto& use : pond->requests.uses()) {
    const Labels l = of_tenant("stream", qualified_from(use.name));
    out.add("tidemill_idempotency_keys", number(use.keys), l);
    const std::chrono::duration<double> age =
        std::max(MonotonicTime::duration::zero(), now - std::min(now, use.oldest));
    out.add("tidemill_idempotency_window_seconds", age.count(), l);
  }
}

void add_retention(Families& out, const Stream& stream, const RetentionStatus& r) {
  if (!stream.definition().retention.enabled()) return;
  const Labels l = of_tenant("stream", stream.qualified_name());
  out.add("tidemill_retention_removed_records_total", number(r.removed_records), l);
  out.add("tidemill_retention_lost_records_total", number(r.lost_records), l);
  out.add("tidemill_retention_groups_at_risk", number(r.at_risk.size()), l);
  out.add("tidemill_retention_paused", r.paused.empty() ? 0 : 1, l);
  out.add("tidemill_retention_held", r.held.empty() ? 0 : 1, l);
}

void add_group(Families& out, const GroupStatus& g) {
  const Labels l = of_tenant("group", g.qualified_name());
  out.add("tidemill_group_lag_records", number(g.lag_records), l);
  if (g.lag_seconds) out.add("tidemill_group_lag_seconds", *g.lag_seconds, l);
  out.add("tidemill_group_retries_total", number(g.retries), l);
  out.add("tidemill_group_failing", g.last_error.empty() ? 0 : 1, l);
  out.add("tidemill_group_applied_sequence", number(g.applied.sequence().value()), l);
  out.add("tidemill_group_persisted_sequence", number(g.persisted.sequence().value()), l);
  if (g.filed) {
    const Labels stream = of_tenant("stream", {g.tenant, g.stream});
    out.add("tidemill_archive_files", number(g.filed->files), stream);
    out.add("tidemill_archive_bytes", number(g.filed->bytes), stream);
  }
  if (g.shards.empty()) return;
  std::uint64_t worst = 0;
  std::uint64_t failing = 0;
  for (const GroupShardStatus& s : g.shards) {
    worst = std::max(worst, s.lag_records);
    failing += !s.last_error.empty();
    // 10,000 shards would make 40,000 series.
    if (g.shards.size() > 64) continue;
    const Labels ls = with(l, "shard", std::to_string(s.shard.value()));
    out.add("tidemill_group_shard_lag_records", number(s.lag_records), ls);
    if (s.lag_seconds) out.add("tidemill_group_shard_lag_seconds", *s.lag_seconds, ls);
  }
  out.add("tidemill_group_worst_shard_lag_records", number(worst), l);
  out.add("tidemill_group_shards_failing", number(failing), l);
}

void add_clock(Families& out, Clock& clock) {
  const std::chrono::duration<double> since_1970 = clock.wall().time_since_epoch();
  out.add("tidemill_wall_clock_seconds", since_1970.count());
}

void add_disk(Families& out, const ApiContext& context) {
  if (const auto& flush = context.flush_time) {
    out.add("tidemill_disk_flush_median_seconds", std::chrono::duration<double>(flush->median).count());
    out.add("tidemill_disk_flush_max_seconds", std::chrono::duration<double>(flush->max).count());
    out.add("tidemill_disk_flush_implausible", flush->implausible() ? 1 : 0);
  }
  const auto space = context.env.files.space(context.engine.directory().path());
  if (!space) return;
  out.add("tidemill_disk_free_bytes", number(space->free_bytes));
  out.add("tidemill_disk_size_bytes", number(space->total_bytes));
}

void add_history(Families& out, const views::HistoryStatus& h) {
  const auto seconds = [](WallTime time) { return number(time.time_since_epoch().count()) / 1000; };
  out.add("tidemill_history_points", number(h.points.size()));
  out.add("tidemill_history_oldest_time_seconds", h.points.empty() ? 0 : seconds(h.points.front().made));
  out.add("tidemill_history_newest_time_seconds", h.points.empty() ? 0 : seconds(h.points.back().made));
  out.add("tidemill_history_bytes", number(h.bytes));
  out.add("tidemill_history_failures_total", number(h.failures));
}

void add_store(Families& out, const views::StoreStatus& s) {
  out.add("tidemill_rocksdb_memtable_bytes", number(s.memtable_bytes));
  out.add("tidemill_rocksdb_block_cache_bytes", number(s.block_cache_bytes));
  out.add("tidemill_rocksdb_block_cache_capacity_bytes", number(s.block_cache_capacity_bytes));
  out.add("tidemill_rocksdb_live_data_bytes", number(s.live_data_bytes));
  out.add("tidemill_rocksdb_file_bytes", number(s.file_bytes));
  out.add("tidemill_rocksdb_pending_compaction_bytes", number(s.pending_compaction_bytes));
  out.add("tidemill_rocksdb_running_compactions", number(s.running_compactions));
  out.add("tidemill_rocksdb_running_flushes", number(s.running_flushes));
  out.add("tidemill_rocksdb_background_errors_total", number(s.background_errors));
  out.add("tidemill_rocksdb_write_stopped", s.write_stopped ? 1 : 0);
  out.add("tidemill_rocksdb_write_delayed", s.write_delayed ? 1 : 0);
  out.add("tidemill_rocksdb_snapshots", number(s.snapshots));
}

}  // namespace

RequestMetrics::RequestMetrics(std::size_t labels) {
  static_assert(kKnown.size() <= kStatuses);
  for (std::size_t i = 0; i < labels; ++i) labels_.push_back(std::make_unique<Label>());
}

int RequestMetrics::status_at(std::size_t index) {
  return index < kKnown.size() ? kKnown[index] : 0;
}

void RequestMetrics::count(std::uint16_t label, int status, std::chrono::nanoseconds taken) {
  Label& l = *labels_[label < labels_.size() ? label : 0];
  const auto found = std::find(kKnown.begin(), kKnown.end() - 1, status);
  l.by_status[static_cast<std::size_t>(found - kKnown.begin())].add();
  l.taken_us.observe(static_cast<std::uint64_t>(std::max<std::int64_t>(0, taken.count() / 1000)));
}

namespace {

// Nothing where there is no TLS: an expiry of 0 would set off the alert.
void add_tls(Families& out, const http::Metrics::Handshakes& h, const TlsMetrics& tls) {
  if (tls.expires_s.value() == 0) return;
  const auto handshakes = [&](const Counter& n, const char* result, const char* version) {
    out.add("tidemill_tls_handshakes_total", number(n.value()), {{"result", result}, {"version", version}});
  };
  handshakes(h.full_12, "full", "1.2");
  handshakes(h.full_13, "full", "1.3");
  handshakes(h.resumed_12, "resumed", "1.2");
  handshakes(h.resumed_13, "resumed", "1.3");
  handshakes(h.failed, "failed", "none");
  handshakes(h.timed_out, "timed_out", "none");
  handshakes(h.plain, "plain_http", "none");
  out.add("tidemill_tls_certificate_expiry_seconds", static_cast<double>(tls.expires_s.value()));
  out.add("tidemill_tls_certificate_reloads_total", number(tls.taken.value()), one("result", "taken"));
  out.add("tidemill_tls_certificate_reloads_total", number(tls.refused.value()), one("result", "refused"));
}

// By tenant, for keys come and go by the million: those are in the view `usage`.
void add_usage(Families& out, const UsageLog& usage) {
  for (const auto& [tenant, counts] : usage.noted()) {
    const Labels l = one("tenant", tenant);
    out.add("tidemill_usage_requests_total", number(counts.requests), l);
    out.add("tidemill_usage_records_total", number(counts.records), l);
    out.add("tidemill_usage_bytes_total", number(counts.bytes), l);
    out.add("tidemill_usage_refused_requests_total", number(counts.refused), l);
  }
}

// Of the tenants that have any: so many series at most as there are limits of tenants. Keys' own are in no metric.
void add_quotas(Families& out, Limiter& limiter) {
  std::vector<Standing> standings;
  for (const auto& [tenant, limits] : limiter.tenants()) {
    if (!limits->has_quota()) continue;
    standings.clear();
    limiter.standings(std::nullopt, tenant, standings);
    for (const Standing& s : standings) {
      if (s.kind != LimitKind::day_quota && s.kind != LimitKind::month_quota) continue;
      const Labels labels = {{"measure", std::string(measure_name(s.measure))},
                             {"period", s.kind == LimitKind::day_quota ? "day" : "month"},
                             {"tenant", tenant}};
      out.add("tidemill_quota_used", number(s.most - s.left), labels);
      out.add("tidemill_quota_allowed", number(s.most), labels);
    }
  }
}

void add_limits(Families& out, Limiter& limiter) {
  for (const Limiter::Refused& refused : limiter.refused())
    for (std::size_t i = 0; i < kLimitKinds; ++i)
      out.add("tidemill_limited_requests_total", number(refused.of[i]),
              {{"reason", std::string(limit_kind_name(static_cast<LimitKind>(i)))}, {"tenant", refused.tenant}});
  add_quotas(out, limiter);
  out.add("tidemill_limit_accounts", number(limiter.accounts()));
}

}  // namespace

std::string metrics_text(const MetricSources& sources) {
  Families out;
  out.add("tidemill_build_info", 1, {{"version", std::string(version())}, {"commit", std::string(commit())}});
  add_process(out);
  add_disk(out, sources.context);
  add_clock(out, sources.context.env.clock);
  ApiContext& context = sources.context;
  out.add("tidemill_ready", !context.draining.load() && (!context.all_views || context.all_views->ready()) ? 1 : 0);
  for (std::size_t i = 0; i < sources.requests.labels(); ++i) {
    const auto& label = sources.requests.label(i);
    const std::string_view route = sources.router.label(static_cast<std::uint16_t>(i));
    bool any = false;
    for (std::size_t s = 0; s < RequestMetrics::kStatuses; ++s) {
      const std::uint64_t n = label.by_status[s].value();
      if (n == 0) continue;
      any = true;
      const int status = RequestMetrics::status_at(s);
      out.add("tidemill_http_requests_total", number(n),
              {{"route", std::string(route)}, {"code", status ? std::to_string(status) : "other"}});
    }
    if (any) out.add("tidemill_http_request_duration_seconds", label.taken_us, 1e6, one("route", route));
  }
  const Access& access = sources.router.access();
  for (std::size_t i = 0; i < kDenials; ++i) {
    const auto denial = static_cast<Denial>(i);
    const std::uint64_t by_handlers = denial == Denial::forbidden ? context.forbidden.load() : 0;
    out.add("tidemill_requests_denied_total", number(access.denied(denial) + by_handlers),
            one("reason", denial_name(denial)));
  }
  for (std::size_t i = 0; i < kEnds; ++i)
    out.add("tidemill_answers_ended_total", number(context.ended[i].load()),
            one("reason", ended_name(static_cast<Ended>(i))));
  if (const Keys* keys = access.keys()) {
    const Keys::Counts counts = keys->counts();
    out.add("tidemill_keys", number(counts.active), one("state", "active"));
    out.add("tidemill_keys", number(counts.expired), one("state", "expired"));
    out.add("tidemill_keys", number(counts.revoked), one("state", "revoked"));
    out.add("tidemill_keys_bytes", number(keys->bytes()));
  }
  if (context.usage != nullptr) add_usage(out, *context.usage);
  if (context.limiter != nullptr) add_limits(out, *context.limiter);
  if (const AuditTrail* audit = context.audit) {
    const AuditMetrics& m = audit->metrics();
    out.add("tidemill_audit_events_total", number(m.events.value()));
    out.add("tidemill_audit_summed_total", number(m.summed.value()));
    out.add("tidemill_audit_lost_total", number(m.lost.value()));
    out.add("tidemill_audit_write_failures_total", number(m.failures.value()));
  }
  out.add("tidemill_chain_breaks", number(context.engine.system().chain_breaks()));
  const http::Metrics& h = sources.http;
  out.add("tidemill_http_connections", static_cast<double>(h.connections.value()));
  out.add("tidemill_http_connections_accepted_total", number(h.accepted.value()));
  out.add("tidemill_http_connections_refused_total", number(h.refused_connections.value()));
  out.add("tidemill_http_received_bytes_total", number(h.bytes_in.value()));
  out.add("tidemill_http_sent_bytes_total", number(h.bytes_out.value()));
  out.add("tidemill_http_timeouts_total", number(h.timeouts.value()));
  out.add("tidemill_http_malformed_requests_total", number(h.bad_requests.value()));
  out.add("tidemill_http_buffer_bytes", static_cast<double>(h.buffer_bytes.value()));
  add_tls(out, h.handshakes, sources.tls);
  out.add("tidemill_ingest_durable_seconds", sources.ingest.durable_us, 1e6);
  for (std::size_t code = 1; code < IngestMetrics::kCodes; ++code) {
    const auto name = rejection_name(static_cast<Rejection>(code));
    if (name == "unknown") continue;
    out.add("tidemill_rejected_records_total", number(sources.ingest.rejected[code].value()), one("code", name));
  }
  add_windows(out, context);
  for (const auto& stream : context.engine.list()) {
    add_stream(out, *stream);
    add_retention(out, *stream, context.engine.retention(*stream));
    if (const auto derived = context.derived ? context.derived->status(*stream) : std::nullopt) {
      const Labels l = of_tenant("stream", stream->qualified_name());
      out.add("tidemill_derived_parked_records", number(derived->position.parked), l);
      out.add("tidemill_derived_lost_records", number(derived->position.lost), l);
    }
  }
  for (const GroupStatus& group : context.engine.groups().list()) add_group(out, group);
  if (context.all_views) {
    sources.ingest.visible.each([&](const QualifiedName& view, const Histogram& taken) {
      out.add("tidemill_ingest_visible_seconds", taken, 1e6, of_tenant("view", view));
    });
    for (const views::ViewInfo& v : context.all_views->list()) {
      const Labels l = of_tenant("view", {v.tenant, v.name});
      out.add("tidemill_view_rows", number(v.rows), l);
      out.add("tidemill_view_parked_records", number(v.parked), l);
      out.add("tidemill_view_audited_rows_total", number(v.audited), l);
      out.add("tidemill_view_audit_mismatches_total", number(v.audit_mismatches), l);
      out.add("tidemill_view_audit_time_seconds", number(v.audited_at.time_since_epoch().count()) / 1000, l);
      const std::pair<const char*, std::uint64_t> decided[] = {
          {"skip", v.decided.skipped}, {"redrive", v.decided.redriven}, {"edit", v.decided.edited}};
      for (const auto& [decision, count] : decided)
        out.add("tidemill_view_decided_records_total", number(count), with(l, "decision", decision));
      if (v.expiry) {
        out.add("tidemill_view_expired_rows", number(v.expiry->expired), l);
        out.add("tidemill_view_late_records", number(v.expiry->late), l);
      }
      out.add("tidemill_view_applied_sequence", number(v.applied.sequence().value()), l);
      out.add("tidemill_view_persisted_sequence", number(v.persisted.sequence().value()), l);
      if (const auto age = freshness_seconds(context, v)) out.add("tidemill_view_freshness_seconds", *age, l);
      out.add("tidemill_view_building_records",
              v.building ? number(v.building->of.value() - std::min(v.building->at, v.building->of).value()) : 0, l);
      out.add("tidemill_view_ready", v.ready ? 1 : 0, l);
      out.add("tidemill_view_failed", 0, l);
    }
    for (const views::FailedView& v : context.all_views->failed())
      out.add("tidemill_view_failed", 1, of_tenant("view", {v.tenant, v.name}));
    add_history(out, context.all_views->history());
    add_store(out, context.all_views->store());
  }
  out.add("tidemill_tails", static_cast<double>(sources.tails.open.value()));
  out.add("tidemill_tails_disconnected_total", number(sources.tails.disconnected.value()));
  out.add("tidemill_watchers", static_cast<double>(sources.watches.open.value()));
  out.add("tidemill_watched_rows_total", number(sources.watches.rows.value()));
  out.add("tidemill_watch_refetches_total", number(sources.watches.refetches.value()));
  out.add("tidemill_waiting_requests", number(context.waits.waiting()));
  return out.text();
}

}  // namespace tidemill

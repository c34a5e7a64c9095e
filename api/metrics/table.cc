#include <array>

#include "api/metrics/metrics.h"

namespace tidemill {
namespace {

constexpr MetricDescription kTable[] = {
    {"tidemill_build_info", "gauge", "version, commit", "Always 1; which program this is."},
    {"tidemill_process_start_time_seconds", "gauge", "", "When the process began, in seconds since 1970."},
    {"tidemill_process_cpu_seconds_total", "counter", "", "Processor time used, user and system."},
    {"tidemill_process_resident_memory_bytes", "gauge", "", "Resident memory."},
    {"tidemill_process_open_fds", "gauge", "", "Open file descriptors."},
    {"tidemill_ready", "gauge", "",
     "1 when every view is where it was before the last stop, and the server takes requests."},
    {"tidemill_http_requests_total", "counter", "route, code",
     "Requests answered, by route and status. Route none: refused before a route was found."},
    {"tidemill_http_request_duration_seconds", "histogram", "route", "From the whole request to its answer."},
    {"tidemill_http_connections", "gauge", "", "Open connections."},
    {"tidemill_http_connections_accepted_total", "counter", "", "Connections accepted."},
    {"tidemill_http_connections_refused_total", "counter", "", "Connections refused because there were too many."},
    {"tidemill_http_received_bytes_total", "counter", "", "Bytes read from clients."},
    {"tidemill_http_sent_bytes_total", "counter", "", "Bytes sent to clients."},
    {"tidemill_http_timeouts_total", "counter", "", "Connections closed for being too slow, in either direction."},
    {"tidemill_http_malformed_requests_total", "counter", "", "Requests refused before a route was looked for."},
    {"tidemill_http_buffer_bytes", "gauge", "", "Memory in large receive buffers."},
    {"tidemill_ingest_durable_seconds", "histogram", "", "From the whole request to its records on disk."},
    {"tidemill_ingest_visible_seconds", "histogram", "view",
     "From the whole request to its records in the view, sampled: one request at a time on each network thread."},
    {"tidemill_rejected_records_total", "counter", "code", "Records refused, by reason."},
    {"tidemill_records_total", "counter", "stream", "Records made durable since the start."},
    {"tidemill_record_bytes_total", "counter", "stream", "Bytes of data in those records."},
    {"tidemill_commits_total", "counter", "stream", "Commits flushed."},
    {"tidemill_commit_bytes_total", "counter", "stream", "Bytes written by commits, padding included."},
    {"tidemill_commit_records", "histogram", "stream", "Records in a commit."},
    {"tidemill_flush_duration_seconds", "histogram", "stream", "Write and flush of a commit."},
    {"tidemill_queue_wait_seconds", "histogram", "stream",
     "From a request handed to the log to the start of its commit."},
    {"tidemill_queued_bytes", "gauge", "stream", "Bytes of requests that wait for a commit."},
    {"tidemill_flush_failures_total", "counter", "stream", "Commits whose flush failed."},
    {"tidemill_throttled_requests_total", "counter", "stream", "Requests refused because the queue was full."},
    {"tidemill_replayed_requests_total", "counter", "stream", "Requests answered from the idempotency window."},
    {"tidemill_log_last_sequence", "gauge", "stream", "Last durable record."},
    {"tidemill_log_first_sequence", "gauge", "stream", "First record still held."},
    {"tidemill_log_bytes", "gauge", "stream", "Size of all segment files."},
    {"tidemill_log_segments", "gauge", "stream", "Segment files."},
    {"tidemill_log_accepting", "gauge", "stream", "1 while the stream takes records."},
    {"tidemill_log_lost_ranges", "gauge", "stream", "Ranges of records that are damaged and cannot be read."},
    {"tidemill_group_lag_records", "gauge", "group",
     "Durable records that the group has not applied; the sum over its shards."},
    {"tidemill_group_lag_seconds", "gauge", "group", "Age of the oldest record that the group has not applied."},
    {"tidemill_group_retries_total", "counter", "group", "Batches tried again after an error."},
    {"tidemill_group_failing", "gauge", "group", "1 while the group has an error."},
    {"tidemill_group_applied_sequence", "gauge", "group", "Up to where readers see the group's effects."},
    {"tidemill_group_persisted_sequence", "gauge", "group", "Where the group would go on after a crash."},
    {"tidemill_group_shard_lag_records", "gauge", "group, shard",
     "Lag of each shard, for groups of at most 64 shards."},
    {"tidemill_group_shard_lag_seconds", "gauge", "group, shard",
     "Lag of each shard, for groups of at most 64 shards."},
    {"tidemill_group_worst_shard_lag_records", "gauge", "group", "The largest lag among the shards."},
    {"tidemill_view_rows", "gauge", "view", "Rows, estimated."},
    {"tidemill_view_parked_records", "gauge", "view", "Records in quarantine."},
    {"tidemill_view_applied_sequence", "gauge", "view", "Up to where readers see the stream."},
    {"tidemill_view_persisted_sequence", "gauge", "view", "Where the view would go on after a crash."},
    {"tidemill_view_ready", "gauge", "view", "1 once the view is where it was before the last stop."},
    {"tidemill_tails", "gauge", "", "Clients that watch a stream."},
    {"tidemill_tails_disconnected_total", "counter", "", "Of those, disconnected for being too far behind."},
    {"tidemill_waiting_requests", "gauge", "", "Requests that wait for a view."},
};

}  // namespace

std::span<const MetricDescription> metric_table() {
  return kTable;
}

}  // namespace tidemill

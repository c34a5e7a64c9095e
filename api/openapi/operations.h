#pragma once

#include <algorithm>
#include <string_view>

#include "api/openapi/operation.h"

namespace tidemill {

namespace operations {

using enum ErrorId;

// Of what waits for records to be visible in views (`after`).
inline constexpr Problems kWaits{invalid_token, token_gone, not_yet_visible, view_not_ready};
inline constexpr Problems kStores{disk_full, disk_error, too_many_files};
inline constexpr Problems kReads{disk_error, damaged};
inline constexpr Problems kPast{at_ahead, history_gone, history_too_long, no_lineage, not_supported, query_timeout};
inline constexpr Problems kRow = Problems{view_not_found, invalid_key, no_such_row} + kPast + kWaits + kReads;
inline constexpr Problems kRecordsOfRow =
    Problems{view_not_found, invalid_key, no_such_row, no_lineage, forbidden} + kWaits + kReads;
inline constexpr Problems kDefines{invalid_view, stream_not_found, view_changing, view_in_use, view_exists};
inline constexpr Problems kDecides{invalid_body,       view_not_found, view_changing, still_refused,
                                   too_many_decisions, records_gone,   not_supported};

// A row for each route of api/routes.cc.
inline constexpr Operation kTable[] = {
    {"ingest", "records", "Send records; the answer comes when they are on disk", "Records",
     "200 Ingested, 207 Ingested", "Tidemill-Partition-Key, Idempotency-Key, Content-Encoding",
     Problems{stream_not_found, derived_stream, records_rejected, records_too_large, too_many_records, invalid_body,
              invalid_key_header, key_reused, broken_encoding, keys_unread, flush_failed, not_accepting,
              reserved_stream, disk_limit} +
         kStores},
    {"records", "records", "Read records in order of sequence, or tail them live", "", "200 RecordPage",
     "Last-Event-ID", Problems{stream_not_found, invalid_token, token_gone, records_gone} + kReads},
    {"view_row", "views", "Read one row of a view by its key", "", "200 RowAnswer", "", kRow},
    {"view_rows", "views", "Read rows of a view in key order, or one by `key`", "", "200 RowsAnswer, 200 RowAnswer", "",
     kRow + Problems{invalid_cursor}},
    {"view_changes", "views", "Watch a view as it changes (server-sent events)", "", "200", "Last-Event-ID",
     Problems{view_not_found, invalid_key, invalid_cursor} + kWaits + kReads},
    {"customer", "views", "Read one row of the view `customers`", "", "200 RowAnswer", "", kRow},
    {"invoice", "views", "Read one row of the view `invoices`", "", "200 RowAnswer", "", kRow},
    {"sql", "sql", "Run a SELECT over all views, or make, change, drop or explain one", "SqlRequest",
     "200 SqlRows, 200 ViewStatement, 200 StreamStatement, 200 Explanation", "",
     Problems{invalid_body, invalid_sql, not_read_only, not_supported, forbidden, at_ahead, history_gone, query_timeout,
              stream_exists, stream_in_use, view_not_found, reserved_stream, stream_limit, change_limit} +
         kDefines + kWaits},
    {"history", "sql", "List the points in time that SQL can read with `at`", "", "200 History", "", {}},
    {"streams", "streams", "List the streams", "", "200 StreamList", "", {}},
    {"stream", "streams", "Read a stream's definition, shards and state", "", "200 Stream", "", {stream_not_found}},
    {"stream_put", "streams", "Create or change a stream", "StreamDefinition", "200 Stream, 201 Stream", "",
     Problems{invalid_body, invalid_stream_name, invalid_definition, stream_exists, archived_by_shard, reserved_stream,
              stream_limit} +
         kStores},
    {"stream_delete", "streams", "Remove a stream and all its records", "", "204", "",
     Problems{stream_not_found, stream_in_use, reserved_stream} + kStores},
    {"shard_split", "streams", "Split a shard in two", "ShardSplit", "200 Resharded", "",
     Problems{invalid_body, stream_not_found, shard_not_found, shard_closed, invalid_split, too_many_shards,
              archived_by_shard, reserved_stream} +
         kStores},
    {"shard_merge", "streams", "Merge two neighbouring shards", "ShardMerge", "200 Resharded", "",
     Problems{invalid_body, stream_not_found, shard_not_found, shard_closed, shards_not_adjacent, too_many_shards,
              reserved_stream} +
         kStores},
    {"views", "views", "List the views and how far each has come", "", "200 ViewList", "", kWaits},
    {"view", "views", "Read a view's definition and how far it has come", "", "200 View", "",
     Problems{view_not_found} + kWaits},
    {"view_put", "views", "Create a view, or give it another definition", "ViewDefinition",
     "200 DefinedView, 201 DefinedView, 202 DefinedView", "",
     Problems{invalid_body, view_not_found, not_supported} + kDefines + kStores},
    {"view_delete", "views", "Drop a view", "", "204", "", Problems{view_not_found, view_in_use} + kStores},
    {"view_verify", "views", "Make a view anew from the log and compare it with the live one", "", "200 ViewVerified",
     "", Problems{view_not_found, view_changing, records_gone} + kReads},
    {"view_why_row", "views", "List the records that made a row", "", "200 Why", "", kRecordsOfRow},
    {"view_why", "views", "List the records that made the row of `key`", "", "200 Why", "", kRecordsOfRow},
    {"view_quarantine", "quarantine", "List the records that a view could not count", "", "200 Quarantine", "",
     Problems{view_not_found, forbidden} + kWaits + kReads},
    {"view_decide_many", "quarantine", "Decide about many records in quarantine", "DecisionOfMany",
     "200 Decided, 202 Decided", "", kDecides + kStores},
    {"view_decide", "quarantine", "Decide about one record in quarantine", "DecisionOfOne", "200 Decided, 202 Decided",
     "", kDecides + Problems{not_in_quarantine} + kStores},
    {"groups",
     "groups",
     "List the consumer groups, how far each has come and how far it lags",
     "",
     "200 GroupList",
     "",
     {}},
    {"group", "groups", "Read how far one consumer group has come", "", "200 Group", "", {group_not_found}},
    {"cut",
     "operations",
     "Name the bytes of the data directory that count now, for verify and backup",
     "",
     "200 Cut",
     "",
     {}},
    {"key_create", "keys", "Make a key; its secret is shown this once", "KeyWanted", "201 KeyIssued", "",
     Problems{invalid_body, not_supported, too_many_keys, instance_key} + kStores},
    {"keys", "keys", "List keys in the order of their making", "", "200 KeyList", "", {not_supported}},
    {"key", "keys", "Read what is known of a key", "", "200 Key", "", {key_not_found, not_supported}},
    {"key_rotate", "keys", "Give a key a new secret; the old one is taken for a while", "KeyRotation", "200 KeyIssued",
     "", Problems{invalid_body, key_not_found, key_ended, not_supported, instance_key} + kStores},
    {"key_revoke", "keys", "Revoke a key, at once and for good", "", "204", "",
     Problems{key_not_found, not_supported} + kStores},
    {"key_bind", "keys", "Let a client's certificate stand for a key", "Certificate", "200 Key", "",
     Problems{invalid_body, key_not_found, key_ended, certificate_bound, too_many_certificates, not_supported} +
         kStores},
    {"key_unbind", "keys", "Take a client's certificate from a key", "", "204", "",
     Problems{key_not_found, certificate_not_found, not_supported} + kStores},
    {"limits", "limits", "What limits the key that asks, and what is left", "", "200 MyLimits", "", {not_supported}},
    {"limits_keys", "limits", "List the keys that have limits", "", "200 LimitedKeys", "", {not_supported}},
    {"limits_key",
     "limits",
     "Read a key's limits and what is left",
     "",
     "200 LimitsOfKey",
     "",
     {key_not_found, not_supported}},
    {"limits_key_put", "limits", "Set all limits of a key", "KeyLimits", "200 LimitsOfKey", "",
     Problems{invalid_body, key_not_found, not_supported} + kStores},
    {"limits_key_delete", "limits", "Remove a key's limits", "", "204", "",
     Problems{key_not_found, not_supported} + kStores},
    {"limits_tenants", "limits", "List the tenants that have limits", "", "200 LimitedTenants", "", {not_supported}},
    {"limits_tenant",
     "limits",
     "Read a tenant's limits and what is left",
     "",
     "200 LimitsOfTenant",
     "",
     {not_supported}},
    {"limits_tenant_put", "limits", "Set all limits of a tenant", "TenantLimits", "200 LimitsOfTenant", "",
     Problems{invalid_body, not_supported} + kStores},
    {"limits_tenant_delete", "limits", "Remove a tenant's limits", "", "204", "", Problems{not_supported} + kStores},
    {"audit", "audit", "List who came, who was turned away and what was changed", "", "200 AuditPage", "", kReads},
    {"audit_head", "audit", "How far the hash chains of the audit trail and the system stream are", "",
     "200 AuditHeads", "", kReads},
    {"openapi", "operations", "This document", "", "200 OpenApi, 304", "If-None-Match", {}},
    {"healthz", "operations", "Whether the process serves", "", "200", "", {}},
    {"readyz",
     "operations",
     "Whether every view is again where it was before the last stop",
     "",
     "200",
     "",
     {view_not_ready}},
    {"readyz_ingest", "operations", "Whether records are taken", "", "200", "", {}},
    {"metrics", "operations", "Metrics in the text format of Prometheus", "", "200", "", {}},
    {"index", "operations", "A page with what there is", "", "200", "", {}},
};

}  // namespace operations

// nullptr: there is none of that label.
constexpr const Operation* find_operation(std::string_view label) {
  const auto* const found = std::find_if(std::begin(operations::kTable), std::end(operations::kTable),
                                         [label](const Operation& o) { return o.label == label; });
  return found == std::end(operations::kTable) ? nullptr : found;
}

// clang 14 breaks down over consteval here. What it lets pass g++, which builds the product, does not.
#ifdef __clang__
#define TIDEMILL_CONSTEVAL constexpr
#else
#define TIDEMILL_CONSTEVAL consteval
#endif

// A route's label. One without a row in the table above does not compile: a route cannot be left out of the document.
struct OperationName : std::string_view {
  TIDEMILL_CONSTEVAL OperationName(const char* label) : std::string_view(label) {  // NOLINT: as a literal in a Route
    if (find_operation(label) == nullptr) throw "this route has no row in api/openapi/operations.h";
  }
};
#undef TIDEMILL_CONSTEVAL

}  // namespace tidemill

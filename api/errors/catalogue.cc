#include "api/errors/catalogue.h"

#include <array>

#include "storage/base/check.h"

namespace tidemill {
namespace {

using enum ErrorId;

// In the order of ErrorId.
constexpr std::array<ErrorEntry, kErrorCount> kCatalogue{{
    {bad_request, 400, "bad_request", "The request is not valid HTTP.", "Send HTTP/1.1 as RFC 9112 has it."},
    {bad_framing, 400, "bad_framing", "It is not clear where the request ends.",
     "Send one Content-Length with digits only, or \"Transfer-Encoding: chunked\", never both."},
    {host_missing, 400, "host_missing", "An HTTP/1.1 request needs one Host header that names a host.",
     "Send exactly one: a name or an address, and a port if need be."},
    {http_version, 505, "http_version", "This version of HTTP is not spoken here.", "Use HTTP/1.1."},
    {tls_required, 400, "tls_required", "This port speaks HTTP over TLS only.",
     "Use https:// with the same host and port."},
    {request_timeout, 408, "request_timeout", "The request came too slowly.",
     "Send it again on a new connection, without pauses."},
    {length_required, 411, "length_required", "The request has no length.",
     "Send Content-Length, or \"Transfer-Encoding: chunked\"."},
    {body_too_large, 413, "body_too_large", "The body is too large for its path, as sent or unpacked.",
     "Send fewer records in one request; limits.body is the server's limit, and bodies that are no records have less."},
    {header_too_large, 431, "header_too_large", "The request line and header fields are too large or too many.",
     "Send fewer or shorter ones; limits.headers is the server's limit."},
    {expectation_failed, 417, "expectation_failed", "Only \"Expect: 100-continue\" is understood.",
     "Leave the Expect header out."},
    {target_invalid, 400, "target_invalid", "The request target cannot be read.",
     "Send a path that begins with `/`, in valid percent-encoding."},
    {unauthorized, 401, "unauthorized", "A key is needed that is good here.",
     "Send one as \"Authorization: Bearer\" or X-Api-Key, once; whoever runs the server makes them with `tidemill keys "
     "create`."},
    {forbidden, 403, "forbidden", "The key does not allow that.",
     "Use a key that has the scope, or have one made with it: `tidemill keys create --scope`."},
    {not_found, 404, "not_found", "There is nothing at this path.", "GET / lists what there is."},
    {method_not_allowed, 405, "method_not_allowed", "This path does not know that method.",
     "Use one that the Allow header names."},
    {not_acceptable, 406, "not_acceptable", "None of the media types in Accept can be sent.",
     "Ask for one that it names, or send no Accept header."},
    {unsupported_media_type, 415, "unsupported_media_type", "The body's Content-Type is not taken here.",
     "See the detail for those that are."},
    {unsupported_encoding, 415, "unsupported_encoding", "The body's Content-Encoding is not understood.",
     "Send gzip, zstd or no encoding."},
    {broken_encoding, 400, "broken_encoding", "The body cannot be unpacked.",
     "Check that it is whole and packed as Content-Encoding says."},
    {invalid_parameter, 400, "invalid_parameter", "A parameter has a value that cannot be used.",
     "See the detail for its name and what it takes."},
    {invalid_body, 400, "invalid_body", "The body is not what this path takes.", "See the detail."},
    {records_rejected, 400, "records_rejected", "None of the records was taken.",
     "See `rejected` for the cause of each; correct them and send again."},
    {records_too_large, 413, "records_too_large", "Each record is larger than the limit.",
     "Split them; limits.record is the server's limit for one record."},
    {too_many_records, 413, "too_many_records", "There are too many records in one request.",
     "Send at most 200,000 at once."},
    {invalid_key_header, 400, "invalid_key_header", "Tidemill-Partition-Key or Idempotency-Key cannot be used.",
     "Send each once, with 1 to 256 characters of UTF-8 as partition key, 1 to 1,024 bytes as Idempotency-Key."},
    {key_reused, 422, "key_reused", "This Idempotency-Key came before with another request.",
     "Use a new key for a new body, or send the same body again."},
    {stream_not_found, 404, "stream_not_found", "There is no stream of that name.",
     "GET /v1/streams lists them; PUT /v1/streams/{stream} creates one."},
    {stream_exists, 409, "stream_exists", "A stream of that name exists and differs in what cannot be changed.",
     "Leave the number of shards as it is, or use another name."},
    {stream_in_use, 409, "stream_in_use", "Views or other streams read this stream.",
     "Drop what `views` and `streams` name first."},
    {derived_stream, 409, "derived_stream", "The stream's records are made from those of another stream.",
     "Send records to its source, which GET /v1/streams/{stream} names under `derived`."},
    {reserved_stream, 409, "reserved_stream", "The stream is the server's own: only it writes, changes or removes it.",
     "Read it, or the view over it; a stream of yours has a name that does not begin with `_`."},
    {invalid_stream_name, 400, "invalid_stream_name", "A stream cannot have that name.",
     "Use 1 to 128 of A-Z a-z 0-9 _ . -, not beginning with `_`."},
    {invalid_definition, 400, "invalid_definition", "The definition cannot be used.", "See the detail."},
    {shard_not_found, 404, "shard_not_found", "The stream has no such shard.", "GET /v1/streams/{stream} lists them."},
    {shard_closed, 409, "shard_closed", "The shard was split or merged before.",
     "GET /v1/streams/{stream} says which shards are open, and whose children they are."},
    {invalid_split, 400, "invalid_split", "The shard cannot be split there.",
     "Send as `at` a hash key inside its range, after the first; a shard of one hash key cannot be split."},
    {shards_not_adjacent, 400, "shards_not_adjacent", "The shards are not neighbours.",
     "Merge two open shards of which one begins where the other ends."},
    {too_many_shards, 409, "too_many_shards", "The stream has as many shards as it can have.",
     "At most 10,000 can be open, and 1,000,000 in its whole life: merge some, or use a new stream."},
    {archived_by_shard, 409, "archived_by_shard",
     "The stream's archive has a file open for each shard, and goes no further than 256.",
     "Merge others first, switch the archive off, or use a stream that is made with more shards: it is archived by "
     "lane."},
    {view_not_found, 404, "view_not_found", "There is no view of that name.",
     "GET /v1/views lists them; PUT /v1/views/{view} creates one."},
    {view_exists, 409, "view_exists", "There is a view of that name already.",
     "Change it with ALTER VIEW or PUT, which go on serving it meanwhile; or use another name."},
    {view_changing, 409, "view_changing", "The view is being given another definition.",
     "Decide when it is served: GET /v1/views/{view} has no `building` any more. ALTER VIEW back to the present "
     "definition gives the other one up."},
    {view_in_use, 409, "view_in_use", "Other views look it up, and would be left without it.",
     "Have them look up another view with ALTER VIEW, or drop them first."},
    {not_in_quarantine, 404, "not_in_quarantine", "The record is not in the view's quarantine.",
     "GET /v1/views/{view}/quarantine lists those that are."},
    {still_refused, 422, "still_refused", "The view still cannot count the record; nothing was decided.",
     "Send other `data`, skip it, or change the definition with ALTER VIEW."},
    {too_many_decisions, 409, "too_many_decisions", "The view has as many decisions as it can keep.",
     "Where so many records are wrong, change the definition with ALTER VIEW so that it says what they mean."},
    {invalid_view, 400, "invalid_view", "The view's definition cannot be used.", "See the detail."},
    {no_such_row, 404, "no_such_row", "The view has no row with that key.",
     "Check the key; with `after` the answer waits for a record that was just sent."},
    {no_lineage, 409, "no_lineage", "The view does not keep which records made a row.",
     "It was created WITH (lineage = false). ALTER VIEW without that builds it again, with them."},
    {at_ahead, 409, "at_ahead", "The view has not come to `at` yet.",
     "Ask with the token of what was sent as `after`, which waits for it; `as_of` is how far the view is."},
    {history_gone, 410, "history_gone", "What was by then is not known any more.",
     "Of a row, `first` is the first sequence from which on it is; in SQL, the detail names the oldest kept point."},
    {history_too_long, 409, "history_too_long", "The row has too many records by then to be made again.",
     "Ask for an earlier `at`, or read its records with /why, or keep rows by day: a view with the day among its "
     "keys."},
    {invalid_key, 400, "invalid_key", "The key does not fit the view's key columns.",
     "Give one value for each, joined by unencoded commas, or `?key=` with a JSON array."},
    {invalid_cursor, 400, "invalid_cursor", "The cursor is not one of this view's.", "Begin again without a cursor."},
    {invalid_sql, 400, "invalid_sql", "The statement cannot be run.", "See the detail."},
    {not_read_only, 400, "not_read_only", "SQL reads, and makes views; it changes nothing else.",
     "Write one SELECT, or CREATE, ALTER or DROP MATERIALIZED VIEW. Records come in by POST."},
    {not_supported, 400, "not_supported", "That is not supported.", "See the detail: it says what to write instead."},
    {query_timeout, 503, "query_timeout", "The query took too long.",
     "Ask by key, or for less; limits.sql_time is the server's limit."},
    {group_not_found, 404, "group_not_found", "There is no consumer group of that name.", "GET /v1/groups lists them."},
    {key_not_found, 404, "key_not_found", "There is no key of that id.", "GET /v1/keys lists them."},
    {key_ended, 409, "key_ended", "The key was revoked, or has expired.", "Make a new one."},
    {too_many_keys, 409, "too_many_keys", "The data directory has had as many keys as it can have.",
     "Rotate keys instead of making new ones, or use another data directory."},
    {certificate_bound, 409, "certificate_bound", "The certificate stands for another key, or is another tenant's.",
     "Use another certificate, or unbind it there first; one that was a tenant's only who has instance:admin gives to "
     "another."},
    {too_many_certificates, 409, "too_many_certificates", "The key has two certificates, as many as it can have.",
     "Unbind the one that is not used any more; GET /v1/keys/{id} lists them."},
    {certificate_not_found, 404, "certificate_not_found", "The key has no such certificate.",
     "GET /v1/keys/{id} lists them, by their SHA-256 in lower-case hexadecimal digits."},
    {instance_key, 503, "instance_key", "The secrets of keys of kind aws cannot be kept or read.",
     "See the server's log: it says what is wrong with instance.key in its data directory."},
    {invalid_token, 400, "invalid_token", "`after` is not a token.", "Send a token as an answer gave it."},
    {token_gone, 410, "token_gone",
     "The token's records are not in this log: it is of a stream that was removed, or "
     "of an end of the log that was cut off.",
     "Send the records again, or read without `after`."},
    {not_yet_visible, 504, "not_yet_visible", "The records of `after` are not visible yet.",
     "They are safe. Ask again, or with a longer `wait`; `as_of` is the present position."},
    {records_gone, 410, "records_gone", "These records are no longer in the log.",
     "Read from `earliest`; `start` is the first that is held."},
    {view_not_ready, 503, "view_not_ready", "The view is catching up after a start.", "Ask again after Retry-After."},
    {throttled, 429, "throttled", "Too much is under way.", "Send again after Retry-After."},
    {rate_limited, 429, "rate_limited", "A rate limit of the key or its tenant is reached.",
     "Send again after Retry-After; the RateLimit header and GET /v1/limits say how much is left."},
    {quota_exceeded, 429, "quota_exceeded", "A quota of the key or its tenant is used up.",
     "See the detail: when the next day or month begins (UTC) it passes, or only with a higher quota."},
    {connection_limit, 429, "connection_limit", "The key or its tenant has as many connections open as it may.",
     "Close some, or send requests on those that are open."},
    {change_limit, 429, "change_limit", "The keys of the tenant have changed too much for now.",
     "Send again after Retry-After, or have a key with instance:admin do it; limits.changes_per_hour is the server's "
     "limit."},
    {stream_limit, 409, "stream_limit", "The tenant has as many streams as it may.",
     "Remove one, or have the limit raised."},
    {disk_limit, 507, "disk_limit", "The streams of the tenant take as much of the disk as they may.",
     "Remove a stream, give some a retention, or have the limit raised. Then send again."},
    {too_many_connections, 503, "too_many_connections", "There are too many connections.",
     "Use fewer, and keep them open; limits.connections is the server's limit."},
    {keys_unread, 503, "keys_unread",
     "The disk cannot read the Idempotency-Keys of before: nobody knows whether this request is in already.",
     "Send again with the same key after Retry-After; the server goes on trying, its log names the file."},
    {flush_failed, 503, "flush_failed",
     "The disk failed while the records were written: nobody knows whether they "
     "are in.",
     "Send again with the same Idempotency-Key: it resolves the outcome."},
    {not_accepting, 503, "not_accepting", "The stream takes no records since a failure of its disk.",
     "Look at the server's log, repair the disk and start the server again."},
    {draining, 503, "draining", "The server is stopping.", "Send again after Retry-After, on a new connection."},
    {disk_full, 507, "disk_full", "The server's disk is full; nothing of this request was stored.",
     "Make room; the server goes on by itself. Then send again."},
    {disk_error, 503, "disk_error", "The disk failed; nothing of this request was stored.",
     "Look at the server's log; then send again."},
    {too_many_files, 503, "too_many_files",
     "The server has no file descriptor left; nothing of this request was stored.",
     "Raise LimitNOFILE= of its service (ulimit -n in a shell), or use fewer connections and streams. Then send "
     "again."},
    {damaged, 500, "damaged", "Stored bytes are damaged and cannot be read.",
     "Look at the server's log: it names file and offset."},
    {internal, 500, "internal", "Something went wrong in the server.",
     "Send again; if it stays, report it with the server's log."},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kCatalogue.size(); ++i) {
    if (static_cast<std::size_t>(kCatalogue[i].id) != i) return false;
  }
  return true;
}
static_assert(in_order());

}  // namespace

const ErrorEntry& error_entry(ErrorId id) {
  const auto i = static_cast<std::size_t>(id);
  CHECK(i < kCatalogue.size());
  return kCatalogue[i];
}

std::span<const ErrorEntry> error_catalogue() {
  return kCatalogue;
}

}  // namespace tidemill

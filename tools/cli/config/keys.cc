#include "tools/cli/config/keys.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "storage/base/text.h"

namespace tidemill::cli {
namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kGiB = 1024 * kMiB;
constexpr std::uint64_t kSecond = 1000;
constexpr std::uint64_t kHour = 3600 * kSecond;

using C = Config;
const std::array<Key<Config>, 33> kConfigKeys{{
    {.name = "server.listen",
     .type = KeyType::address,
     .default_value = "127.0.0.1:7077",
     .member = &C::listen,
     .comment = "Address and port to serve HTTP, or HTTPS, on. Until there is a key (`tidemill keys create`) only this "
                "machine is served, whatever stands here; `serve --open` serves everybody without keys."},
    {.name = "server.data",
     .type = KeyType::text,
     .default_value = "./data",
     .member = &C::data,
     .min = 1,
     .comment = "The data directory; made when missing. One server at a time."},
    {.name = "server.threads",
     .type = KeyType::integer,
     .default_value = "0",
     .member = &C::threads,
     .max = 256,
     .comment = "Network threads; 0 is one for each processor."},
    {.name = "server.drain",
     .type = KeyType::duration,
     .default_value = "30s",
     .member = &C::drain,
     .max = kHour,
     .comment = "After SIGTERM: how long requests in flight may take, and then the groups to catch up."},
    {.name = "server.audit",
     .type = KeyType::duration,
     .default_value = "24h",
     .member = &C::audit,
     .min = 1'000,
     .max = 365 * 24 * kHour,
     .off = true,
     .comment =
         "How often a sample of one view, each in its turn, is made again from the log and compared. It reads the "
         "stream's whole log, with rests."},
    {.name = "server.tls_cert",
     .type = KeyType::text,
     .default_value = "",
     .member = &C::tls_cert,
     .max = 4 * kKiB,
     .comment = "A file in PEM: the server's certificate, then those that lead to its authority. With it the server "
                "speaks HTTPS, and nothing else, on server.listen. Looked at again every 10 seconds and at SIGHUP; a "
                "new certificate is for new connections."},
    {.name = "server.tls_key",
     .type = KeyType::text,
     .default_value = "",
     .member = &C::tls_key,
     .max = 4 * kKiB,
     .comment = "A file in PEM: the private key of server.tls_cert, not encrypted, readable by the server only."},
    {.name = "server.tls_client_ca",
     .type = KeyType::text,
     .default_value = "",
     .member = &C::tls_client_ca,
     .max = 4 * kKiB,
     .comment = "A file in PEM: the authorities that sign clients' certificates."},
    {.name = "server.tls_client",
     .type = KeyType::choice,
     .default_value = "none",
     .member = &C::tls_client,
     .choices = "none optional required",
     .comment = "Whether clients are asked for a certificate (server.tls_client_ca), and refused without one."},
    {.name = "limits.memory",
     .type = KeyType::size,
     .default_value = "256MiB",
     .member = &C::memory,
     .min = 64 * kMiB,
     .comment = "Caches, queues and windows together. The process itself needs some 40 MiB besides."},
    {.name = "limits.body",
     .type = KeyType::size,
     .default_value = "16MiB",
     .member = &C::body,
     .min = 4 * kKiB,
     .max = 16 * kMiB,
     .live = true,
     .comment = "Largest body of a request, also after it was unpacked."},
    {.name = "limits.record",
     .type = KeyType::size,
     .default_value = "1MiB",
     .member = &C::record,
     .min = 1 * kKiB,
     .max = 16 * kMiB,
     .live = true,
     .comment = "Largest single record."},
    {.name = "limits.connections",
     .type = KeyType::integer,
     .default_value = "10000",
     .member = &C::connections,
     .min = 1,
     .max = 1'000'000,
     .live = true,
     .comment = "Connections open at a time; further ones are closed at once."},
    {.name = "limits.headers",
     .type = KeyType::size,
     .default_value = "16KiB",
     .member = &C::headers,
     .min = 1 * kKiB,
     .max = 1 * kMiB,
     .live = true,
     .comment = "Request line and headers of one request together."},
    {.name = "limits.header_count",
     .type = KeyType::integer,
     .default_value = "100",
     .member = &C::header_count,
     .min = 16,
     .max = 10'000,
     .live = true,
     .comment = "Header fields of one request."},
    {.name = "limits.header_timeout",
     .type = KeyType::duration,
     .default_value = "10s",
     .member = &C::header_timeout,
     .min = 100,
     .max = kHour,
     .live = true,
     .comment = "How long a client may take from the first byte of a request to its whole header, and for a TLS "
                "handshake."},
    {.name = "limits.idle_timeout",
     .type = KeyType::duration,
     .default_value = "75s",
     .member = &C::idle_timeout,
     .min = 100,
     .max = 24 * kHour,
     .live = true,
     .comment = "How long a connection may wait between requests."},
    {.name = "limits.slowest",
     .type = KeyType::size,
     .default_value = "1KiB",
     .member = &C::slowest,
     .min = 1,
     .max = kMiB,
     .live = true,
     .comment =
         "Bytes a second that a client must send of a body, after 10 seconds, and take of its answers, after 30; "
         "one that is slower is cut off."},
    {.name = "limits.requests",
     .type = KeyType::integer,
     .default_value = "1000000",
     .member = &C::requests,
     .live = true,
     .comment = "Requests of one connection; the last answer closes it. 0 is no limit."},
    {.name = "limits.idempotency_keys",
     .type = KeyType::integer,
     .default_value = "1000000",
     .member = &C::idempotency_keys,
     .min = 1'000,
     .max = 10'000'000,
     .comment = "Idempotency keys that each stream remembers, all streams together within a quarter of limits.memory, "
                "at most 64 MiB; the oldest go first."},
    {.name = "limits.sql_rows",
     .type = KeyType::integer,
     .default_value = "100000",
     .member = &C::sql_rows,
     .min = 1,
     .live = true,
     .comment = "Rows of one SQL answer in JSON; the rest is cut and the answer says so."},
    {.name = "limits.sql_time",
     .type = KeyType::duration,
     .default_value = "5s",
     .member = &C::sql_time,
     .min = 10,
     .max = kHour,
     .live = true,
     .comment = "Time that one SQL statement may work; of an answer in NDJSON or CSV, without giving a row."},
    {.name = "limits.sql_stream_time",
     .type = KeyType::duration,
     .default_value = "10m",
     .member = &C::sql_stream_time,
     .min = 100,
     .max = 24 * kHour,
     .live = true,
     .comment = "Time that one SQL answer in NDJSON or CSV may take, the client's included; then it is cut off."},
    {.name = "limits.sql_bytes",
     .type = KeyType::size,
     .default_value = "64MiB",
     .member = &C::sql_bytes,
     .min = 64 * kKiB,
     .max = kGiB,
     .live = true,
     .comment = "Bytes of one SQL answer in JSON."},
    {.name = "limits.changes_per_hour",
     .type = KeyType::integer,
     .default_value = "1000",
     .member = &C::changes_per_hour,
     .max = 1'000'000,
     .comment = "Changes of streams, views, keys and limits that a tenant's keys may ask for in an hour, and as many "
                "at once; keys with instance:admin as many as they like. 0 is no limit."},
    {.name = "storage.segment",
     .type = KeyType::size,
     .default_value = "64MiB",
     .member = &C::segment,
     .min = kMiB,
     .max = kGiB,
     .comment = "Size of a log file; the first ones of a stream are smaller, and none is more than about an eighth of "
                "the stream's log."},
    {.name = "storage.flush",
     .type = KeyType::choice,
     .default_value = "fdatasync",
     .member = &C::flush,
     .choices = "fdatasync direct",
     .comment = "How a commit gets to the disk: written and flushed, or past the page cache (O_DIRECT and O_DSYNC), "
                "which other writers on the disk hold up less."},
    {.name = "history.every",
     .type = KeyType::duration,
     .default_value = "off",
     .member = &C::history_every,
     .min = 1'000,
     .max = 365 * 24 * kHour,
     .off = true,
     .comment =
         "How often the views are kept as they are, for SQL about the past (`at`). With off, which a start takes "
         "over, the points that are there are removed."},
    {.name = "history.keep",
     .type = KeyType::integer,
     .default_value = "24",
     .member = &C::history_keep,
     .min = 1,
     .max = 1'000,
     .comment = "How many such points there are; the oldest go first. A point holds on the disk what the views have "
                "replaced since, at most what they took then."},
    {.name = "audit.keep_size",
     .type = KeyType::size,
     .default_value = "1GiB",
     .member = &C::audit_keep_size,
     .min = 1 * kMiB,
     .off = true,
     .comment = "How much of the audit trail is kept (who came, who was turned away: docs/audit.md); the oldest goes "
                "first, a segment at a time."},
    {.name = "audit.keep_age",
     .type = KeyType::duration,
     .default_value = "off",
     .member = &C::audit_keep_age,
     .min = 1 * kHour,
     .max = 36'500 * 24 * kHour,
     .off = true,
     .comment = "How long it is kept, a segment at a time."},
    {.name = "log.level",
     .type = KeyType::choice,
     .default_value = "info",
     .member = &C::log_level,
     .choices = "debug info warning error",
     .live = true,
     .comment = "What the server says on standard error."},
    {.name = "log.format",
     .type = KeyType::choice,
     .default_value = "auto",
     .member = &C::log_format,
     .choices = "auto text json",
     .comment = "auto is text on a terminal and one JSON object a line elsewhere."},
}};

using S = StreamConfig;
const std::array<Key<StreamConfig>, 8> kStreamKeys{{
    {.name = "shards",
     .type = KeyType::integer,
     .default_value = "4",
     .member = &S::shards,
     .min = 1,
     .max = 10'000,
     .comment = "Ranges of the key space that consumers work on in parallel."},
    {.name = "partition_key",
     .type = KeyType::text,
     .default_value = "",
     .member = &S::partition_key,
     .max = 256,
     .comment =
         "The field that says which shard a record belongs to; records of one key stay in order. Without it each "
         "request names the key in the header Tidemill-Partition-Key."},
    {.name = "archive.enabled",
     .type = KeyType::boolean,
     .default_value = "true",
     .member = &S::archive_enabled,
     .comment = "Whether the stream's records are written to text files."},
    {.name = "archive.size",
     .type = KeyType::size,
     .default_value = "5MiB",
     .member = &S::archive_size,
     .min = 4 * kKiB,
     .max = kGiB,
     .comment = "A text file is complete when it has this size ..."},
    {.name = "archive.age",
     .type = KeyType::duration,
     .default_value = "60s",
     .member = &S::archive_age,
     .min = 100,
     .max = 24 * kHour,
     .comment = "... or this age, whichever comes first."},
    {.name = "retention.age",
     .type = KeyType::duration,
     .default_value = "off",
     .member = &S::retention_age,
     .min = 1'000,
     .max = 36'500 * 24 * kHour,
     .off = true,
     .comment = "Records go when they are older, a whole segment at a time."},
    {.name = "retention.size",
     .type = KeyType::size,
     .default_value = "off",
     .member = &S::retention_size,
     .min = 64 * kKiB,
     .off = true,
     .comment = "The oldest records go when the log takes more."},
    {.name = "retention.wait_for_groups",
     .type = KeyType::boolean,
     .default_value = "false",
     .member = &S::retention_wait_for_groups,
     .comment =
         "Whether records stay until every group has made its work on them durable; else a group that is too far "
         "behind loses them, after a warning."},
}};

const std::array<Key<ViewConfig>, 1> kViewKeys{{
    {.name = "sql",
     .type = KeyType::text,
     .default_value = "",
     .member = &ViewConfig::sql,
     .min = 1,
     .max = 64 * kKiB,
     .comment = "The view's definition: a SELECT with GROUP BY over a stream, or builtin:NAME for one that comes with "
                "the program (customers, invoices)."},
}};

std::string between(const std::string& low, const std::string& high, bool has_max) {
  return has_max ? "must be between " + low + " and " + high : "must be at least " + low;
}

template <class T>
std::optional<std::string> set_number(const Key<T>& key, std::uint64_t value, T& into) {
  const bool duration = key.type == KeyType::duration;
  if (value < key.min || value > key.max) {
    const auto show = [&](std::uint64_t v) {
      if (key.type == KeyType::size) return format_size(v);
      if (duration) return format_duration(std::chrono::milliseconds(v));
      return std::to_string(v);
    };
    return between(show(key.min), show(key.max), key.max != ~std::uint64_t{0});
  }
  if (duration) {
    into.*std::get<std::chrono::milliseconds T::*>(key.member) = std::chrono::milliseconds(value);
  } else {
    into.*std::get<std::uint64_t T::*>(key.member) = value;
  }
  return std::nullopt;
}

}  // namespace

std::span<const Key<Config>> config_keys() {
  return kConfigKeys;
}
std::span<const Key<StreamConfig>> stream_keys() {
  return kStreamKeys;
}
std::span<const Key<ViewConfig>> view_keys() {
  return kViewKeys;
}
std::string_view fields_comment() {
  return "Types of CSV columns: text, integer or number; what is not named is text.";
}

template <class T>
std::optional<std::string> set_from_text(const Key<T>& key, std::string_view text, T& into) {
  switch (key.type) {
    case KeyType::address: {
      std::string error;
      if (!parse_address(text, error)) return error;
      into.*std::get<std::string T::*>(key.member) = text;
      return std::nullopt;
    }
    case KeyType::text:
      if (text.size() < key.min) return "must not be empty";
      if (text.size() > key.max) return "must not be longer than " + std::to_string(key.max) + " bytes";
      into.*std::get<std::string T::*>(key.member) = text;
      return std::nullopt;
    case KeyType::choice: {
      std::string_view rest = key.choices;
      while (!rest.empty()) {
        const std::string_view word = rest.substr(0, rest.find(' '));
        if (word == text) {
          into.*std::get<std::string T::*>(key.member) = text;
          return std::nullopt;
        }
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
      }
      std::string list(key.choices);
      std::replace(list.begin(), list.end(), ' ', '|');
      return "must be one of " + list;
    }
    case KeyType::boolean:
      if (text != "true" && text != "false") return std::string("must be true or false");
      into.*std::get<bool T::*>(key.member) = text == "true";
      return std::nullopt;
    case KeyType::integer: {
      std::uint64_t value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (text.empty() || error != std::errc() || end != text.data() + text.size())
        return std::string("must be a whole number, not negative");
      return set_number(key, value, into);
    }
    case KeyType::size: {
      if (key.off && text == "off") {
        into.*std::get<std::uint64_t T::*>(key.member) = 0;
        return std::nullopt;
      }
      const auto value = parse_size(text);
      if (!value)
        return "must be a size such as \"256MiB\" (B, KiB, MiB, GiB, TiB, KB, MB, GB)" +
               std::string(key.off ? " or \"off\"" : "");
      return set_number(key, *value, into);
    }
    case KeyType::duration: {
      if (key.off && text == "off") {
        into.*std::get<std::chrono::milliseconds T::*>(key.member) = {};
        return std::nullopt;
      }
      const auto value = parse_duration(text);
      if (!value)
        return "must be a duration such as \"60s\" (ms, s, m, h, d)" + std::string(key.off ? " or \"off\"" : "");
      return set_number(key, static_cast<std::uint64_t>(value->count()), into);
    }
  }
  return std::string("has an unknown type");
}

template <class T>
std::string get_as_toml(const Key<T>& key, const T& from) {
  switch (key.type) {
    case KeyType::boolean:
      return from.*std::get<bool T::*>(key.member) ? "true" : "false";
    case KeyType::integer:
      return std::to_string(from.*std::get<std::uint64_t T::*>(key.member));
    case KeyType::size:
      if (key.off && from.*std::get<std::uint64_t T::*>(key.member) == 0) return "\"off\"";
      return '"' + format_size(from.*std::get<std::uint64_t T::*>(key.member)) + '"';
    case KeyType::duration:
      if (key.off && (from.*std::get<std::chrono::milliseconds T::*>(key.member)).count() == 0) return "\"off\"";
      return '"' + format_duration(from.*std::get<std::chrono::milliseconds T::*>(key.member)) + '"';
    case KeyType::text:
    case KeyType::choice:
    case KeyType::address:
      break;
  }
  const std::string& text = from.*std::get<std::string T::*>(key.member);
  // A literal multi-line string for SQL; else a basic string.
  if (text.find('\n') != std::string::npos && text.find("'''") == std::string::npos) return "'''\n" + text + "'''";
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr char kHex[] = "0123456789ABCDEF";
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

template <class T>
void set_defaults(std::span<const Key<T>> keys, T& into) {
  for (const Key<T>& key : keys) {
    if (key.type == KeyType::text && key.default_value.empty()) continue;
    static_cast<void>(set_from_text(key, key.default_value, into));
  }
}

template std::optional<std::string> set_from_text(const Key<Config>&, std::string_view, Config&);
template std::optional<std::string> set_from_text(const Key<StreamConfig>&, std::string_view, StreamConfig&);
template std::optional<std::string> set_from_text(const Key<ViewConfig>&, std::string_view, ViewConfig&);
template std::string get_as_toml(const Key<Config>&, const Config&);
template std::string get_as_toml(const Key<StreamConfig>&, const StreamConfig&);
template std::string get_as_toml(const Key<ViewConfig>&, const ViewConfig&);
template void set_defaults(std::span<const Key<Config>>, Config&);
template void set_defaults(std::span<const Key<StreamConfig>>, StreamConfig&);

std::string environment_name(std::string_view key) {
  std::string name = "TIDEMILL_";
  for (const char c : key) name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string_view nearest(std::string_view name, std::span<const std::string_view> known) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 2);
  for (const std::string_view candidate : known) {
    std::size_t d = edit_distance(name, candidate);
    // Right but in the wrong section: memory for limits.memory.
    const std::size_t dot = candidate.rfind('.');
    if (dot != std::string_view::npos)
      d = std::min(d, 1 + edit_distance(name.substr(name.rfind('.') + 1), candidate.substr(dot + 1)));
    if (d < best_distance || (d == best_distance && best.empty())) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace tidemill::cli

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/stream.h"

namespace tidemill::cli {

// What the configuration says, with all defaults filled in. Each member is a row of the table in keys.cc; that table is
// the one home of names, defaults, ranges and comments.
struct StreamConfig {
  std::string name;
  std::uint64_t shards = 0;
  std::string partition_key;
  bool archive_enabled = false;
  std::uint64_t archive_size = 0;
  std::chrono::milliseconds archive_age{};
  std::chrono::milliseconds retention_age{};  // 0: off
  std::uint64_t retention_size = 0;           // 0: off
  bool retention_wait_for_groups = false;
  std::map<std::string, FieldType, std::less<>> fields;
};

struct ViewConfig {
  std::string name;
  std::string sql;
};

struct Config {
  // [server]
  std::string listen;
  std::string data;
  std::uint64_t threads = 0;
  std::chrono::milliseconds drain{};
  std::chrono::milliseconds audit{};  // 0: off
  std::string tls_cert;               // empty: no TLS
  std::string tls_key;
  std::string tls_client_ca;
  std::string tls_client;
  // [limits]
  std::uint64_t memory = 0;
  std::uint64_t body = 0;
  std::uint64_t record = 0;
  std::uint64_t connections = 0;
  std::uint64_t headers = 0;
  std::uint64_t header_count = 0;
  std::chrono::milliseconds header_timeout{};
  std::chrono::milliseconds idle_timeout{};
  std::uint64_t slowest = 0;   // bytes a second
  std::uint64_t requests = 0;  // 0: no limit
  std::uint64_t idempotency_keys = 0;
  std::uint64_t sql_rows = 0;
  std::chrono::milliseconds sql_time{};
  std::chrono::milliseconds sql_stream_time{};
  std::uint64_t sql_bytes = 0;
  std::uint64_t changes_per_hour = 0;  // 0: no limit
  // [storage]
  std::uint64_t segment = 0;
  std::string flush;
  // [history]
  std::chrono::milliseconds history_every{};  // 0: off
  std::uint64_t history_keep = 0;
  // [audit]
  std::uint64_t audit_keep_size = 0;           // 0: off
  std::chrono::milliseconds audit_keep_age{};  // 0: off
  // [log]
  std::string log_level;
  std::string log_format;

  std::vector<StreamConfig> streams;  // by name
  std::vector<ViewConfig> views;

  const StreamConfig* find_stream(std::string_view name) const;
  const ViewConfig* find_view(std::string_view name) const;
};

// One thing that is wrong, ready to be printed: "tidemill.toml:12: unknown key ...".
using ConfigErrors = std::vector<std::string>;

// Where a configuration comes from. Later members override earlier ones.
struct ConfigSources {
  std::optional<std::string> file;                               // a TOML file; none: the built-in configuration
  std::vector<std::pair<std::string, std::string>> environment;  // TIDEMILL_SERVER_LISTEN ...; others are ignored
  std::vector<std::pair<std::string_view, std::string>> flags;   // "server.listen", as written on the command line
  bool file_needed = false;  // there is no doing without one, so an error does not propose it
};

// The built-in configuration: the table's defaults, the stream `retail`, its two views.
Config default_config();
// Reads everything. On any error nothing else of the result is to be used.
Config load_config(const ConfigSources& sources, ConfigErrors& errors);
// As load_config with the text of a file; `name` is what errors call it.
Config parse_config(std::string_view toml, const std::string& name, const ConfigSources& rest, ConfigErrors& errors);
// TIDEMILL_* of this process.
std::vector<std::pair<std::string, std::string>> environment_of_process();

// The whole configuration as TOML, with a comment on each key. Reads back as the same configuration.
std::string print_config(const Config& config);
// docs/configuration.md.
std::string config_markdown();

// Keys (as "limits.memory") whose values differ: those that a running server takes over, and those that it cannot.
struct ConfigChange {
  std::vector<std::string> live;
  std::vector<std::string> restart;
};
ConfigChange compare(const Config& before, const Config& after);
// What runs after SIGHUP: the live keys of `fresh`, all else as it was.
Config take_live(const Config& running, const Config& fresh);

// "256MiB", "5MB", "1000" (bytes); "60s", "500ms", "5m", "1h", "7d". nullopt: not one.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
std::string format_size(std::uint64_t bytes);
std::string format_duration(std::chrono::milliseconds duration);

// "127.0.0.1:7077", "[::1]:7077". An error is a sentence.
struct Address {
  std::string host;  // without brackets
  std::uint16_t port = 0;
  bool loopback = false;
};
std::optional<Address> parse_address(std::string_view text, std::string& error);

}  // namespace tidemill::cli

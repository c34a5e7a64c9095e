#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tidemill::cli {

// What the command line says, one struct for each subcommand, and what runs it: one file each, which gives the exit
// code and reports on standard error. Only cli.cc knows how options are written.

enum ExitCode : int {
  kOk = 0,
  kPartly = 1,  // load: some rows were rejected; status: something needs a hand; diff: there are differences
  kWrongUse =
      2,  // the command line, the configuration, a file, or what the server refused; serve: another try cannot help
  kNotReached = 3,   // no server, or it did not come back; serve: it could not start now
  kInterrupted = 4,  // Ctrl-C
};

struct ServeOptions {
  std::optional<std::string> config;
  std::vector<std::pair<std::string_view, std::string>> settings;  // {"server.listen", ...}
  bool print_config = false;
  bool open = false;  // serve beyond loopback without keys
  bool tls_self_signed = false;
};
int serve(const ServeOptions& options);

// A server to talk to. Empty: the environment, `.env`, the default.
struct Remote {
  std::string url;
  std::string key_file;  // holds the key; never the key itself, which a list of processes would show
  std::string ca_file;
  std::string tls_fingerprint;
  std::string cert_file, cert_key_file;  // shown to the server
};

struct LoadOptions {
  Remote remote;
  std::string file;  // "-": standard input; empty: CSV_PATH
  std::string stream = "retail";
  std::string encoding = "auto";
  std::string delimiter = ",";
  std::vector<std::string> text_columns;
  std::string key_column;  // empty: the stream's partition key
  std::string rejects;
  std::uint32_t connections = 4;
  std::string retry_for = "60s";
  bool resume = false;
  bool again = false;
  bool force = false;
  bool quiet = false;
};
int load(const LoadOptions& options);

struct SampleOptions {
  std::uint64_t rows = 10'000;
  std::uint64_t seed = 1;
};
int sample(const SampleOptions& options);

struct PutOptions {
  Remote remote;
  std::string stream = "retail";
  std::string record;  // empty or "-": standard input
  std::string partition_key;
  std::string ack;
  std::string idempotency_key;
};
int put(const PutOptions& options);

struct TailOptions {
  Remote remote;
  std::string stream = "retail";
  std::string from = "latest";
  std::string shard;
  std::uint64_t limit = 0;  // 0: go on for ever
  bool follow = true;
  bool data_only = false;
};
int tail(const TailOptions& options);

struct SqlOptions {
  Remote remote;
  std::string statement;  // empty: a shell on a terminal, else standard input, as "-"
  std::vector<std::string> params;
  std::string after;
  std::string at;               // of the past: a sequence or a time; empty: now
  std::string format = "auto";  // table, csv, ndjson, json; auto: table on a terminal, else csv
};
int sql(const SqlOptions& options);

struct ViewOptions {
  Remote remote;
  std::string view;  // empty: list them
  std::string key;   // empty: its definition and first rows
  std::string prefix;
  std::string at;  // of one row: as it was; a sequence or a time
  std::uint32_t limit = 20;
  std::string from;     // why: a sequence; watch: a key
  std::string to;       // watch: a key
  std::string where;    // watch: an SQL condition
  std::string cursor;   // watch: where to go on
  bool json = false;    // watch
  bool newest = false;  // why: the last records first
  std::string sql;      // create: empty or "-": standard input
  bool diff = false;    // rebuild: nothing else can be asked for
  // quarantine: at most one of the three; a sequence, or all
  std::string skip, redrive, edit;
  std::string data;  // edit: what it counts as; empty or "-": standard input
  std::string reason;
  bool dry_run = false;
};
int view(const ViewOptions& options);
int view_create(const ViewOptions& options);
int view_drop(const ViewOptions& options);
int view_verify(const ViewOptions& options);
int view_quarantine(const ViewOptions& options);
int view_why(const ViewOptions& options);
int view_history(const ViewOptions& options);
int view_watch(const ViewOptions& options);

struct StreamOptions {
  Remote remote;
  std::string stream;  // empty: list them
  std::string shard;
  std::string at;    // split
  std::string with;  // merge
};
int stream(const StreamOptions& options);
int stream_split(const StreamOptions& options);
int stream_merge(const StreamOptions& options);

struct StatusOptions {
  Remote remote;
  bool json = false;
};
int status(const StatusOptions& options);

struct VerifyOptions {
  Remote remote;  // --url: the directory is in use, by this server
  std::string data = "./data";
  std::string scratch;
  bool no_views = false;
  bool moved_files_ok = false;
  bool json = false;
  std::string heads;  // a file with what `audit head` said earlier
};
int verify(const VerifyOptions& options);

struct BackupCommand {
  Remote remote;  // --url: the directory is in use, by this server
  std::string data = "./data";
  std::string to;
  bool copy = false;
  bool with_instance_key = false;
};
int backup(const BackupCommand& options);

struct RestoreCommand {
  std::string from;
  std::string data;
  bool check = false;
};
int restore(const RestoreCommand& options);

struct KeysOptions {
  Remote remote;
  std::string data;  // not empty: the directory itself, which no server uses
  std::string name, kind, tenant, expires;
  std::vector<std::string> scopes;
  bool admin = false;
  std::string id;
  std::string grace = "1d";
  std::string certificate;  // a file, or to unbind also a fingerprint
};
int keys_create(const KeysOptions& options);
int keys_list(const KeysOptions& options);
int keys_rotate(const KeysOptions& options);
int keys_revoke(const KeysOptions& options);
int keys_bind(const KeysOptions& options);
int keys_unbind(const KeysOptions& options);

struct AuditOptions {
  Remote remote;
  std::string key, from, until, action;
  std::uint64_t limit = ~std::uint64_t{0};  // from 1; all, where nothing is said
  bool json = false;
};
int audit(const AuditOptions& options);
int audit_head(const AuditOptions& options);

struct ConfigOptions {
  Remote remote;
  std::optional<std::string> file;
};
int config_check(const ConfigOptions& options);
int config_diff(const ConfigOptions& options);
int config_apply(const ConfigOptions& options);

std::string version_text();
int print_version();

}  // namespace tidemill::cli

#include "tools/cli/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <functional>
#include <map>

#include "tools/cli/commands.h"
#include "tools/cli/completion.h"
#include "tools/cli/config/config.h"
#include "tools/cli/limits/options.h"
#include "tools/cli/man_page.h"
#include "tools/cli/output.h"
#include "tools/cli/usage.h"

namespace tidemill::cli {
namespace {

// The command line's grammar, and nothing else: each subcommand's options land in its struct, and `chosen` runs it.
class Program {
 public:
  Program() {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", version_text);
    app_.footer(
        "`tidemill COMMAND --help` says more of each.\n\n"
        "  tidemill serve                       a server on 127.0.0.1:7077 with its data in ./data\n"
        "  tidemill load sales.csv              send it a CSV file\n"
        "  tidemill sql 'SELECT * FROM customers ORDER BY revenue DESC LIMIT 5'");
    add_serve();
    add_load();
    add_sample();
    add_put();
    add_tail();
    add_sql();
    add_view();
    add_stream();
    add_status();
    add_verify();
    add_backup();
    add_keys();
    add_limits();
    add_audit();
    add_config();
    add_rest();
    take_last(app_);
  }

  int run(int argc, char** argv) {
    if (argc < 2) {
      std::fputs(app_.help().c_str(), stderr);
      return kWrongUse;
    }
    try {
      app_.parse(argc, argv);
    } catch (const CLI::Success& e) {  // --help, --version
      app_.exit(e);
      return kOk;
    } catch (const CLI::ParseError& e) {
      return refuse_command_line(app_, e);
    }
    return chosen_();
  }

 private:
  CLI::App* add(const char* name, const char* description, const char* examples, std::function<int()> run) {
    CLI::App* command = app_.add_subcommand(name, description);
    command->footer(std::string("Examples:\n") + examples);
    command->callback([this, command, run = std::move(run)] {
      if (command->get_subcommands().empty()) chosen_ = run;  // else a subcommand of its own was chosen before
    });
    return command;
  }

  // A flag that comes twice: the last one holds, so that an alias can be overridden.
  static void take_last(CLI::App& app) {
    for (CLI::Option* option : app.get_options())
      if (!option->get_positional() && option->get_items_expected_max() == 1)
        option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) take_last(*command);
  }

  // What may be said here; `checked` where nobody else says so. Completion offers these words.
  void words(CLI::Option* option, std::vector<std::string> known, bool checked = true) {
    if (checked)
      option->check([known](const std::string& value) {
        if (std::find(known.begin(), known.end(), value) != known.end()) return std::string();
        std::string list;
        for (const std::string& word : known) list += (list.empty() ? "" : ", ") + word;
        return "must be one of " + list + ", not '" + value + "'";
      });
    words_[option] = std::move(known);
  }

  static void add_key_file(CLI::App* command, Remote& remote) {
    command
        ->add_option("--key-file", remote.key_file,
                     "A file that holds the key (else TIDEMILL_KEY or API_KEY, also from .env)")
        ->type_name("FILE");
  }

  static void add_remote(CLI::App* command, Remote& remote) {
    command->add_option("--url", remote.url, "The server (else API_URL, also from .env; else http://127.0.0.1:7077)")
        ->type_name("URL");
    add_key_file(command, remote);
    command
        ->add_option("--ca-file", remote.ca_file,
                     "Of https: the authority to believe, in PEM (else TIDEMILL_CA_FILE, also from .env; else the "
                     "system's)")
        ->type_name("FILE");
    command
        ->add_option("--tls-fingerprint", remote.tls_fingerprint,
                     "Of https: believe the certificate of this SHA-256 and no other (else TIDEMILL_TLS_FINGERPRINT)")
        ->type_name("HEX");
  }

  CLI::Option* setting(CLI::App* command, const char* flag, const char* key, const char* help, const char* type) {
    return command
        ->add_option_function<std::string>(
            flag, [this, key](const std::string& value) { serve_.settings.emplace_back(key, value); }, help)
        ->type_name(type);
  }

  void add_serve() {
    CLI::App* c =
        add("serve", "Run the server",
            "  tidemill serve\n"
            "  tidemill serve --config tidemill.toml --data /var/lib/tidemill\n"
            "  tidemill serve --print-config > tidemill.toml\n"
            "Signals: SIGTERM and Ctrl-C drain and stop; SIGHUP reads the configuration again (log level and\n"
            "limits are taken over, the rest is named) and the certificate.\n"
            "Exit codes: 0 stopped cleanly, 1 could not stop cleanly, 2 wrong use or configuration, 3 could not\n"
            "start (port or directory in use, no permission, a newer layout).",
            [this] { return serve(serve_); });
    c->add_option("--config", serve_.config, "A TOML file (docs/configuration.md); else the built-in configuration")
        ->type_name("FILE");
    setting(c, "--data", "server.data", "The data directory, made when missing (default ./data)", "DIR");
    setting(c, "--listen", "server.listen", "Where to serve HTTP (default 127.0.0.1:7077)", "ADDR:PORT");
    words(setting(c, "--log-level", "log.level", "debug, info, warning or error", "LEVEL"),
          {"debug", "info", "warning", "error"}, false);
    words(
        setting(c, "--log-format", "log.format", "auto (text on a terminal, else JSON lines), text or json", "FORMAT"),
        {"auto", "text", "json"}, false);
    setting(c, "--tls-cert", "server.tls_cert", "Serve HTTPS with this certificate, and what leads to its authority",
            "FILE");
    setting(c, "--tls-key", "server.tls_key", "Its private key", "FILE");
    c->add_flag("--tls-self-signed", serve_.tls_self_signed,
                "Serve HTTPS with a certificate made now, for trying it out; the log says its fingerprint");
    c->add_flag("--open", serve_.open,
                "Serve an address other than loopback although there are no keys: everybody may do everything");
    c->add_flag("--print-config", serve_.print_config, "Print the whole effective configuration and stop");
  }

  void add_load() {
    CLI::App* c = add("load", "Send a CSV file to a stream",
                      "  tidemill load OnlineRetail.csv\n"
                      "  tidemill load --stream orders --delimiter ';' --rejects bad.csv orders.csv\n"
                      "  tidemill load --resume OnlineRetail.csv      after an interruption\n"
                      "  xz -dc OnlineRetail.csv.xz | tidemill load --encoding windows-1252 -\n"
                      "Exit codes: 0 all in, 1 some rows rejected, 2 wrong use, 3 server not reached, 4 interrupted.",
                      [this] { return load(load_); });
    add_remote(c, load_.remote);
    c->add_option("file", load_.file, "The file, or - for standard input (else CSV_PATH, also from .env)");
    c->add_option("--stream", load_.stream, "Where to")->capture_default_str()->type_name("NAME");
    words(c->add_option("--encoding", load_.encoding, "auto, utf-8 or windows-1252")
              ->capture_default_str()
              ->type_name("NAME"),
          {"auto", "utf-8", "windows-1252"}, false);
    c->add_option("--delimiter", load_.delimiter, "Between fields: one character, or tab")
        ->capture_default_str()
        ->type_name("CHAR");
    c->add_option("--text", load_.text_columns, "This column is text, whatever it looks like (may be repeated)")
        ->allow_extra_args(false)
        ->type_name("COLUMN");
    c->add_option("--key-column", load_.key_column,
                  "Rows with the same value here stay in order (default: the stream's partition key)")
        ->type_name("COLUMN");
    c->add_option("--rejects", load_.rejects, "Keep the rows that were rejected in this CSV file")->type_name("FILE");
    c->add_option("--connections", load_.connections, "How many at a time")
        ->check(CLI::Validator(
            [](std::string& n) {
              return n.size() == 1 && n >= "1" && n <= "4" ? "" : "must be 1, 2, 3 or 4, not '" + n + "'";
            },
            ""))
        ->capture_default_str()
        ->type_name("N");
    c->add_option("--retry-for", load_.retry_for, "How long to go on trying a server that is down")
        ->capture_default_str()
        ->type_name("TIME");
    c->add_flag("--resume", load_.resume, "Go on where an interrupted load stopped (FILE.csv.progress)");
    c->add_flag("--again", load_.again, "Load a file once more that is in already");
    c->add_flag("--force", load_.force, "Resume although it may load rows twice");
    c->add_flag("--quiet", load_.quiet, "No progress bar");
  }

  void add_sample() {
    CLI::App* c = add("sample", "Write an invented CSV file of a shop's sales to standard output",
                      "  tidemill sample --rows 100000 --seed 7 > sales.csv\n"
                      "The same rows and seed give the same bytes on every machine.",
                      [this] { return sample(sample_); });
    c->add_option("--rows", sample_.rows, "How many")->check(refuse_number)->capture_default_str()->type_name("N");
    c->add_option("--seed", sample_.seed, "Which ones")->check(refuse_number)->capture_default_str()->type_name("S");
  }

  void add_put() {
    CLI::App* c = add("put", "Put one JSON record, or lines of them, into a stream",
                      "  tidemill put '{\"InvoiceNo\":\"999001\",\"Quantity\":3,\"UnitPrice\":2.5}'\n"
                      "  tidemill put --stream orders < orders.ndjson",
                      [this] { return put(put_); });
    add_remote(c, put_.remote);
    c->add_option("record", put_.record, "JSON; - or nothing: lines of JSON from standard input");
    c->add_option("--stream", put_.stream, "Where to")->capture_default_str()->type_name("NAME");
    c->add_option("--partition-key", put_.partition_key, "Instead of the field that the stream names")
        ->type_name("KEY");
    words(c->add_option("--ack", put_.ack, "durable, or view: answer when the views show it")->type_name("LEVEL"),
          {"durable", "view"});
    c->add_option("--idempotency-key", put_.idempotency_key, "The same key again changes nothing")->type_name("KEY");
  }

  void add_tail() {
    CLI::App* c = add("tail", "Print a stream's records as they come",
                      "  tidemill tail\n"
                      "  tidemill tail --from earliest --limit 10 --no-follow\n"
                      "  tidemill tail --data-only | jq .Quantity",
                      [this] { return tail(tail_); });
    add_remote(c, tail_.remote);
    c->add_option("stream", tail_.stream, "Which one")->capture_default_str();
    words(c->add_option("--from", tail_.from,
                        "earliest, latest, a sequence number or a time such as 2011-12-09T12:50:00Z")
              ->capture_default_str()
              ->type_name("POSITION"),
          {"earliest", "latest"}, false);
    c->add_option("--shard", tail_.shard, "Only this one")->type_name("SHARD");
    c->add_option("--limit", tail_.limit, "Stop after so many records")->check(refuse_number)->type_name("N");
    c->add_flag("!--no-follow", tail_.follow, "Stop at the end instead of waiting for more");
    c->add_flag("--data-only", tail_.data_only, "Only the records' own JSON");
  }

  void add_sql() {
    CLI::App* c = add("sql", "Ask the views in SQL",
                      "  tidemill sql 'SELECT country, sum(revenue) FROM customers GROUP BY country'\n"
                      "  tidemill sql --param 1000 'SELECT * FROM customers WHERE revenue > ?'\n"
                      "  tidemill sql --param '\"17850\"' 'SELECT * FROM customers WHERE customer_id = ?'\n"
                      "  tidemill sql --at 2011-12-01T00:00:00Z 'SELECT count(*) FROM customers'\n"
                      "  tidemill sql --format csv < query.sql > result.csv\n"
                      "  tidemill sql",
                      [this] { return sql(sql_); });
    add_remote(c, sql_.remote);
    c->add_option("statement", sql_.statement,
                  "A SELECT; none on a terminal: a shell; none elsewhere, or -: statements from standard input");
    c->add_option("--param", sql_.params,
                  "The value of a ?: JSON (1000 is a number, \"17850\" text), else text; may be repeated")
        ->allow_extra_args(false)
        ->type_name("VALUE");
    c->add_option("--after", sql_.after, "Wait until the views show this token")->type_name("TOKEN");
    c->add_option("--at", sql_.at, "The views as they were: at the newest kept point up to this record, or this time")
        ->type_name("SEQUENCE|TIME");
    words(c->add_option("--format", sql_.format, "table, csv, ndjson or json (auto: table on a terminal, else csv)")
              ->capture_default_str()
              ->type_name("FORMAT"),
          {"auto", "table", "csv", "ndjson", "json"});
  }

  void add_view() {
    CLI::App* c = add("view", "Show the views, a view's rows, or one row; create, verify or drop a view",
                      "  tidemill view\n"
                      "  tidemill view customers\n"
                      "  tidemill view customers 17850\n"
                      "  tidemill view customers 17850 --at 2011-12-01T00:00:00Z\n"
                      "  tidemill view watch customers\n"
                      "  tidemill view create by_country 'SELECT Country AS country, count(*) AS lines FROM retail\n"
                      "    GROUP BY Country'\n"
                      "  tidemill view drop by_country",
                      [this] { return view(view_); });
    add_remote(c, view_.remote);
    c->add_option("view", view_.view, "Which one");
    c->add_option("key", view_.key,
                  "Which row; parts of a composite key are joined by commas, or stand in a JSON array");
    c->add_option("--at", view_.at, "The row as it was: up to this record, or by this time")
        ->type_name("SEQUENCE|TIME");
    c->add_option("--prefix", view_.prefix, "Only keys that begin so")->type_name("TEXT");
    c->add_option("--limit", view_.limit, "How many rows")->check(refuse_number)->capture_default_str()->type_name("N");
    CLI::App* create = c->add_subcommand("create", "Define a view");
    create->add_option("view", view_.view, "Its name")->required();
    create->add_option("sql", view_.sql,
                       "SELECT ... FROM a stream ... GROUP BY ...; - or nothing: from standard input");
    add_remote(create, view_.remote);
    create->footer("Examples:\n  tidemill view create by_country < by_country.sql");
    create->callback([this] { chosen_ = [this] { return view_create(view_); }; });
    CLI::App* drop = c->add_subcommand("drop", "Remove a view; its stream stays");
    drop->add_option("view", view_.view, "Its name")->required();
    add_remote(drop, view_.remote);
    drop->footer("Examples:\n  tidemill view drop by_country");
    drop->callback([this] { chosen_ = [this] { return view_drop(view_); }; });
    CLI::App* verify = c->add_subcommand("verify", "Make a view anew from the log beside the live one and compare");
    verify->add_option("view", view_.view, "Its name")->required();
    add_remote(verify, view_.remote);
    verify->footer("Examples:\n  tidemill view verify by_country");
    verify->callback([this] { chosen_ = [this] { return view_verify(view_); }; });
    CLI::App* rebuild = c->add_subcommand("rebuild", "With --diff: the same as view verify; nothing is changed");
    rebuild->add_option("view", view_.view, "Its name")->required();
    rebuild->add_flag("--diff", view_.diff, "Make it anew and say each difference")->required();
    add_remote(rebuild, view_.remote);
    rebuild->footer("Examples:\n  tidemill view rebuild by_country --diff");
    rebuild->callback([this] { chosen_ = [this] { return view_verify(view_); }; });
    CLI::App* history = c->add_subcommand("history", "Show the kept points, which `tidemill sql --at` reads");
    add_remote(history, view_.remote);
    history->footer("Examples:\n  tidemill view history");
    history->callback([this] { chosen_ = [this] { return view_history(view_); }; });
    add_why(c);
    add_watch(c);
    add_quarantine(c);
  }

  void add_why(CLI::App* c) {
    CLI::App* why = c->add_subcommand("why", "Show the records that made a row");
    why->add_option("view", view_.view, "Its name")->required();
    why->add_option("key", view_.key,
                    "Which row; parts of a composite key are joined by commas, or stand in a JSON array")
        ->required();
    why->add_option("--from", view_.from, "Begin with this record")->type_name("SEQUENCE");
    why->add_flag("--newest", view_.newest, "The last records first");
    why->add_option("--limit", view_.limit, "How many records")
        ->check(refuse_number)
        ->capture_default_str()
        ->type_name("N");
    add_remote(why, view_.remote);
    why->footer("Examples:\n  tidemill view why customers 17850 --newest --limit 5");
    why->callback([this] { chosen_ = [this] { return view_why(view_); }; });
  }

  void add_watch(CLI::App* c) {
    CLI::App* watch = c->add_subcommand("watch", "Print a view's rows, and then each row that changes, until Ctrl-C");
    watch->add_option("view", view_.view, "Its name")->required();
    CLI::Option* key = watch->add_option(
        "key", view_.key, "Only this row; parts of a composite key are joined by commas, or stand in a JSON array");
    CLI::Option* prefix = watch->add_option("--prefix", view_.prefix, "Only keys that begin so")->type_name("TEXT");
    CLI::Option* from = watch->add_option("--from", view_.from, "Only this key and those behind it");
    CLI::Option* to = watch->add_option("--to", view_.to, "Only keys before this one");
    for (CLI::Option* o : {from, to}) o->type_name("KEY");
    for (CLI::Option* o : {prefix, from, to}) o->excludes(key);
    watch->add_option("--where", view_.where, "Only rows that meet this SQL condition over the view's columns")
        ->type_name("CONDITION");
    watch->add_option("--cursor", view_.cursor, "Go on where an earlier watch of the same rows ended")
        ->type_name("CURSOR");
    watch->add_flag("--json", view_.json, "For machines: one object a line, cursors among them");
    add_remote(watch, view_.remote);
    watch->footer(
        "Examples:\n"
        "  tidemill view watch customers\n"
        "  tidemill view watch customers 17850\n"
        "  tidemill view watch customers --where \"country = 'France' AND units > 100\"\n"
        "  tidemill view watch customers --prefix 17 --json | jq .row.revenue\n"
        "+ is a row as it is now, - one that is not there any more, or does not meet the condition. When the server\n"
        "is away it waits and goes on. Ctrl-C ends it with 0 and says the cursor to go on with.");
    watch->callback([this] { chosen_ = [this] { return view_watch(view_); }; });
  }

  void add_quarantine(CLI::App* c) {
    CLI::App* quarantine = c->add_subcommand(
        "quarantine", "Show the records that a view could not count, and why; or say what becomes of them");
    quarantine->add_option("view", view_.view, "Its name")->required();
    quarantine->add_option("--limit", view_.limit, "How many records")
        ->check(refuse_number)
        ->capture_default_str()
        ->type_name("N");
    add_remote(quarantine, view_.remote);
    CLI::Option* edit =
        quarantine->add_option("--edit", view_.edit, "Count this record as --data says")->type_name("SEQUENCE");
    quarantine->add_option("--data", view_.data, "What it counts as, a JSON object; - or nothing: from standard input")
        ->needs(edit)
        ->type_name("JSON");
    CLI::Option* skip = quarantine->add_option("--skip", view_.skip, "Leave this record out, for good")->excludes(edit);
    CLI::Option* redrive = quarantine->add_option("--redrive", view_.redrive, "Try to count this record again")
                               ->excludes(edit)
                               ->excludes(skip);
    for (CLI::Option* o : {skip, redrive}) o->type_name("SEQUENCE|all");
    quarantine->add_option("--reason", view_.reason, "With all: only records whose reason begins so")
        ->type_name("TEXT");
    quarantine->add_flag("--dry-run", view_.dry_run, "Decide nothing; show the rows as they are and as they would be");
    quarantine->footer(
        "Examples:\n"
        "  tidemill view quarantine customers\n"
        "  tidemill view quarantine spending --edit 3 --data '{\"user\":\"u\",\"amount\":3}' --dry-run\n"
        "  tidemill view quarantine spending --skip all --reason 'sum(amount): text'");
    quarantine->callback([this] { chosen_ = [this] { return view_quarantine(view_); }; });
  }

  void add_stream() {
    CLI::App* c = add("stream", "Show the streams, or a stream's shards; split or merge shards",
                      "  tidemill stream\n"
                      "  tidemill stream retail\n"
                      "  tidemill stream split retail 3\n"
                      "  tidemill stream merge retail 4 5",
                      [this] { return stream(stream_); });
    add_remote(c, stream_.remote);
    c->add_option("stream", stream_.stream, "Which one");
    const auto change = [&](const char* name, const char* what, const char* example) {
      CLI::App* sub = c->add_subcommand(name, what);
      sub->add_option("stream", stream_.stream, "Whose shard")->required();
      sub->add_option("shard", stream_.shard, "Which one, such as 3 or s0003")->required();
      add_remote(sub, stream_.remote);
      sub->footer(std::string("Examples:\n  ") + example);
      return sub;
    };
    CLI::App* split = change("split", "Close a shard and open two in its place; writers and readers go on",
                             "tidemill stream split retail 3");
    split->add_option("--at", stream_.at, "First hash key of the second one, 32 hexadecimal digits (else the middle)")
        ->type_name("HASH");
    split->callback([this] { chosen_ = [this] { return stream_split(stream_); }; });
    CLI::App* merge =
        change("merge", "Close two neighbours and open one in their place", "tidemill stream merge retail 4 5");
    merge->add_option("with", stream_.with, "Its neighbour")->required();
    merge->callback([this] { chosen_ = [this] { return stream_merge(stream_); }; });
  }

  void add_status() {
    CLI::App* c = add("status", "Show on one screen how the server is doing; exit code 1 when something needs a hand",
                      "  tidemill status\n"
                      "  watch -n 2 tidemill status",
                      [this] { return status(status_); });
    add_remote(c, status_.remote);
    c->add_flag("--json", status_.json, "For machines");
  }

  void add_verify() {
    CLI::App* c = add("verify", "Hold logs, text files and views of a data directory against each other",
                      "  tidemill verify --data /var/lib/tidemill\n"
                      "  tidemill verify --data /var/lib/tidemill --url http://127.0.0.1:7077    while it is in use\n"
                      "Alters nothing. Exit codes: 0 nothing is damaged, 1 something is, 2 it could not be looked at,\n"
                      "3 the server was not reached.",
                      [this] { return verify(verify_); });
    c->add_option("--data", verify_.data, "The data directory")->capture_default_str()->type_name("DIR");
    c->add_option("--url", verify_.remote.url, "The server that uses the directory; without it none may")
        ->type_name("URL");
    add_key_file(c, verify_.remote);
    c->add_option("--scratch", verify_.scratch, "Where views are made anew to compare (else TMPDIR, else /tmp)")
        ->type_name("DIR");
    c->add_flag("--no-views", verify_.no_views, "Leave the views out");
    c->add_option("--heads", verify_.heads,
                  "A file with what `tidemill audit head` printed earlier: nothing of before may have changed")
        ->type_name("FILE");
    c->add_flag("--moved-files-ok", verify_.moved_files_ok, "A text file that is not there was taken elsewhere");
    c->add_flag("--json", verify_.json, "For machines: one object a line");
  }

  void add_backup() {
    CLI::App* c = add("backup", "Copy all logs to a directory, as of one moment; again and again, only what is new",
                      "  tidemill backup --data /var/lib/tidemill --url http://127.0.0.1:7077 /backup/tidemill\n"
                      "  tidemill backup --data /var/lib/tidemill /backup/tidemill        while no server runs\n"
                      "On the same disk sealed segments are linked: that costs no room, and is no copy until the\n"
                      "directory is copied elsewhere. Views and text files are made again from the logs.",
                      [this] { return backup(backup_); });
    c->add_option("to", backup_.to, "Where to: made when missing")->required()->type_name("DIR");
    c->add_option("--data", backup_.data, "The data directory")->capture_default_str()->type_name("DIR");
    c->add_option("--url", backup_.remote.url, "The server that uses the directory; without it none may")
        ->type_name("URL");
    add_key_file(c, backup_.remote);
    c->add_flag("--copy", backup_.copy, "Never link");
    c->add_flag("--with-instance-key", backup_.with_instance_key,
                "Also what encrypts the secrets of keys of kind aws: the backup is then as secret as they are");

    CLI::App* r = add("restore", "Make a data directory from a backup, after checking all of it",
                      "  tidemill restore /backup/tidemill --data /var/lib/tidemill\n"
                      "  tidemill restore /backup/tidemill --check\n"
                      "Exit codes: 0 done, 1 the backup is damaged (and nothing was made), 2 wrong use.",
                      [this] { return restore(restore_); });
    r->add_option("from", restore_.from, "The backup's directory")->required()->type_name("DIR");
    r->add_option("--data", restore_.data, "The data directory to be: not there, or empty")->type_name("DIR");
    r->add_flag("--check", restore_.check, "Only check the backup");
  }

  void add_keys() {
    CLI::App* c = app_.add_subcommand("keys", "Make, list, rotate and revoke keys; bind clients' certificates to them");
    c->require_subcommand(1);
    const auto add_data = [this](CLI::App* sub) {
      add_remote(sub, keys_.remote);
      sub->add_option("--data", keys_.data, "Instead of a server: a data directory that none uses, on this machine")
          ->type_name("DIR");
    };
    CLI::App* create = c->add_subcommand("create", "Make a key; it is printed this once");
    create->add_option("name", keys_.name, "What people call it")->required();
    create->add_option("--scope", keys_.scopes, "What it may do; once or more")->type_name("SCOPE");
    create->add_flag("--admin", keys_.admin, "The same as --scope instance:admin: everything");
    words(create->add_option("--kind", keys_.kind, "api (the default), or aws")->type_name("KIND"), {"api", "aws"});
    create->add_option("--tenant", keys_.tenant, "Whose it is (else that of the key that makes it)")->type_name("NAME");
    create->add_option("--expires", keys_.expires, "When it ends, such as 90d or 2027-01-31T00:00:00Z (else never)")
        ->type_name("TIME");
    add_data(create);
    create->footer(
        "Examples:\n"
        "  tidemill keys create operator --admin --data /var/lib/tidemill     the first one, while no server runs\n"
        "  tidemill keys create till-3 --scope stream:retail:write --expires 90d\n"
        "  tidemill keys create board --scope view:customers:query --scope view:invoices:query\n"
        "Scopes: stream:NAME:write|read|admin, view:NAME:query|admin, server:read|admin, instance:read|admin; NAME "
        "may\n"
        "end in *. The key is on standard output, all else on standard error.");
    create->callback([this] { chosen_ = [this] { return keys_create(keys_); }; });
    CLI::App* list = c->add_subcommand("list", "Show the keys, without their secrets");
    add_data(list);
    list->footer("Examples:\n  tidemill keys list");
    list->callback([this] { chosen_ = [this] { return keys_list(keys_); }; });
    CLI::App* rotate = c->add_subcommand("rotate", "Give a key a new secret; the old one is taken for a while");
    rotate->add_option("id", keys_.id, "Which key")->required();
    rotate->add_option("--grace", keys_.grace, "How long the old secret is still taken")
        ->capture_default_str()
        ->type_name("TIME");
    add_data(rotate);
    rotate->footer("Examples:\n  tidemill keys rotate 1qxy7r0m3n5p2 --grace 12h");
    rotate->callback([this] { chosen_ = [this] { return keys_rotate(keys_); }; });
    CLI::App* revoke = c->add_subcommand("revoke", "End a key, at once and for good");
    revoke->add_option("id", keys_.id, "Which key")->required();
    add_data(revoke);
    revoke->footer("Examples:\n  tidemill keys revoke 1qxy7r0m3n5p2");
    revoke->callback([this] { chosen_ = [this] { return keys_revoke(keys_); }; });
    CLI::App* bind = c->add_subcommand("bind", "Let a client's certificate stand for a key");
    bind->add_option("id", keys_.id, "Which key")->required();
    bind->add_option("--certificate", keys_.certificate, "The certificate, in PEM; its private key stays where it is")
        ->required()
        ->type_name("FILE");
    add_data(bind);
    bind->footer("Examples:\n  tidemill keys bind 1qxy7r0m3n5p2 --certificate till-3.pem");
    bind->callback([this] { chosen_ = [this] { return keys_bind(keys_); }; });
    CLI::App* unbind = c->add_subcommand("unbind", "Take a certificate from a key, at once");
    unbind->add_option("id", keys_.id, "Which key")->required();
    unbind->add_option("--certificate", keys_.certificate, "The certificate, or its SHA-256 as `keys list` shows it")
        ->required()
        ->type_name("FILE|SHA256");
    add_data(unbind);
    unbind->footer("Examples:\n  tidemill keys unbind 1qxy7r0m3n5p2 --certificate till-3-old.pem");
    unbind->callback([this] { chosen_ = [this] { return keys_unbind(keys_); }; });
  }

  void add_limits() {
    CLI::App* c = app_.add_subcommand("limits", "Set, show and remove limits of keys and tenants");
    c->require_subcommand(1);
    const auto add_owner = [this](CLI::App* sub) {
      add_remote(sub, limits_.remote);
      sub->add_option("--key", limits_.key, "Of the key with this id")->type_name("ID");
      sub->add_option("--tenant", limits_.tenant, "Of this tenant: all its keys together")->type_name("NAME");
    };
    CLI::App* set = c->add_subcommand("set", "Limit a key or a tenant, from the next request on");
    add_owner(set);
    const auto add_measure = [&](const std::string& name, LimitsOptions::Of& of, const char* number) {
      set->add_option("--" + name, of.rate, name + " a second, and perhaps how many at once after a pause")
          ->type_name("RATE");
      set->add_option("--day-" + name, of.day, name + " a day, in UTC")->type_name(number);
      set->add_option("--month-" + name, of.month, name + " a month, in UTC")->type_name(number);
    };
    add_measure("requests", limits_.requests, "NUMBER");
    add_measure("records", limits_.records, "NUMBER");
    add_measure("bytes", limits_.bytes, "SIZE");
    set->add_option("--connections", limits_.connections, "Connections open at a time")->type_name("NUMBER");
    set->add_option("--streams", limits_.streams, "Streams that the tenant may have")->type_name("NUMBER");
    set->add_option("--disk", limits_.disk, "What the logs of the tenant's streams may take")->type_name("SIZE");
    set->footer(
        "Examples:\n"
        "  tidemill limits set --key 1qxy7r0m3n5p2 --requests 100/s --records 1000/s:5000 --bytes 1MiB/s\n"
        "  tidemill limits set --tenant acme --month-records 100M --streams 20 --disk 50GiB\n"
        "  tidemill limits set --key 1qxy7r0m3n5p2 --bytes none\n"
        "What is not said stays as it is; `none` takes a limit away. Numbers may end in k, M or G.");
    set->callback([this] { chosen_ = [this] { return limits_set(limits_); }; });
    CLI::App* show =
        c->add_subcommand("show", "Show limits and what is left of them (else those of the key that asks)");
    add_owner(show);
    show->footer("Examples:\n  tidemill limits show\n  tidemill limits show --tenant acme");
    show->callback([this] { chosen_ = [this] { return limits_show(limits_); }; });
    CLI::App* list = c->add_subcommand("list", "List who has limits");
    add_remote(list, limits_.remote);
    list->footer("Examples:\n  tidemill limits list");
    list->callback([this] { chosen_ = [this] { return limits_list(limits_); }; });
    CLI::App* remove = c->add_subcommand("remove", "Take all limits of a key or a tenant away");
    add_owner(remove);
    remove->footer("Examples:\n  tidemill limits remove --key 1qxy7r0m3n5p2");
    remove->callback([this] { chosen_ = [this] { return limits_remove(limits_); }; });
  }

  void add_audit() {
    CLI::App* c = add("audit", "List who came, who was turned away, and who changed what",
                      "  tidemill audit --from 24h --action auth.denied\n"
                      "  tidemill audit --key 1qxy7r0m3n5p2\n"
                      "  tidemill audit --action 'key.*' --json\n"
                      "  tidemill audit head >> heads.txt           what `verify --heads` takes; keep it elsewhere",
                      [this] { return audit(audit_); });
    add_remote(c, audit_.remote);
    c->add_option("--key", audit_.key, "Only what this key did, or what was done to it")->type_name("ID");
    c->add_option("--from", audit_.from, "Since then: a time, or how long ago, such as 24h")->type_name("TIME");
    c->add_option("--until", audit_.until, "Before then")->type_name("TIME");
    c->add_option("--action", audit_.action, "Only this action, such as auth.denied; `key.*`: those that begin so")
        ->type_name("ACTION");
    c->add_option("--limit", audit_.limit, "So many events at most")->type_name("N");
    c->add_flag("--json", audit_.json, "One JSON object a line");
    CLI::App* head = c->add_subcommand("head", "Print how far the hash chains of both logs are");
    add_remote(head, audit_.remote);
    head->footer("Examples:\n  tidemill audit head >> heads.txt");
    head->callback([this] { chosen_ = [this] { return audit_head(audit_); }; });
  }

  void add_config() {
    CLI::App* c = app_.add_subcommand("config", "Check a configuration, or compare it with a server");
    c->require_subcommand(1);
    CLI::App* check = c->add_subcommand("check", "Say all that is wrong with a file, without a server");
    check->add_option("file", config_.file, "The TOML file (else the built-in configuration and the environment)");
    check->footer("Examples:\n  tidemill config check tidemill.toml");
    check->callback([this] { chosen_ = [this] { return config_check(config_); }; });
    CLI::App* diff =
        c->add_subcommand("diff", "Show what differs between a file and a running server; exit code 1 if so");
    diff->add_option("file", config_.file, "The TOML file (else the built-in configuration and the environment)");
    diff->footer("Examples:\n  tidemill config diff tidemill.toml\n`tidemill apply` makes the server follow the file.");
    diff->callback([this] { chosen_ = [this] { return config_diff(config_); }; });
    add_remote(diff, config_.remote);
    CLI::App* page = c->add_subcommand("markdown", "Print docs/configuration.md");
    page->group("");
    page->callback([this] { chosen_ = [] { return print(config_markdown()), kOk; }; });

    CLI::App* a = add("apply", "Make a running server's streams and views follow a configuration file",
                      "  tidemill apply tidemill.toml\n"
                      "Creates what is missing and changes what can be changed; it removes nothing.",
                      [this] { return config_apply(config_); });
    a->add_option("file", config_.file, "The TOML file")->required();
    add_remote(a, config_.remote);
  }

  void add_rest() {
    CLI::App* c = add("completion", "Print a completion script for a shell",
                      "  tidemill completion bash > /etc/bash_completion.d/tidemill\n"
                      "  tidemill completion zsh > \"${fpath[1]}/_tidemill\"",
                      [this] { return print_completion(shell_, describe(app_)); });
    words(c->add_option("shell", shell_, "bash or zsh")->required(), {"bash", "zsh"});
    add("man", "Print this program's manual page", "  tidemill man | man -l -",
        [this] { return print(man_page(app_)), kOk; });
    add("version", "Print the version, the commit, and the formats that are read and written", "  tidemill version",
        [] { return print_version(); });
  }

  std::vector<CommandWords> describe(const CLI::App& app) const {
    std::vector<CommandWords> out;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App* a) { return !a->get_group().empty(); })) {
      CommandWords words{command->get_name(), command->get_description(), {}, describe(*command), {}};
      for (const CLI::Option* option : command->get_options()) {
        const auto known = words_.find(option);
        OptionWord word{{}, option->get_description(), option->get_items_expected_max() > 0, {}};
        word.value.files = option->get_type_name() == "FILE";
        word.value.folders = option->get_type_name() == "DIR";
        if (known != words_.end()) word.value.words = known->second;
        for (const std::string& name : option->get_lnames()) {
          word.name = "--" + name;
          words.options.push_back(word);
        }
        if (option->get_positional()) words.argument = word.value;
        if (option->get_positional() && option->get_name(true) == "file") words.argument.files = true;
      }
      out.push_back(std::move(words));
    }
    return out;
  }

  CLI::App app_{"Tidemill: POST JSON in, a durable log, text files and live SQL views out", "tidemill"};
  std::function<int()> chosen_;
  ServeOptions serve_;
  LoadOptions load_;
  SampleOptions sample_;
  PutOptions put_;
  TailOptions tail_;
  SqlOptions sql_;
  ViewOptions view_;
  StreamOptions stream_;
  StatusOptions status_;
  VerifyOptions verify_;
  BackupCommand backup_;
  RestoreCommand restore_;
  KeysOptions keys_;
  LimitsOptions limits_;
  AuditOptions audit_;
  ConfigOptions config_;
  std::string shell_;
  std::map<const CLI::Option*, std::vector<std::string>> words_;
};

}  // namespace

int run(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of write(), reported as such
  return flush_output(Program().run(argc, argv));
}

}  // namespace tidemill::cli

// The commands that bring data in, and show it.
#include "tools/cli/grammar.h"
#include "tools/cli/usage.h"

namespace tidemill::cli {

void Program::add_serve() {
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
  words(setting(c, "--log-format", "log.format", "auto (text on a terminal, else JSON lines), text or json", "FORMAT"),
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

void Program::add_load() {
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
  c->add_option("--retry-for", load_.retry_for, "How long to go on trying a server that is down or asks to wait")
      ->capture_default_str()
      ->type_name("TIME");
  c->add_flag("--resume", load_.resume, "Go on where an interrupted load stopped (FILE.csv.progress)");
  c->add_flag("--again", load_.again, "Load a file once more that is in already");
  c->add_flag("--force", load_.force, "Resume although it may load rows twice");
  c->add_flag("--quiet", load_.quiet, "No progress bar");
}

void Program::add_sample() {
  CLI::App* c = add("sample", "Write an invented CSV file of a shop's sales to standard output",
                    "  tidemill sample --rows 100000 --seed 7 > sales.csv\n"
                    "The same rows and seed give the same bytes on every machine.",
                    [this] { return sample(sample_); });
  c->add_option("--rows", sample_.rows, "How many")->check(refuse_number)->capture_default_str()->type_name("N");
  c->add_option("--seed", sample_.seed, "Which ones")->check(refuse_number)->capture_default_str()->type_name("S");
}

void Program::add_put() {
  CLI::App* c = add("put", "Put one JSON record, or lines of them, into a stream",
                    "  tidemill put '{\"InvoiceNo\":\"999001\",\"Quantity\":3,\"UnitPrice\":2.5}'\n"
                    "  tidemill put --stream orders < orders.ndjson",
                    [this] { return put(put_); });
  add_remote(c, put_.remote);
  c->add_option("record", put_.record, "JSON; - or nothing: lines of JSON from standard input");
  c->add_option("--stream", put_.stream, "Where to")->capture_default_str()->type_name("NAME");
  c->add_option("--partition-key", put_.partition_key, "Instead of the field that the stream names")->type_name("KEY");
  words(c->add_option("--ack", put_.ack, "durable, or view: answer when the views show it")->type_name("LEVEL"),
        {"durable", "view"});
  c->add_option("--idempotency-key", put_.idempotency_key, "The same key again changes nothing")->type_name("KEY");
}

void Program::add_tail() {
  CLI::App* c = add("tail", "Print a stream's records as they come",
                    "  tidemill tail\n"
                    "  tidemill tail --from earliest --limit 10 --no-follow\n"
                    "  tidemill tail --data-only | jq .Quantity",
                    [this] { return tail(tail_); });
  add_remote(c, tail_.remote);
  c->add_option("stream", tail_.stream, "Which one")->capture_default_str();
  words(c->add_option(
             "--from", tail_.from,
             "earliest, latest, a sequence number, a time such as 2011-12-09T12:50:00Z, or how long ago, such as 2d")
            ->capture_default_str()
            ->type_name("POSITION"),
        {"earliest", "latest"}, false);
  c->add_option("--shard", tail_.shard, "Only this one")->type_name("SHARD");
  c->add_option("--limit", tail_.limit, "Stop after so many records")->check(refuse_number)->type_name("N");
  c->add_flag_callback(
      "--no-follow", [this] { tail_.follow = false; }, "Stop at the end instead of waiting for more");
  c->add_flag("--data-only", tail_.data_only, "Only the records' own JSON");
}

void Program::add_sql() {
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
  c->add_option("--at", sql_.at,
                "The views as they were: at the newest kept point up to this record, or this time (2d: two days ago)")
      ->type_name("SEQUENCE|TIME");
  words(c->add_option("--format", sql_.format, "table, csv, ndjson or json (auto: table on a terminal, else csv)")
            ->capture_default_str()
            ->type_name("FORMAT"),
        {"auto", "table", "csv", "ndjson", "json"});
}

void Program::add_view() {
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
  c->add_option("key", view_.key, "Which row; parts of a composite key are joined by commas, or stand in a JSON array");
  c->add_option("--at", view_.at, "The row as it was: up to this record, or by this time (2d: two days ago)")
      ->type_name("SEQUENCE|TIME");
  c->add_option("--prefix", view_.prefix, "Only keys that begin so")->type_name("TEXT");
  c->add_option("--limit", view_.limit, "How many rows")->check(refuse_number)->capture_default_str()->type_name("N");
  CLI::App* create = c->add_subcommand("create", "Define a view");
  create->add_option("view", view_.view, "Its name")->required();
  create->add_option("sql", view_.sql, "SELECT ... FROM a stream ... GROUP BY ...; - or nothing: from standard input");
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

void Program::add_why(CLI::App* c) {
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

void Program::add_watch(CLI::App* c) {
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

void Program::add_quarantine(CLI::App* c) {
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
  quarantine->add_option("--reason", view_.reason, "With all: only records whose reason begins so")->type_name("TEXT");
  quarantine->add_flag("--dry-run", view_.dry_run, "Decide nothing; show the rows as they are and as they would be");
  quarantine->footer(
      "Examples:\n"
      "  tidemill view quarantine customers\n"
      "  tidemill view quarantine spending --edit 3 --data '{\"user\":\"u\",\"amount\":3}' --dry-run\n"
      "  tidemill view quarantine spending --skip all --reason 'sum(amount): text'");
  quarantine->callback([this] { chosen_ = [this] { return view_quarantine(view_); }; });
}

void Program::add_stream() {
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

}  // namespace tidemill::cli

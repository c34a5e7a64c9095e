#include "tools/cli/cli.h"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <functional>

#include "tools/cli/commands.h"
#include "tools/cli/completion.h"
#include "tools/cli/config/config.h"

namespace tidemill::cli {
namespace {

// The command line's grammar, and nothing else: each subcommand's options land in its struct, and `chosen` runs it.
class Program {
 public:
  Program() {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", [] {
      print_version();
      return std::string();
    });
    app_.footer(
        "`tidemill COMMAND --help` says more of each.\n\n"
        "  tidemill load sales.csv              send it a CSV file\n"
        "  tidemill sql 'SELECT * FROM customers ORDER BY revenue DESC LIMIT 5'");
    add_load();
    add_sample();
    add_put();
    add_tail();
    add_sql();
    add_view();
    add_config();
    add_rest();
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
      return app_.exit(e) == 0 ? kOk : kWrongUse;
    }
    return chosen_();
  }

 private:
  CLI::App* add(const char* name, const char* description, const char* examples, std::function<int()> run) {
    CLI::App* command = app_.add_subcommand(name, description);
    command->footer(std::string("Examples:\n") + examples);
    command->callback([this, run = std::move(run)] { chosen_ = run; });
    return command;
  }

  static void add_remote(CLI::App* command, Remote& remote) {
    command->add_option("--url", remote.url, "The server (else API_URL, also from .env; else http://127.0.0.1:7077)")
        ->type_name("URL");
    command->add_option("--key", remote.key, "Sent as Authorization: Bearer (else API_KEY, also from .env)")
        ->type_name("KEY");
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
    c->add_option("--encoding", load_.encoding, "auto, utf-8 or windows-1252")
        ->capture_default_str()
        ->type_name("NAME");
    c->add_option("--delimiter", load_.delimiter, "Between fields: one character, or tab")
        ->capture_default_str()
        ->type_name("CHAR");
    c->add_option("--text", load_.text_columns, "This column is text, whatever it looks like (may be repeated)")
        ->type_name("COLUMN");
    c->add_option("--key-column", load_.key_column,
                  "Rows with the same value here stay in order (default: the stream's partition key)")
        ->type_name("COLUMN");
    c->add_option("--rejects", load_.rejects, "Keep the rows that were rejected in this CSV file")->type_name("FILE");
    c->add_option("--connections", load_.connections, "How many at a time")
        ->check(CLI::Range(1, 4))
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
    c->add_option("--rows", sample_.rows, "How many")->capture_default_str()->type_name("N");
    c->add_option("--seed", sample_.seed, "Which ones")->capture_default_str()->type_name("S");
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
    c->add_option("--ack", put_.ack, "durable, or view: answer when the views show it")->type_name("LEVEL");
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
    c->add_option("--from", tail_.from, "earliest, latest, a sequence number or a time such as 2011-12-09T12:50:00Z")
        ->capture_default_str()
        ->type_name("POSITION");
    c->add_option("--shard", tail_.shard, "Only this one")->type_name("SHARD");
    c->add_option("--limit", tail_.limit, "Stop after so many records")->type_name("N");
    c->add_flag("!--no-follow", tail_.follow, "Stop at the end instead of waiting for more");
    c->add_flag("--data-only", tail_.data_only, "Only the records' own JSON");
  }

  void add_sql() {
    CLI::App* c = add("sql", "Ask the views in SQL",
                      "  tidemill sql 'SELECT country, sum(revenue) FROM customers GROUP BY country'\n"
                      "  tidemill sql --param 17850 'SELECT * FROM customers WHERE customer_id = ?'\n"
                      "  tidemill sql --format csv - < query.sql > result.csv",
                      [this] { return sql(sql_); });
    add_remote(c, sql_.remote);
    c->add_option("statement", sql_.statement, "A SELECT; - or nothing: from standard input");
    c->add_option("--param", sql_.params, "The value of a ? (may be repeated; JSON, else text)")->type_name("VALUE");
    c->add_option("--after", sql_.after, "Wait until the views show this token")->type_name("TOKEN");
    c->add_option("--format", sql_.format, "table, csv, ndjson or json (auto: table on a terminal, else csv)")
        ->check(CLI::IsMember({"auto", "table", "csv", "ndjson", "json"}))
        ->capture_default_str()
        ->type_name("FORMAT");
  }

  void add_view() {
    CLI::App* c = add("view", "Show the views, a view's rows, or one row",
                      "  tidemill view\n"
                      "  tidemill view customers\n"
                      "  tidemill view customers 17850",
                      [this] { return view(view_); });
    add_remote(c, view_.remote);
    c->add_option("view", view_.view, "Which one");
    c->add_option("key", view_.key, "Which row; parts of a composite key are joined by commas");
    c->add_option("--prefix", view_.prefix, "Only keys that begin so")->type_name("TEXT");
    c->add_option("--limit", view_.limit, "How many rows")->capture_default_str()->type_name("N");
  }

  void add_config() {
    CLI::App* c = app_.add_subcommand("config", "Check a configuration, or compare it with a server");
    c->require_subcommand(1);
    CLI::App* check = c->add_subcommand("check", "Say all that is wrong with a file, without a server");
    check->add_option("file", config_.file, "The TOML file (else the built-in configuration and the environment)");
    check->footer("Examples:\n  tidemill config check tidemill.toml");
    check->callback([this] { chosen_ = [this] { return config_check(config_); }; });
    CLI::App* page = c->add_subcommand("markdown", "Print docs/configuration.md");
    page->group("");
    page->callback(
        [this] { chosen_ = [] { return std::fputs(config_markdown().c_str(), stdout) < 0 ? kWrongUse : kOk; }; });
  }

  void add_rest() {
    CLI::App* c = add("completion", "Print a completion script for a shell",
                      "  tidemill completion bash > /etc/bash_completion.d/tidemill\n"
                      "  tidemill completion zsh > \"${fpath[1]}/_tidemill\"",
                      [this] { return print_completion(shell_, describe(app_)); });
    c->add_option("shell", shell_, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}));
    add("version", "Print the version, the commit, and the formats that are read and written", "  tidemill version",
        [] { return print_version(); });
  }

  static std::vector<CommandWords> describe(const CLI::App& app) {
    std::vector<CommandWords> out;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App* a) { return !a->get_group().empty(); })) {
      CommandWords words{command->get_name(), command->get_description(), {}, describe(*command), false};
      for (const CLI::Option* option : command->get_options()) {
        for (const std::string& name : option->get_lnames())
          words.options.push_back({"--" + name, option->get_description(), option->get_items_expected_max() > 0});
        if (option->get_positional() && option->get_name(true) == "file") words.files = true;
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
  StatusOptions status_;
  ConfigOptions config_;
  std::string shell_;
};

}  // namespace

int run(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of write(), reported as such
  return Program().run(argc, argv);
}

}  // namespace tidemill::cli

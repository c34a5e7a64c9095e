#include "tools/cli/cli.h"

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "tools/cli/config/config.h"
#include "tools/cli/grammar.h"
#include "tools/cli/man_page.h"
#include "tools/cli/output.h"
#include "tools/cli/usage.h"

namespace tidemill::cli {

Program::Program() {
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

int Program::run(int argc, char** argv) {
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

CLI::App* Program::add(const char* name, const char* description, const char* examples, std::function<int()> run) {
  CLI::App* command = app_.add_subcommand(name, description);
  command->footer(std::string("Examples:\n") + examples);
  command->callback([this, command, run = std::move(run)] {
    if (command->get_subcommands().empty()) chosen_ = run;  // else a subcommand of its own was chosen before
  });
  return command;
}

void Program::take_last(CLI::App& app) {
  for (CLI::Option* option : app.get_options())
    if (!option->get_positional() && option->get_items_expected_max() == 1)
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) take_last(*command);
}

void Program::words(CLI::Option* option, std::vector<std::string> known, bool checked) {
  if (checked)
    option->check([known](const std::string& value) {
      if (std::find(known.begin(), known.end(), value) != known.end()) return std::string();
      std::string list;
      for (const std::string& word : known) list += (list.empty() ? "" : ", ") + word;
      return "must be one of " + list + ", not '" + value + "'";
    });
  words_[option] = std::move(known);
}

void Program::add_remote(CLI::App* command, Remote& remote) {
  command->add_option("--url", remote.url, "The server (else API_URL, also from .env; else http://127.0.0.1:7077)")
      ->type_name("URL");
  add_access(command, remote);
}

void Program::add_access(CLI::App* command, Remote& remote) {
  command
      ->add_option("--key-file", remote.key_file,
                   "A file that holds the key (else TIDEMILL_KEY or API_KEY, also from .env)")
      ->type_name("FILE");
  command
      ->add_option("--ca-file", remote.ca_file,
                   "Of https: the authority to believe, in PEM (else TIDEMILL_CA_FILE, also from .env; else the "
                   "system's)")
      ->type_name("FILE");
  command
      ->add_option("--tls-fingerprint", remote.tls_fingerprint,
                   "Of https: believe the certificate of this SHA-256 and no other (else TIDEMILL_TLS_FINGERPRINT)")
      ->type_name("HEX");
  command
      ->add_option("--cert-file", remote.cert_file,
                   "Of https: a certificate to show the server, in PEM (else TIDEMILL_CERT_FILE, also from .env)")
      ->type_name("FILE");
  command
      ->add_option("--cert-key-file", remote.cert_key_file,
                   "The private key of that certificate, in PEM (else TIDEMILL_CERT_KEY_FILE, also from .env)")
      ->type_name("FILE");
}

CLI::Option* Program::setting(CLI::App* command, const char* flag, const char* key, const char* help,
                              const char* type) {
  return command
      ->add_option_function<std::string>(
          flag, [this, key](const std::string& value) { serve_.settings.emplace_back(key, value); }, help)
      ->type_name(type);
}

void Program::add_config() {
  CLI::App* c = app_.add_subcommand("config", "Check a configuration, or compare it with a server");
  c->require_subcommand(1);
  c->footer(
      "Examples:\n"
      "  tidemill config check tidemill.toml\n"
      "  tidemill config diff tidemill.toml\n"
      "`tidemill config COMMAND --help` says more of each.");
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

void Program::add_rest() {
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

std::vector<CommandWords> Program::describe(const CLI::App& app) const {
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

int run(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of write(), reported as such
  return flush_output(Program().run(argc, argv));
}

}  // namespace tidemill::cli

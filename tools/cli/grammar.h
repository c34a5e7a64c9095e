#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tools/cli/commands.h"
#include "tools/cli/completion.h"
#include "tools/cli/limits/options.h"

namespace tidemill::cli {

// The command line's grammar, and nothing else: each subcommand's options land in its struct, and `chosen` runs it.
// Heavy: for the grammar's own files only.
class Program {
 public:
  Program();
  int run(int argc, char** argv);

 private:
  CLI::App* add(const char* name, const char* description, const char* examples, std::function<int()> run);
  // A flag that comes twice: the last one holds, so that an alias can be overridden.
  static void take_last(CLI::App& app);
  // What may be said here; `checked` where nobody else says so. Completion offers these words.
  void words(CLI::Option* option, std::vector<std::string> known, bool checked = true);
  // The key, and which server of https to believe.
  static void add_access(CLI::App* command, Remote& remote);
  static void add_remote(CLI::App* command, Remote& remote);
  CLI::Option* setting(CLI::App* command, const char* flag, const char* key, const char* help, const char* type);

  // grammar_data.cc
  void add_serve();
  void add_load();
  void add_sample();
  void add_put();
  void add_tail();
  void add_sql();
  void add_view();
  void add_why(CLI::App* c);
  void add_watch(CLI::App* c);
  void add_quarantine(CLI::App* c);
  void add_stream();

  // grammar_care.cc
  void add_status();
  void add_verify();
  void add_backup();
  void add_keys();
  void add_limits();
  void add_audit();

  void add_config();
  void add_rest();
  std::vector<CommandWords> describe(const CLI::App& app) const;

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

}  // namespace tidemill::cli

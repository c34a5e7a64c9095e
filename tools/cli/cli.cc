#include "tools/cli/cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>

namespace tidemill::cli {

int run(int argc, char** argv) {
  CLI::App app("Tidemill: POST JSON, durable log, text files and live SQL views", "tidemill");
  app.require_subcommand(1);
  bool version = false;
  app.add_subcommand("version", "Print the version")->callback([&] { version = true; });
  CLI11_PARSE(app, argc, argv);
  if (version) std::puts("tidemill 0.1.0");
  return 0;
}

}  // namespace tidemill::cli

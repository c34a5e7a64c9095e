#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace tidemill::cli {

// Says on standard error what is wrong with the command line, as "tidemill COMMAND: ...", with the nearest thing that
// there is, and gives the exit code. `app` is the whole program after it failed to parse.
int refuse_command_line(const CLI::App& app, const CLI::ParseError& error);

// A whole number, as a check of an option.
std::string refuse_number(const std::string& text);

}  // namespace tidemill::cli

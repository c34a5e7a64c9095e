#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace tidemill::cli {

// The program's manual page, section 1, in man(7)'s language: what --help says of each command, word for word.
std::string man_page(const CLI::App& app);

}  // namespace tidemill::cli

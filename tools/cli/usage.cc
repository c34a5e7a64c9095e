#include "tools/cli/usage.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "tools/cli/commands.h"
#include "tools/cli/config/keys.h"
#include "tools/cli/keys/named_key.h"
#include "tools/cli/remote.h"

namespace tidemill::cli {
namespace {

std::string meant(const std::string& word, const std::vector<std::string>& names) {
  const std::vector<std::string_view> known(names.begin(), names.end());
  const std::string_view near = nearest(word, known);
  return near.empty() ? "" : "; did you mean '" + std::string(near) + "'?";
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* a) { return !a->get_group().empty(); }))
    names.push_back(command->get_name());
  return names;
}

std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace

int refuse_command_line(const CLI::App& app, const CLI::ParseError& error) {
  // The command that was meant, as far as it was understood, and the first word that nothing was known to do with.
  const CLI::App* command = &app;
  std::string name, word;
  const CLI::App* where = nullptr;  // whose word that is
  while (true) {
    for (const std::string& left : command->remaining(false)) {
      const bool better = left.starts_with('-') && !word.starts_with('-');
      if (!word.empty() && !better) continue;
      word = left;
      where = command;
    }
    const auto deeper = command->get_subcommands();
    if (deeper.empty()) break;
    command = deeper.back();
    name += (name.empty() ? "" : " ") + command->get_name();
  }
  const std::string help = "; see `tidemill " + (name.empty() ? "" : name + " ") + "--help`";
  const auto refuse = [&](const std::string& message) {
    if (!name.empty()) return wrong_use(name, message);
    std::fprintf(stderr, "tidemill: %s\n", without_keys(message).c_str());
    return static_cast<int>(kWrongUse);
  };

  const auto commands = commands_of(*command);
  const auto flags = flags_of(*command);
  const bool flag = word.starts_with('-') && word != "-";
  if (flag) {
    const std::string bare = word.substr(0, word.find('='));
    if (where != command && std::find(flags.begin(), flags.end(), bare) != flags.end())
      return refuse(bare + " belongs behind the command: tidemill " + name + " " + bare + " ...");
    if (bare == "--key" && std::find(flags.begin(), flags.end(), "--key-file") != flags.end())
      return refuse(
          "there is no flag --key: what is on a command line is seen by others of this machine; --key-file names a "
          "file that holds the key, or TIDEMILL_KEY has it");
    const std::string near = meant(bare, flags);
    return refuse("there is no flag " + bare + (near.empty() ? help : near));
  }
  if (!commands.empty() && !word.empty()) {
    const std::string near = meant(word, commands);
    return refuse("there is no command '" + word + "'" + (near.empty() ? help : near));
  }
  const std::string what = error.what();
  if (dynamic_cast<const CLI::RequiredError*>(&error)) {
    if (!commands.empty()) return refuse("which of " + listed(commands) + "?");
    return refuse(what + help);
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) && !word.empty())
    return refuse("'" + word + "' is one argument too many" + help);
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error))
    return refuse(what.substr(0, what.find(':')) + " needs a value");
  return refuse(what);
}

std::string refuse_number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return {};
  return "must be a whole number, not '" + text + "'";
}

}  // namespace tidemill::cli

#pragma once

#include <string>
#include <vector>

namespace tidemill::cli {

// The command line's words, as the shells' completion wants them; taken from the parser itself, so that they are true.
struct ValueWords {
  std::vector<std::string> words;  // what may be said there, where that is known
  bool files = false;
  bool folders = false;
};
struct OptionWord {
  std::string name;  // --stream
  std::string description;
  bool takes_value = false;
  ValueWords value;
};
struct CommandWords {
  std::string name;
  std::string description;
  std::vector<OptionWord> options;
  std::vector<CommandWords> commands;
  ValueWords argument;  // of its own, without a flag
};

std::string bash_completion(const std::vector<CommandWords>& commands);
std::string zsh_completion(const std::vector<CommandWords>& commands);
int print_completion(const std::string& shell, const std::vector<CommandWords>& commands);

}  // namespace tidemill::cli

#pragma once

#include <string>
#include <vector>

namespace tidemill::cli {

// The command line's words, as the shells' completion wants them; taken from the parser itself, so that they are true.
struct OptionWord {
  std::string name;  // --stream
  std::string description;
  bool takes_value = false;
};
struct CommandWords {
  std::string name;
  std::string description;
  std::vector<OptionWord> options;
  std::vector<CommandWords> commands;
  bool files = false;  // takes a file name
};

std::string bash_completion(const std::vector<CommandWords>& commands);
std::string zsh_completion(const std::vector<CommandWords>& commands);
int print_completion(const std::string& shell, const std::vector<CommandWords>& commands);

}  // namespace tidemill::cli

#include "tools/cli/completion.h"

#include "tools/cli/commands.h"
#include "tools/cli/output.h"

namespace tidemill::cli {
namespace {

std::string joined(const std::vector<std::string>& words, const char* separator = " ") {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : separator) + word;
  return out;
}

std::vector<std::string> names_of(const std::vector<CommandWords>& commands) {
  std::vector<std::string> names;
  for (const CommandWords& c : commands) names.push_back(c.name);
  return names;
}

std::string bash_value(const ValueWords& value) {
  return "words='" + joined(value.words) + "'" + (value.files ? " files=-f" : value.folders ? " files=-d" : "");
}

// The lines of two `case`s: what stands behind a flag, and what stands by itself.
void bash_cases(const std::vector<CommandWords>& commands, const std::string& before, std::string& behind,
                std::string& alone) {
  for (const CommandWords& c : commands) {
    const std::string command = before + c.name;
    std::string nothing;  // flags whose value nobody can guess
    std::vector<std::string> flags;
    for (const OptionWord& o : c.options) {
      flags.push_back(o.name);
      if (!o.takes_value) continue;
      if (o.value.words.empty() && !o.value.files && !o.value.folders) {
        nothing += (nothing.empty() ? "'" : "|'") + command + " " + o.name + "'";
      } else {
        behind += "    '" + command + " " + o.name + "') " + bash_value(o.value) + " ;;\n";
      }
    }
    if (!nothing.empty()) behind += "    " + nothing + ") ;;\n";
    ValueWords argument = c.argument;
    for (const CommandWords& sub : c.commands) argument.words.push_back(sub.name);
    alone += "      '" + command + "') " + bash_value(argument) + " flags='" + joined(flags) + "' ;;\n";
    bash_cases(c.commands, command + " ", behind, alone);
  }
}

// For a single-quoted word of zsh's _describe and _arguments.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else if (c == ':' || c == '[' || c == ']') {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string zsh_value(const ValueWords& value) {
  if (!value.words.empty()) return "(" + joined(value.words) + ")";
  return value.files ? "_files" : value.folders ? "_files -/" : " ";
}

std::string zsh_commands(const std::vector<CommandWords>& commands, const std::string& indent) {
  std::string out = indent + "local -a commands=(\n";
  for (const CommandWords& c : commands) out += indent + "  '" + c.name + ":" + zsh_text(c.description) + "'\n";
  return out + indent + ")\n" + indent + "_describe command commands\n";
}

void zsh_arguments(const CommandWords& c, const std::string& indent, std::string& out) {
  out += indent + "_arguments";
  if (!c.commands.empty()) out += " -C '1:command:->command' '*::argument:->argument'";
  for (const OptionWord& o : c.options)
    out += " \\\n" + indent + "  '" + o.name + "[" + zsh_text(o.description) + "]" +
           (o.takes_value ? ":value:" + zsh_value(o.value) : "") + "'";
  if (c.commands.empty() && (!c.argument.words.empty() || c.argument.files))
    out += " \\\n" + indent + "  '1:argument:" + zsh_value(c.argument) + "'";
  out += "\n";
  if (c.commands.empty()) return;
  out += indent + "case $state in\n" + indent + "  command)\n" + zsh_commands(c.commands, indent + "    ") + indent +
         "    ;;\n" + indent + "  argument)\n" + indent + "    case $line[1] in\n";
  for (const CommandWords& sub : c.commands) {
    out += indent + "      " + sub.name + ")\n";
    zsh_arguments(sub, indent + "        ", out);
    out += indent + "        ;;\n";
  }
  out += indent + "    esac\n" + indent + "    ;;\n" + indent + "esac\n";
}

}  // namespace

std::string bash_completion(const std::vector<CommandWords>& commands) {
  std::string nested, behind, alone;
  for (const CommandWords& c : commands)
    for (const CommandWords& sub : c.commands) nested += (nested.empty() ? "'" : "|'") + c.name + " " + sub.name + "'";
  bash_cases(commands, "", behind, alone);
  return "# bash completion for tidemill; made by `tidemill completion bash`\n"
         "_tidemill() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  local command= words= flags= files=\n"
         "  if [ \"$current\" = = ]; then current=\n"  // --flag=value comes in three words
         "  elif [ \"$previous\" = = ]; then previous=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
         "  [ \"$COMP_CWORD\" -lt 2 ] || command=${COMP_WORDS[1]}\n"
         "  if [ \"$COMP_CWORD\" -gt 2 ]; then\n"
         "    case \"$command ${COMP_WORDS[2]}\" in " +
         (nested.empty() ? "''" : nested) +
         ") command=\"$command ${COMP_WORDS[2]}\" ;; esac\n"
         "  fi\n"
         "  case \"$command $previous\" in\n" +
         behind +
         "    *)\n"
         "      case $command in\n"
         "      '') words='" +
         joined(names_of(commands)) + "' flags='--help --version' ;;\n" + alone +
         "      esac\n"
         "      case $current in -*) words=$flags files= ;; '') [ -n \"$words$files\" ] || words=$flags ;; esac ;;\n"
         "  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\"; [ -z \"$files\" ] || compgen $files -- "
         "\"$current\")\n"
         "  [ -z \"$files\" ] || compopt -o filenames 2>/dev/null\n"
         "}\n"
         "complete -F _tidemill tidemill\n";
}

std::string zsh_completion(const std::vector<CommandWords>& commands) {
  std::string out =
      "#compdef tidemill\n"
      "# zsh completion for tidemill; made by `tidemill completion zsh`\n"
      "_tidemill() {\n"
      "  local state\n"
      "  local -a line\n";
  const CommandWords top{"tidemill",
                         "",
                         {{"--help", "Say what there is", false, {}}, {"--version", "Say which version", false, {}}},
                         commands,
                         {}};
  zsh_arguments(top, "  ", out);
  return out + "}\n_tidemill \"$@\"\n";
}

int print_completion(const std::string& shell, const std::vector<CommandWords>& commands) {
  print(shell == "zsh" ? zsh_completion(commands) : bash_completion(commands));
  return kOk;
}

}  // namespace tidemill::cli

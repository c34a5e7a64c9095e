#include "tools/cli/completion.h"

#include <cstdio>

#include "tools/cli/commands.h"

namespace tidemill::cli {
namespace {

std::string words(const CommandWords& command) {
  std::string out;
  for (const CommandWords& c : command.commands) out += (out.empty() ? "" : " ") + c.name;
  for (const OptionWord& o : command.options) out += (out.empty() ? "" : " ") + o.name;
  return out;
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

}  // namespace

std::string bash_completion(const std::vector<CommandWords>& commands) {
  std::string top;
  for (const CommandWords& c : commands) top += (top.empty() ? "" : " ") + c.name;
  std::string out =
      "# bash completion for tidemill; made by `tidemill completion bash`\n"
      "_tidemill() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words= files=\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    COMPREPLY=($(compgen -W '" +
      top +
      " --help --version' -- \"$current\"))\n"
      "    return\n"
      "  fi\n"
      "  case $previous in\n"
      "    --config|--rejects) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
      "    --data) COMPREPLY=($(compgen -d -- \"$current\")); return ;;\n"
      "  esac\n"
      "  case ${COMP_WORDS[1]} in\n";
  for (const CommandWords& c : commands) {
    out += "    " + c.name + ") words='" + words(c) + "'";
    if (c.files) out += " files=yes";
    if (!c.commands.empty()) {
      out += "\n      if [ \"$COMP_CWORD\" -gt 2 ]; then\n        case ${COMP_WORDS[2]} in\n";
      for (const CommandWords& s : c.commands)
        out += "          " + s.name + ") words='" + words(s) + "'" + (s.files ? " files=yes" : "") + " ;;\n";
      out += "        esac\n      fi";
    }
    out += " ;;\n";
  }
  out +=
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "  case $current in -*) ;; *) [ -z \"$files\" ] || COMPREPLY+=($(compgen -f -- \"$current\")) ;; esac\n"
      "}\n"
      "complete -o filenames -F _tidemill tidemill\n";
  return out;
}

std::string zsh_completion(const std::vector<CommandWords>& commands) {
  std::string out =
      "#compdef tidemill\n"
      "# zsh completion for tidemill; made by `tidemill completion zsh`\n"
      "_tidemill() {\n"
      "  local -a commands\n"
      "  commands=(\n";
  for (const CommandWords& c : commands) out += "    '" + c.name + ":" + zsh_text(c.description) + "'\n";
  out +=
      "  )\n"
      "  if (( CURRENT == 2 )); then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "  case $words[2] in\n";
  for (const CommandWords& c : commands) {
    out += "    " + c.name + ")\n      _arguments -s";
    if (!c.commands.empty()) {
      out += " '2:command:(";
      for (const CommandWords& s : c.commands) out += (out.back() == '(' ? "" : " ") + s.name;
      out += ")'";
    }
    for (const OptionWord& o : c.options)
      out += " \\\n        '" + o.name + "[" + zsh_text(o.description) + "]" + (o.takes_value ? ":value:_files" : "") +
             "'";
    if (c.files) out += " \\\n        '*:file:_files'";
    out += "\n      ;;\n";
  }
  out += "  esac\n}\n_tidemill \"$@\"\n";
  return out;
}

int print_completion(const std::string& shell, const std::vector<CommandWords>& commands) {
  const std::string script = shell == "zsh" ? zsh_completion(commands) : bash_completion(commands);
  return std::fputs(script.c_str(), stdout) < 0 ? kWrongUse : kOk;
}

}  // namespace tidemill::cli

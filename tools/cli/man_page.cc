#include "tools/cli/man_page.h"

#include <algorithm>
#include <cctype>

#include "storage/base/build_info.h"

namespace tidemill::cli {
namespace {

// Text for man(7): a backslash is an escape there, a hyphen may come out as a typographic one, and a dot or an
// apostrophe that begins a line is a request.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool begins_line = out.empty() || out.back() == '\n';
    if (begins_line && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

void add_command(const CLI::App& command, const std::string& before, std::string& out) {
  if (command.get_group().empty()) return;  // not for people
  const std::string name = before + " " + command.get_name();
  std::string help = command.help(before);
  while (!help.empty() && (help.back() == '\n' || help.back() == ' ')) help.pop_back();
  out += ".SS " + escaped(name) + "\n.nf\n" + escaped(help) + "\n.fi\n";
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; }))
    add_command(*sub, name, out);
}

}  // namespace

std::string man_page(const CLI::App& app) {
  std::string name = app.get_name(), title = name;
  std::transform(title.begin(), title.end(), title.begin(), [](unsigned char c) { return std::toupper(c); });
  std::string out = ".\\\" Made by `" + name + " man`.\n.TH " + title + " 1 \"\" \"" + name + " " +
                    std::string(version()) + "\" \"User Commands\"\n.SH NAME\n" + name +
                    " \\- a durable log with text files and live SQL views\n.SH SYNOPSIS\n.B " + name +
                    "\n.I COMMAND\n[options]\n.SH DESCRIPTION\n" + escaped(app.get_description()) +
                    ".\nProducers POST JSON; it is on disk before they get their answer.\n.SH COMMANDS\n";
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    add_command(*command, name, out);
  out +=
      ".SH EXIT STATUS\n"
      "0: done. 1: partly; something needs a hand. 2: wrong use: the command line, a file, the configuration, or what "
      "the server refuses. 3: the server was not reached; serve could not start. 4: interrupted.\n"
      ".SH FILES\n.TP\n.I /etc/tidemill/tidemill.toml\nthe configuration of the service\n"
      ".TP\n.I /var/lib/tidemill\nits data\n"
      ".TP\n.I /usr/share/doc/tidemill\neverything else; operations.md is for whoever runs it\n";
  return out;
}

}  // namespace tidemill::cli

#include "tools/cli/config/config.h"
#include "tools/cli/config/keys.h"

namespace tidemill::cli {
namespace {

std::string_view type_name(FieldType type) {
  switch (type) {
    case FieldType::integer:
      return "integer";
    case FieldType::number:
      return "number";
    case FieldType::text:
      break;
  }
  return "text";
}

// A bare key where TOML allows one.
std::string toml_key(const std::string& name) {
  constexpr std::string_view kBare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  if (!name.empty() && name.find_first_not_of(kBare) == name.npos) return name;
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// `text` in lines of at most 100 bytes behind `# `.
std::string comment(std::string_view text) {
  std::string out = "#";
  std::size_t width = 1;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (width + 1 + word.size() > 100) {
      out += "\n#";
      width = 1;
    }
    out += ' ';
    out += word;
    width += 1 + word.size();
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return out + '\n';
}

template <class T>
std::string about(const Key<T>& key) {
  std::string text(key.comment);
  if (!key.choices.empty()) text += " One of: " + std::string(key.choices) + ".";
  return text;
}

template <class T>
std::string range(const Key<T>& key) {
  if (key.type == KeyType::choice) {
    std::string out;
    for (const char c : key.choices) out += c == ' ' ? std::string(", ") : std::string(1, c);
    return out;
  }
  if (key.type != KeyType::integer && key.type != KeyType::size && key.type != KeyType::duration) return "";
  const auto show = [&](std::uint64_t v) {
    if (key.type == KeyType::size) return format_size(v);
    if (key.type == KeyType::duration) return format_duration(std::chrono::milliseconds(v));
    return std::to_string(v);
  };
  const std::string off = key.off ? "off, or " : "";
  if (key.max == ~std::uint64_t{0}) return key.min == 0 ? "" : off + "from " + show(key.min);
  return off + show(key.min) + " to " + show(key.max);
}

std::string_view type_name(KeyType type) {
  switch (type) {
    case KeyType::text:
      return "text";
    case KeyType::choice:
      return "one of";
    case KeyType::boolean:
      return "true or false";
    case KeyType::integer:
      return "integer";
    case KeyType::size:
      return "size";
    case KeyType::duration:
      return "duration";
    case KeyType::address:
      return "address:port";
  }
  return "";
}

template <class T>
std::string row(const Key<T>& key, bool fixed) {
  std::string default_value = key.default_value.empty() ? "none" : "`" + std::string(key.default_value) + "`";
  std::string out = "| `" + std::string(key.name) + "` | " + std::string(type_name(key.type)) + " | " + default_value +
                    " | " + range(key) + " | " + std::string(key.comment) + " |";
  if (fixed) out += key.live ? " SIGHUP |" : " restart |";
  return out + '\n';
}

}  // namespace

std::string print_config(const Config& config) {
  std::string out;
  std::string_view section;
  for (const auto& key : config_keys()) {
    const std::size_t dot = key.name.find('.');
    if (key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      out += (out.empty() ? "[" : "\n[") + std::string(section) + "]\n";
    }
    out += comment(about(key));
    out += std::string(key.name.substr(dot + 1)) + " = " + get_as_toml(key, config) + "\n";
  }
  if (config.streams.empty() && config.views.empty())
    out += "\n# No streams and views but those that exist.\n[streams]\n";
  for (const StreamConfig& stream : config.streams) {
    out += "\n[streams." + toml_key(stream.name) + "]\n";
    for (const auto& key : stream_keys()) {
      out += comment(about(key));
      out += std::string(key.name) + " = " + get_as_toml(key, stream) + "\n";
    }
    out += comment(fields_comment());
    out += "fields = {";
    bool first = true;
    for (const auto& [name, type] : stream.fields) {
      out += (first ? " " : ", ") + toml_key(name) + " = \"" + std::string(type_name(type)) + "\"";
      first = false;
    }
    out += first ? "}\n" : " }\n";
  }
  for (const ViewConfig& view : config.views) {
    out += "\n[views." + toml_key(view.name) + "]\n";
    for (const auto& key : view_keys()) {
      out += comment(about(key));
      out += std::string(key.name) + " = " + get_as_toml(key, view) + "\n";
    }
  }
  return out;
}

std::string config_markdown() {
  std::string out =
      "<!-- Made by `tidemill config markdown` from the table in tools/cli/config/keys.cc; a test holds it. -->\n"
      "# Configuration\n\n"
      "`tidemill serve` needs no configuration. `tidemill serve --config FILE.toml` reads one; `--print-config` "
      "prints\n"
      "the whole effective configuration with a comment on each key, and what it prints can be used as a file.\n\n"
      "- What is not in the file has its default. A file that has a `[streams.…]` or `[views.…]` table names all the\n"
      "  streams and views that are made at start; without any, the built-in ones are made (the stream `retail`, the\n"
      "  views `customers` and `invoices`).\n"
      "- The file *creates what is missing*. What exists is changed by the API or by `tidemill apply FILE` only. A\n"
      "  difference between file and store is logged at start and shown by `tidemill config diff FILE`.\n"
      "- `TIDEMILL_SERVER_LISTEN=…` and so on (section and key in capitals, joined by `_`) override the file; flags\n"
      "  override both.\n"
      "- An unknown key is an error that names the line and the nearest known key. `tidemill config check FILE` says\n"
      "  all that is wrong with a file, without a server.\n"
      "- After `SIGHUP` the server reads file and environment again, takes over what can be changed while it runs\n"
      "  (marked *SIGHUP* below) and says what needs a restart.\n\n"
      "Sizes are written `\"256MiB\"` (B, KiB, MiB, GiB, TiB, or KB, MB, GB of a thousand; a bare number is bytes),\n"
      "durations `\"60s\"` (ms, s, m, h, d).\n\n"
      "| key | type | default | range | what it is | taken over |\n| --- | --- | --- | --- | --- | --- |\n";
  for (const auto& key : config_keys()) out += row(key, true);
  out +=
      "\n## `[streams.NAME]`\n\n"
      "A stream of the tenant `default` that is made when it is missing. A name is 1 to 128 of `A-Z a-z 0-9 _ . -`; a "
      "leading `_` is ours.\n\n"
      "| key | type | default | range | what it is |\n| --- | --- | --- | --- | --- |\n";
  for (const auto& key : stream_keys()) out += row(key, false);
  out += "| `fields` | table | none |  | " + std::string(fields_comment()) + " |\n";
  out +=
      "\n## `[views.NAME]`\n\n"
      "A view of the same tenant that is made when it is missing. Names are SQL identifiers.\n\n"
      "| key | type | default | range | what it is |\n| --- | --- | --- | --- | --- |\n";
  for (const auto& key : view_keys()) out += row(key, false);
  out += "\n## The built-in configuration\n\n```toml\n" + print_config(default_config()) + "```\n";
  return out;
}

ConfigChange compare(const Config& before, const Config& after) {
  ConfigChange change;
  for (const auto& key : config_keys())
    if (get_as_toml(key, before) != get_as_toml(key, after))
      (key.live ? change.live : change.restart).emplace_back(key.name);
  return change;
}

Config take_live(const Config& running, const Config& fresh) {
  Config config = running;
  for (const auto& key : config_keys())
    if (key.live) std::visit([&](auto member) { config.*member = fresh.*member; }, key.member);
  return config;
}

}  // namespace tidemill::cli

#include <toml++/toml.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "consumers/views/definition.h"
#include "tools/cli/config/config.h"
#include "tools/cli/config/keys.h"

extern char** environ;

namespace tidemill::cli {
namespace {

// As far as it can be said without a server, which knows the streams.
std::optional<std::string> wrong_with(const std::string& sql) {
  constexpr std::string_view builtin = "builtin:";
  if (sql.empty()) return std::nullopt;
  if (sql.starts_with(builtin)) {
    if (views::builtin_sql(std::string_view(sql).substr(builtin.size()))) return std::nullopt;
    std::string names;
    for (const auto name : views::builtin_names()) names.append(names.empty() ? "" : ", ").append(name);
    return "there is no built-in view of that name; there are " + names;
  }
  const auto parts = views::split(sql);
  const auto* error = std::get_if<views::SqlError>(&parts);
  return error ? std::optional(error->message) : std::nullopt;
}

constexpr std::string_view kFieldTypes = "text|integer|number";

// Walks the TOML tree and says of everything that it does not know or like in which line it stands.
class Parser {
 public:
  explicit Parser(std::string file) : file_(std::move(file)) {}

  void walk(const toml::table& root, Config& config) {
    for (const auto& [key, node] : root) {
      const std::string name(key.str());
      if (name == "streams") {
        each_table(node, "streams", [&](const std::string& stream, const toml::table& table) {
          StreamConfig s;
          s.name = stream;
          set_defaults(stream_keys(), s);
          if (!valid_stream_name(stream))
            complain(table, "stream name '" + stream + "' must be 1 to 128 of A-Z a-z 0-9 _ . - and not begin with _");
          settings(table, "", "streams." + stream + ".", stream_keys(), s,
                   [&](const std::string& k, const toml::node& n) {
                     if (k != "fields") return false;
                     fields(n, s);
                     return true;
                   });
          config.streams.push_back(std::move(s));
        });
      } else if (name == "views") {
        each_table(node, "views", [&](const std::string& view, const toml::table& table) {
          ViewConfig v;
          v.name = view;
          settings(table, "", "views." + view + ".", view_keys(), v,
                   [](const std::string&, const toml::node&) { return false; });
          if (v.sql.empty() && !table.contains("sql"))
            complain(table,
                     "view '" + view + "' has no sql; write sql = \"SELECT ...\" or sql = \"builtin:customers\"");
          if (const auto wrong = wrong_with(v.sql)) complain(*table.get("sql"), "view '" + view + "': " + *wrong);
          config.views.push_back(std::move(v));
        });
      } else {
        setting(name, "", node, config_keys(), config, [](const std::string&, const toml::node&) { return false; });
      }
    }
  }

  // In the order of the file; TOML's tables are ordered by name.
  void report(ConfigErrors& errors) {
    std::stable_sort(found_.begin(), found_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [line, message] : found_) errors.push_back(file_ + ":" + std::to_string(line) + ": " + message);
  }

  void complain(const toml::source_region& where, const std::string& message) {
    found_.emplace_back(where.begin.line, message);
  }
  void complain(const toml::node& where, const std::string& message) { complain(where.source(), message); }

 private:
  static bool valid_stream_name(std::string_view n) {
    return !n.empty() && n.size() <= 128 && n[0] != '_' &&
           n.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == n.npos;
  }

  template <class F>
  void each_table(const toml::node& node, const std::string& name, F&& use) {
    const toml::table* all = node.as_table();
    if (!all) return complain(node, "'" + name + "' must be a table: write [" + name + ".NAME]");
    for (const auto& [key, child] : *all) {
      if (const toml::table* table = child.as_table()) {
        use(std::string(key.str()), *table);
      } else {
        complain(child, "'" + name + "." + std::string(key.str()) + "' must be a table: write [" + name + ".NAME]");
      }
    }
  }

  void fields(const toml::node& node, StreamConfig& s) {
    const toml::table* table = node.as_table();
    if (!table) return complain(node, "'fields' must be a table such as { Quantity = \"integer\" }");
    for (const auto& [key, value] : *table) {
      const std::string type = value.value_or(std::string());
      FieldType t = FieldType::text;
      if (type == "integer") {
        t = FieldType::integer;
      } else if (type == "number") {
        t = FieldType::number;
      } else if (type != "text") {
        complain(value,
                 "the type of field '" + std::string(key.str()) + "' must be one of " + std::string(kFieldTypes));
      }
      s.fields.emplace(std::string(key.str()), t);
    }
  }

  template <class T, class Other>
  void settings(const toml::table& table, const std::string& prefix, const std::string& shown,
                std::span<const Key<T>> keys, T& into, Other&& other) {
    for (const auto& [key, node] : table) setting(prefix + std::string(key.str()), shown, node, keys, into, other);
  }

  // `name` is what the table of keys calls it; `shown` what stands before it in messages.
  template <class T, class Other>
  void setting(const std::string& name, const std::string& shown, const toml::node& node, std::span<const Key<T>> keys,
               T& into, Other&& other) {
    if (other(name, node)) return;
    for (const Key<T>& key : keys) {
      if (key.name != name) continue;
      if (const auto text = text_of(key.type, node)) {
        if (const auto wrong = set_from_text(key, *text, into)) complain(node, "'" + shown + name + "' " + *wrong);
      } else {
        complain(node, "'" + shown + name + "' " + wanted(key.type));
      }
      return;
    }
    const bool section =
        std::any_of(keys.begin(), keys.end(), [&](const Key<T>& k) { return k.name.starts_with(name + "."); });
    if (section) {
      if (const toml::table* table = node.as_table()) return settings(*table, name + ".", shown, keys, into, other);
      return complain(node, "'" + shown + name + "' must be a table");
    }
    std::vector<std::string_view> known;
    for (const Key<T>& key : keys) known.push_back(key.name);
    if (std::is_same_v<T, StreamConfig>) known.push_back("fields");
    std::set<std::string> sections;
    for (const Key<T>& key : keys)
      if (const auto dot = key.name.find('.'); dot != key.name.npos) sections.emplace(key.name.substr(0, dot));
    if (std::is_same_v<T, Config>) sections.insert({"streams", "views"});
    if (node.is_table()) known.assign(sections.begin(), sections.end());
    const std::string_view near = nearest(name, known);
    complain(node, std::string(node.is_table() ? "unknown section '" : "unknown key '") + shown + name + "'" +
                       (near.empty() ? "" : "; did you mean '" + shown + std::string(near) + "'?"));
  }

  static std::optional<std::string> text_of(KeyType type, const toml::node& node) {
    if (type == KeyType::boolean) {
      const auto value = node.as_boolean();
      if (!value) return std::nullopt;
      return value->get() ? "true" : "false";
    }
    if (type == KeyType::integer || (type == KeyType::size && node.is_integer())) {
      const auto value = node.as_integer();
      if (!value) return std::nullopt;
      return std::to_string(value->get());
    }
    const auto value = node.as_string();
    if (!value) return std::nullopt;
    return value->get();
  }

  static std::string wanted(KeyType type) {
    switch (type) {
      case KeyType::boolean:
        return "must be true or false, without quotes";
      case KeyType::integer:
        return "must be a whole number, without quotes";
      case KeyType::size:
        return "must be a size such as \"256MiB\"";
      case KeyType::duration:
        return "must be a duration such as \"60s\"";
      default:
        return "must be text in quotes";
    }
  }

  std::string file_;
  std::vector<std::pair<std::size_t, std::string>> found_;
};

void apply_environment(const ConfigSources& sources, Config& config, ConfigErrors& errors) {
  std::vector<std::string_view> known;
  std::vector<std::string> names;
  for (const auto& key : config_keys()) names.push_back(environment_name(key.name));
  known.assign(names.begin(), names.end());
  for (const auto& [name, value] : sources.environment) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      // Other programs of ours have variables, too (TIDEMILL_TEST_DATA); only what is clearly meant for here.
      for (const std::string_view section :
           {"TIDEMILL_SERVER_", "TIDEMILL_LIMITS_", "TIDEMILL_STORAGE_", "TIDEMILL_LOG_"}) {
        if (!name.starts_with(section)) continue;
        const std::string_view near = nearest(name, known);
        errors.push_back("environment: unknown variable " + name +
                         (near.empty() ? "" : "; did you mean " + std::string(near) + "?"));
      }
      continue;
    }
    const auto& key = config_keys()[static_cast<std::size_t>(found - names.begin())];
    if (const auto wrong = set_from_text(key, value, config))
      errors.push_back("environment: " + name + " (" + value + ") " + *wrong);
  }
}

// --listen for server.listen, --log-level for log.level
std::string flag_name(std::string_view key) {
  std::string name("--");
  name += key.starts_with("server.") ? key.substr(7) : key;
  std::replace(name.begin(), name.end(), '.', '-');
  return name;
}

void apply_flags(const ConfigSources& sources, Config& config, ConfigErrors& errors) {
  for (const auto& [name, value] : sources.flags)
    for (const auto& key : config_keys())
      if (key.name == name)
        if (const auto wrong = set_from_text(key, value, config))
          errors.push_back(flag_name(name) + " " + (value.empty() ? "''" : value) + ": " + *wrong);
}

void check_whole(const Config& config, ConfigErrors& errors) {
  if (config.record > config.body)
    errors.push_back("limits.record (" + format_size(config.record) + ") must not be larger than limits.body (" +
                     format_size(config.body) + ")");
  if (config.tls_cert.empty() != config.tls_key.empty())
    errors.push_back(config.tls_cert.empty()
                         ? "server.tls_key is there without server.tls_cert: name both, or neither"
                         : "server.tls_cert is there without server.tls_key: name both, or neither");
  if (config.tls_client != "none" && config.tls_client_ca.empty())
    errors.push_back("server.tls_client is " + config.tls_client +
                     ", and server.tls_client_ca does not say who signs clients' certificates");
  if (config.tls_client == "none" && !config.tls_client_ca.empty())
    errors.push_back(
        "server.tls_client_ca is there, and server.tls_client is none: say optional or required, or leave it out");
}

void finish(const ConfigSources& rest, Config& config, ConfigErrors& errors) {
  apply_environment(rest, config, errors);
  apply_flags(rest, config, errors);
  if (errors.empty()) check_whole(config, errors);
}

}  // namespace

Config default_config() {
  Config config;
  set_defaults(config_keys(), config);
  StreamConfig retail;
  set_defaults(stream_keys(), retail);
  retail.name = "retail";
  retail.partition_key = "InvoiceNo";
  retail.fields = {{"Quantity", FieldType::integer}, {"UnitPrice", FieldType::number}};
  config.streams.push_back(std::move(retail));
  config.views = {{"customers", "builtin:customers"}, {"invoices", "builtin:invoices"}};
  return config;
}

Config parse_config(std::string_view text, const std::string& name, const ConfigSources& rest, ConfigErrors& errors) {
  Config config = default_config();
  try {
    const toml::table root = toml::parse(text, name);
    // A file that speaks of streams or views says all there are.
    if (root.contains("streams") || root.contains("views")) {
      config.streams.clear();
      config.views.clear();
    }
    Parser parser(name);
    parser.walk(root, config);
    parser.report(errors);
  } catch (const toml::parse_error& e) {
    errors.push_back(name + ":" + std::to_string(e.source().begin.line) + ": " + std::string(e.description()));
    return config;
  }
  finish(rest, config, errors);
  return config;
}

Config load_config(const ConfigSources& sources, ConfigErrors& errors) {
  if (!sources.file) {
    Config config = default_config();
    finish(sources, config, errors);
    return config;
  }
  errno = 0;
  std::ifstream in(*sources.file, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || (errno != 0 && text.str().empty())) {
    errors.push_back(*sources.file + ": cannot be read: " + std::strerror(errno ? errno : EIO) + "; name another file" +
                     (sources.file_needed ? "" : ", or none for the built-in configuration"));
    return default_config();
  }
  return parse_config(text.str(), *sources.file, sources, errors);
}

std::vector<std::pair<std::string, std::string>> environment_of_process() {
  std::vector<std::pair<std::string, std::string>> found;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (!text.starts_with("TIDEMILL_") || equals == text.npos) continue;
    found.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  std::sort(found.begin(), found.end());
  return found;
}

const StreamConfig* Config::find_stream(std::string_view name) const {
  const auto it = std::find_if(streams.begin(), streams.end(), [&](const auto& s) { return s.name == name; });
  return it == streams.end() ? nullptr : &*it;
}

const ViewConfig* Config::find_view(std::string_view name) const {
  const auto it = std::find_if(views.begin(), views.end(), [&](const auto& v) { return v.name == name; });
  return it == views.end() ? nullptr : &*it;
}

}  // namespace tidemill::cli

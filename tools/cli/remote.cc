#include "tools/cli/remote.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/http/tls_trust.h"
#include "storage/base/build_info.h"
#include "tools/cli/keys/named_key.h"
#include "tools/cli/printable.h"

namespace tidemill::cli {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trim(std::string_view s) {
  const std::size_t begin = s.find_first_not_of(kBlanks);
  if (begin == s.npos) return {};
  return s.substr(begin, s.find_last_not_of(kBlanks) - begin + 1);
}

// The first line of a small file.
bool read_key(const std::string& path, std::string& key, std::string& error) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in || !std::getline(in, key)) {
    const int why = errno;  // 0: there is nothing in it
    error = "no key can be read from " + path + " (--key-file): " + (why != 0 ? std::strerror(why) : "it is empty") +
            (why == EACCES ? "" : "; `tidemill keys create` writes one to standard output");
    return false;
  }
  key = std::string(trim(key));
  if (!key.empty() && key.size() <= 1'024) return true;
  error = path + " (--key-file) must hold a key on its first line";
  return false;
}

struct Setting {
  std::string value;
  bool of_file = false;  // of `.env`, not of the environment
};

std::optional<Setting> find_setting(const std::string& name) {
  if (const char* value = std::getenv(name.c_str()); value && *value) return Setting{value, false};
  std::ifstream in(".env", std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  const auto found = parse_dot_env(text.str());
  const auto it = found.find(name);
  if (it == found.end() || it->second.empty()) return std::nullopt;
  return Setting{it->second, true};
}

}  // namespace

std::map<std::string, std::string> parse_dot_env(std::string_view text) {
  std::map<std::string, std::string> found;
  while (!text.empty()) {
    std::string_view line = trim(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(text.size(), text.find('\n') == text.npos ? text.size() : text.find('\n') + 1));
    if (line.starts_with("export ")) line = trim(line.substr(7));
    const std::size_t equals = line.find('=');
    if (line.empty() || line[0] == '#' || equals == line.npos) continue;
    std::string_view value = trim(line.substr(equals + 1));
    if (!value.empty() && (value[0] == '"' || value[0] == '\'')) {
      const std::size_t end = value.find(value[0], 1);
      value = value.substr(1, end == value.npos ? value.npos : end - 1);
    } else if (const std::size_t comment = value.find(" #"); comment != value.npos) {
      value = trim(value.substr(0, comment));
    }
    found[std::string(trim(line.substr(0, equals)))] = value;
  }
  return found;
}

std::optional<std::string> setting_from_environment(const std::string& name) {
  auto found = find_setting(name);
  if (!found) return std::nullopt;
  return std::move(found->value);
}

std::optional<Server> resolve(const Remote& remote, std::string& error) {
  const auto url_setting = remote.url.empty() ? find_setting("API_URL") : std::nullopt;
  const std::string url = !remote.url.empty() ? remote.url : url_setting ? url_setting->value : "http://127.0.0.1:7077";
  auto parsed = Url::parse(url, error);
  if (!parsed) return std::nullopt;
  const auto or_setting = [](const std::string& said, const char* name) {
    return !said.empty() ? said : setting_from_environment(name).value_or("");
  };
  parsed->trust.ca_file = or_setting(remote.ca_file, "TIDEMILL_CA_FILE");
  parsed->trust.fingerprint = or_setting(remote.tls_fingerprint, "TIDEMILL_TLS_FINGERPRINT");
  parsed->trust.certificate_file = or_setting(remote.cert_file, "TIDEMILL_CERT_FILE");
  parsed->trust.key_file = or_setting(remote.cert_key_file, "TIDEMILL_CERT_KEY_FILE");
  if (parsed->trust.certificate_file.empty() != parsed->trust.key_file.empty()) {
    error = parsed->trust.key_file.empty()
                ? "--cert-file (or TIDEMILL_CERT_FILE) names a certificate without its key: say --cert-key-file (or "
                  "TIDEMILL_CERT_KEY_FILE), too; it may be the same file"
                : "--cert-key-file (or TIDEMILL_CERT_KEY_FILE) names a key without its certificate: say --cert-file "
                  "(or TIDEMILL_CERT_FILE), too";
    return std::nullopt;
  }
  if (!parsed->tls && !(remote.cert_file.empty() && remote.cert_key_file.empty())) {
    error = "a certificate is shown over https:// only, not to " + url + ": --url says where (--cert-file)";
    return std::nullopt;
  }
  // Here, because it is a wrong option, not a server that is away. The system's authorities are read when they are
  // needed.
  const bool named =
      !parsed->trust.ca_file.empty() || !parsed->trust.fingerprint.empty() || !parsed->trust.certificate_file.empty();
  if (parsed->tls && named && !http::TlsTrustContext::make(parsed->trust, error)) return std::nullopt;
  Server server{std::move(*parsed), {}};
  if (!remote.key_file.empty()) {
    if (!read_key(remote.key_file, server.key, error)) return std::nullopt;
  } else {
    const char* name = "TIDEMILL_KEY";
    auto key = find_setting(name);
    if (!key) key = find_setting(name = "API_KEY");
    // Whoever wrote the file, in a folder of an archive or a checkout, would be sent the key.
    if (key && !key->of_file && url_setting && url_setting->of_file) {
      error = "API_URL is of the file .env in this folder and " + std::string(name) +
              " of the environment: a key goes only where whoever gave it says. If it is meant for " + printable(url) +
              ", say --url, or --key-file, or write the key into .env, too";
      return std::nullopt;
    }
    if (key) server.key = std::move(key->value);
  }
  if (server.key.find_first_of("\r\n") != std::string::npos) {
    error = "the key must be one line";
    return std::nullopt;
  }
  return server;
}

HttpRequest Server::request(std::string method, std::string_view path) const {
  HttpRequest r;
  r.method = std::move(method);
  std::string base = url.path.substr(0, url.path.find('?'));
  base.erase(std::min(base.size(), (base + "/").find("/v1/")));  // the URL of one route, as `load` takes it
  while (base.ends_with('/')) base.pop_back();
  r.target = base + std::string(path);
  r.headers.emplace_back("User-Agent", "tidemill/" + std::string(version()));
  if (!key.empty()) r.headers.emplace_back("Authorization", "Bearer " + key);
  return r;
}

std::string problem_text(const HttpResponse& response) {
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  std::string text = "HTTP " + std::to_string(response.status);
  if (response.status == 401) text += "; give the key with TIDEMILL_KEY or --key-file";
  if (json.is_object()) {
    // RFC 9457: `title` says what is wrong, `detail` what of this request, and what to do.
    std::string said;
    for (const char* name : {"title", "detail"})
      if (json.contains(name) && json[name].is_string())
        said += (said.empty() ? "" : " ") + json[name].get<std::string>();
    if (!said.empty()) return printable(said) + " (" + text + ")";
  }
  if (!response.body.empty() && response.body.size() < 300) text += ": " + printable(response.body);
  return text;
}

int wrong_use(std::string_view command, const std::string& message) {
  std::fprintf(stderr, "tidemill %.*s: %s\n", static_cast<int>(command.size()), command.data(),
               printable_lines(without_keys(message)).c_str());
  return kWrongUse;
}

std::string unanswered(const HttpFailure& failure) {
  using Kind = HttpFailure::Kind;
  if (failure.kind == Kind::no_tls || failure.kind == Kind::not_trusted)
    return failure.message;  // something runs there
  return failure.message + "; is the server running? (--url or API_URL says where)";
}

Answer ask(const Server& server, std::string_view command, const HttpRequest& request) {
  HttpClient client(server.url, {});
  HttpFailure failure;
  auto response = client.send(request, failure);
  if (!response) {
    wrong_use(command, unanswered(failure));
    return {kNotReached, {}};
  }
  return {kOk, std::move(*response)};
}

Answer call(const Server& server, std::string_view command, const HttpRequest& request) {
  Answer answer = ask(server, command, request);
  if (answer.exit_code == kOk && answer.response.status / 100 != 2)
    answer.exit_code = wrong_use(command, problem_text(answer.response));
  return answer;
}

}  // namespace tidemill::cli

#include "engine/outbound/policy.h"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <charconv>

namespace tidemill::outbound {
namespace {

namespace urls = boost::urls;

constexpr std::size_t kUrlMax = 2'048;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

// A name as certificates have it: labels of letters, digits and hyphens. What inet_aton would read as a number (127.1,
// 2130706433, 0x7f.1, 0177.0.0.1) is none: no top-level domain is, or begins like, a number.
bool is_name(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  std::string_view last;
  for (std::size_t at = 0; at <= host.size();) {
    const std::size_t end = std::min(host.find('.', at), host.size());
    last = host.substr(at, end - at);
    if (last.empty() || last.size() > 63 || last.front() == '-' || last.back() == '-') return false;
    for (const char c : last)
      if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') return false;
    at = end + 1;
  }
  return last.front() < '0' || last.front() > '9';
}

// The host of a URL or an exception: a name or an address, in the one way that it is compared and sent.
bool take_host(std::string_view text, Destination& to) {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    to.literal = parse_address(text.substr(1, text.size() - 2));
    if (!to.literal || !to.literal->v6) return false;
  } else {
    to.host = lower(text);
    if (is_name(to.host)) return true;
    to.literal = parse_address(to.host);
    if (!to.literal || to.literal->v6) return false;
  }
  to.host = to_text(*to.literal);
  return true;
}

bool is_scheme(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

bool take_port(std::string_view digits, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return error == std::errc() && end == digits.data() + digits.size() && port != 0;
}

std::uint16_t port_of(bool tls) {
  return tls ? 443 : 80;
}

}  // namespace

std::string Destination::authority() const {
  std::string text = literal && literal->v6 ? "[" + host + "]" : host;
  if (port != port_of(tls)) text += ":" + std::to_string(port);
  return text;
}

std::optional<Policy> Policy::make(const Options& options, std::string& error) {
  Policy policy;
  for (const std::string& scheme : options.schemes) {
    if (scheme != "https" && scheme != "http") {
      error = "'" + scheme + "' is not a scheme to allow: there are https and http";
      return std::nullopt;
    }
  }
  policy.schemes_ = options.schemes;
  policy.ports_ = options.ports;
  for (const std::string& text : options.exceptions) {
    Exception exception;
    exception.network = parse_network(text);
    if (!exception.network) {
      std::string_view rest = text;
      for (const std::string_view scheme : {"https://", "http://"}) {
        if (!rest.starts_with(scheme)) continue;
        exception.tls = scheme == "https://";
        rest.remove_prefix(scheme.size());
      }
      const std::size_t colon = rest.rfind(':');
      Destination host;
      if (colon == rest.npos || !take_port(rest.substr(colon + 1), exception.port) ||
          !take_host(rest.substr(0, colon), host)) {
        error =
            "'" + text + "' is neither a network, such as 10.1.0.0/16, nor a host and port, such as hooks.example:8443";
        return std::nullopt;
      }
      exception.host = host.host;
    }
    policy.exceptions_.push_back(std::move(exception));
  }
  return policy;
}

Result<Destination> Policy::destination(std::string_view text) const {
  if (text.size() > kUrlMax) return OutboundErrc::url_invalid;
  const std::size_t colon = text.find(':');
  if (colon == text.npos) return OutboundErrc::url_invalid;
  Destination to;
  const std::string scheme = lower(text.substr(0, colon));
  if (!is_scheme(scheme)) return OutboundErrc::url_invalid;
  if (scheme != "https" && scheme != "http") return OutboundErrc::scheme_not_allowed;
  to.tls = scheme == "https";
  // The authority is read here: Boost.URL 1.81 takes 1.2.3.4.example.com for the address 1.2.3.4 and a path.
  text.remove_prefix(colon + 1);
  if (!text.starts_with("//")) return OutboundErrc::url_invalid;
  text.remove_prefix(2);
  const std::string_view authority = text.substr(0, text.find_first_of("/?#"));
  to.target = text.substr(authority.size());
  if (to.target.empty() || to.target.front() == '?') to.target.insert(0, 1, '/');
  if (!urls::parse_origin_form(to.target)) return OutboundErrc::url_invalid;
  const std::size_t host_end = authority.find(':', authority.starts_with('[') ? authority.find(']') : 0);
  if (!take_host(authority.substr(0, host_end), to)) return OutboundErrc::url_invalid;
  to.port = port_of(to.tls);
  if (host_end < authority.size() && !take_port(authority.substr(host_end + 1), to.port))
    return OutboundErrc::url_invalid;

  to.excepted = std::any_of(exceptions_.begin(), exceptions_.end(), [&](const Exception& e) {
    return !e.network && e.tls == to.tls && e.host == to.host && e.port == to.port;
  });
  if (to.excepted) return to;
  if (std::find(schemes_.begin(), schemes_.end(), scheme) == schemes_.end()) return OutboundErrc::scheme_not_allowed;
  if (std::find(ports_.begin(), ports_.end(), to.port) == ports_.end()) return OutboundErrc::port_not_allowed;
  // A name without a dot is looked for in the domains of this machine: it is nobody's on the Internet.
  if (!to.literal && to.host.find('.') == to.host.npos) return OutboundErrc::address_refused;
  return to;
}

std::string_view Policy::refusal(const Destination& destination, const Address& address) const {
  if (destination.excepted) return {};
  for (const Exception& e : exceptions_)
    if (e.network && e.network->contains(address)) return {};
  return why_not_public(address);
}

}  // namespace tidemill::outbound

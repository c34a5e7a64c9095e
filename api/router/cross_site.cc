#include "api/router/cross_site.h"

#include <arpa/inet.h>

#include <string>

#include "api/errors/problem.h"

namespace tidemill {
namespace {

// Of http://host:port: what a Host header has.
std::string_view authority_of(std::string_view origin) {
  const std::size_t at = origin.find("://");
  return at == origin.npos ? std::string_view() : origin.substr(at + 3);
}

}  // namespace

std::optional<http::Response> refuse_cross_site(const http::Request& request) {
  if (request.method == "GET" || request.method == "HEAD") return std::nullopt;
  std::optional<std::string_view> site, origin;
  for (const http::Header& header : request.headers) {
    if (http::iequals(header.name, "Authorization") || http::iequals(header.name, "X-Api-Key")) return std::nullopt;
    if (http::iequals(header.name, "Sec-Fetch-Site")) site = header.value;
    if (http::iequals(header.name, "Origin")) origin = header.value;
  }
  if (site) {
    if (*site == "same-origin" || *site == "none") return std::nullopt;  // none: its user typed it
  } else {
    if (!origin) return std::nullopt;
    const std::string_view authority = authority_of(*origin);
    if (!authority.empty() && http::iequals(authority, request.header("Host"))) return std::nullopt;
  }
  return problem(ErrorId::forbidden, "A browser sent this for a page of another site, and without a key in its head.");
}

bool is_local_host(std::string_view host) {
  if (host.starts_with('[')) return true;  // IPv6
  const std::string name(host.substr(0, host.find(':')));
  in_addr address{};
  if (::inet_pton(AF_INET, name.c_str(), &address) == 1) return true;
  const std::string_view last = std::string_view(name).substr(name.rfind('.') + 1);  // the whole name, without a dot
  return name.find('.') == name.npos || http::iequals(last, "localhost");
}

}  // namespace tidemill

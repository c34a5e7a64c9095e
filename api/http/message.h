#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/budget.h"
#include "api/http/peer.h"

namespace tidemill::http {

struct Header {
  std::string_view name;
  std::string_view value;
};

// A request as it came, framing checked and taken off. Views of the connection's buffer: good until the handler
// returns; what it needs later it copies.
struct Request {
  std::string_view method;
  std::string_view path;   // still percent-encoded
  std::string_view query;  // without the `?`, still percent-encoded
  std::span<const Header> headers;
  std::string_view body;
  std::string_view address;  // whom the connection is with, without the port; good as long as `body` is
  // Whom the client's certificate names; nullptr: it showed none, or there is no TLS. Good as long as `body` is.
  const PeerCertificate* peer = nullptr;
  bool has_length = false;   // it has a Content-Length, or is chunked: a body was meant, if perhaps an empty one
  bool body_unread = false;  // the body has not come and is not waited for (Handler::wants_body): `body` is empty

  // The value of the first header of that name (any case); empty when there is none.
  std::string_view header(std::string_view name) const;
  std::size_t count(std::string_view name) const;  // of headers of that name
};

bool iequals(std::string_view a, std::string_view b);  // ASCII

// An answer. Content-Length, Date and Connection are put in by the server; the body is left out for HEAD.
struct Response {
  int status = 200;
  std::string_view content_type;  // must outlive the response: a literal
  std::string headers;            // further lines, each with its CR LF
  std::string body;
  std::vector<Piece> pieces;  // what follows the body, of a large answer
  bool close = false;

  void add_header(std::string_view name, std::string_view value) {
    headers.append(name).append(": ").append(value).append("\r\n");
  }
};

}  // namespace tidemill::http

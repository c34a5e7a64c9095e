#pragma once

#include <string>
#include <utility>

#include "api/context.h"
#include "api/http/message.h"

namespace tidemill {

// Of who asks alone, and only now: keys, limits, the audit trail. No cache keeps it. `body` without its line end; a
// secret one goes from memory when it is sent.
inline http::Response private_json(std::string body, int status = 200,
                                   http::Piece::Content content = http::Piece::Content::ordinary) {
  http::Response response;
  response.status = status;
  response.content_type = kJson;
  response.add_header("Cache-Control", "no-store");
  body.push_back('\n');
  if (content == http::Piece::Content::secret) {
    response.pieces.emplace_back(std::move(body), http::Held(), content);
  } else {
    response.body = std::move(body);
  }
  return response;
}

}  // namespace tidemill

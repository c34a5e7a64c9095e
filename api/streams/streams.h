#pragma once

#include "api/context.h"
#include "api/records/read.h"
#include "api/router/router.h"

namespace tidemill {

// Streams and groups: what they are, how far they are; creating, changing and removing streams.
class Streams {
 public:
  Streams(ApiContext& context, Records& records) : context_(context), records_(records) {}
  void list(Call& call, http::Responder responder);
  void get(Call& call, http::Responder responder);
  void put(Call& call, http::Responder responder);
  void remove(Call& call, http::Responder responder);
  void groups(Call& call, http::Responder responder);
  void group(Call& call, http::Responder responder);
  void cut(Call& call, http::Responder responder);

 private:
  ApiContext& context_;
  Records& records_;  // whose tails end with their stream
};

}  // namespace tidemill

#pragma once

#include <functional>
#include <string>

#include "api/context.h"
#include "api/records/read.h"
#include "api/router/router.h"
#include "engine/json/writer.h"

namespace tidemill {

// Streams and groups: what they are, how far they are; creating, changing and removing streams.
class Streams {
 public:
  Streams(ApiContext& context, Records& records) : context_(context), records_(records) {}
  void list(Call& call, http::Responder responder);
  void get(Call& call, http::Responder responder);
  void put(Call& call, http::Responder responder);
  void remove(Call& call, http::Responder responder);
  void split(Call& call, http::Responder responder);
  void merge(Call& call, http::Responder responder);
  void groups(Call& call, http::Responder responder);
  void group(Call& call, http::Responder responder);
  void cut(Call& call, http::Responder responder);

 private:
  using Change = std::function<Result<Engine::Resharded>(Engine&, const QualifiedName& stream)>;
  void reshard(QualifiedName stream, Change change, http::Responder responder);

  ApiContext& context_;
  Records& records_;  // whose tails end with their stream
};

// {"shard","first_hash","last_hash","open","parents","first_sequence","last_sequence"}; the last is null while it is
// open.
void write_shard(JsonWriter& json, const ShardDefinition& shard);

}  // namespace tidemill

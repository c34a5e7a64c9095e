#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/router/pass.h"
#include "engine/keys/key_text.h"

namespace tidemill {

struct ApiContext;
struct Call;

// Who reads an answer that has no end, and by what it was let in: judged again before each piece. Holds no secret.
class Follower {
 public:
  Follower() = default;
  explicit Follower(const Call& call);
  // Empty: it goes on. Else a sentence that says why not, and the end is counted and noted in the audit trail: whoever
  // asks ends the answer, and asks no more. Never blocks.
  std::string_view over(ApiContext& context) const;

 private:
  Pass pass_;
  std::optional<KeyId> key_;
  std::string tenant_, name_, address_;
  std::string_view method_, route_;  // of the route table, which outlives all answers
};

}  // namespace tidemill

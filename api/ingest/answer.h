#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "storage/base/ids.h"
#include "storage/log/append.h"

namespace tidemill {

struct IngestAnswer {
  std::string_view stream;
  std::uint32_t accepted = 0;
  Sequence first;  // of the accepted
  std::string_view token;
  std::string_view ack = "durable";
  bool replayed = false;
  std::span<const RejectedRecord> rejected;
  std::string_view behind;  // JSON array of the views that do not show it yet; empty: none was waited for
};

// Appends the JSON of an answer, and of the list of what was rejected.
void append_answer(std::string& out, const IngestAnswer& answer);
void append_rejected(std::string& out, std::span<const RejectedRecord> rejected);

}  // namespace tidemill

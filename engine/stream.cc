#include "engine/stream.h"

#include <algorithm>
#include <utility>

#include "engine/cut.h"

namespace tidemill {
bool valid_stream_name(std::string_view name) {
  if (name.empty() || name.size() > 128 || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

Stream::Stream(StreamDefinition definition, std::shared_ptr<Log> log)
    : definition_(std::move(definition)),
      title_(text_of(qualified_name())),
      log_(std::move(log)),
      shards_(std::make_shared<ShardMap>(definition_.shards)) {
  if (log_ != nullptr) incarnation_ = log_->status().incarnation;
}

Stream::Stream(StreamDefinition definition, const Stream& same)
    : definition_(std::move(definition)),
      title_(text_of(qualified_name())),
      log_(same.log_),
      incarnation_(same.incarnation_),
      shards_(same.shards_) {}

void cut(RecordBatch& batch, Sequence from, Sequence last) {
  if (last == kSequenceMax || batch.next <= next(last)) return;
  while (!batch.records.empty() && batch.records.back().sequence > last) batch.records.pop_back();
  while (!batch.lost.empty() && batch.lost.back().first > last) batch.lost.pop_back();
  if (!batch.lost.empty()) batch.lost.back().last = std::min(batch.lost.back().last, last);
  batch.next = std::max(from, next(last));
}

}  // namespace tidemill

#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "consumers/views/fold.h"
#include "consumers/views/key.h"

namespace tidemill::views {

// In front of a fold where only rows of some group keys are wanted. What cannot be counted is set aside all the same,
// whichever row it is of: a record is in whole or not at all.
class SampleSink final : public RowSink {
 public:
  SampleSink(Fold& fold, std::function<bool(std::string_view group_key)> sample)
      : fold_(fold), sample_(std::move(sample)) {}
  bool takes(std::uint32_t record, std::span<const Cell> groups, std::span<const Cell> arguments) override {
    return fold_.takes(record, groups, arguments);
  }
  void row(std::uint32_t record, Order order, std::span<const Cell> groups, std::span<const Cell> arguments) override {
    key_.clear();
    encode_key(groups, key_);
    if (sample_(key_)) return fold_.row(record, order, groups, arguments);
    (void)fold_.takes(record, groups, arguments);
  }
  void failed(std::uint32_t record, std::string_view reason) override { fold_.failed(record, reason); }

 private:
  Fold& fold_;
  const std::function<bool(std::string_view)> sample_;
  std::string key_;
};

}  // namespace tidemill::views

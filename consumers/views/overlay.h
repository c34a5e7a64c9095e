#pragma once

#include <memory>

#include "consumers/views/database.h"

namespace tidemill::views {

// A snapshot as it would be after a write to one of its families: what a dry run reads, and what a lookup reads of a
// view that has the batch at hand already. Cursors seek for each step, so it is for a few rows.
class Overlay final : public Snapshot {
 public:
  Overlay(std::shared_ptr<const Snapshot> below, const Family& family, const WriteSet& set);

  Result<std::optional<std::string>> get(const Family& family, std::string_view key) const override;
  std::unique_ptr<Cursor> cursor(const Family& family, std::string_view lower, std::string_view upper) const override;

 private:
  const std::shared_ptr<const Snapshot> below_;
  const Family& family_;
  const WriteSet::Changes changes_;
};

}  // namespace tidemill::views

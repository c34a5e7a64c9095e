#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/stream_views.h"
#include "consumers/views/upkeep.h"
#include "engine/stream.h"

namespace tidemill::views {

// One comparison of a sample of a view's rows, and all that is kept below them, with what the log gives: made again in
// a family of its own up to the checkpoint of a snapshot, which it holds, and compared byte for byte. The sample is
// about a thousand rows, those of one class of their keys' hashes, another one each time; the log is read whole.
// One task at a time. Destroyed before the database; blocks on the disk, a moment each step.
class Audit {
 public:
  // StorageErrc::before_start: the log no longer has all that the view counts; such views are not sampled.
  static Result<std::unique_ptr<Audit>> begin(Env& env, Database& database, std::shared_ptr<Stream> stream,
                                              std::shared_ptr<LiveView> live);
  ~Audit();

  Result<bool> step();  // true: that was all

  const LiveView& live() const { return *live_; }
  Sequence at() const { return at_.position.sequence(); }
  std::uint64_t rows() const { return rows_; }
  std::uint64_t mismatches() const { return mismatches_; }
  const std::vector<std::string>& first_keys() const { return first_keys_; }  // of mismatches, in hexadecimal

 private:
  Audit(Env& env, Database& database, std::shared_ptr<Stream> stream, std::shared_ptr<LiveView> live);
  Result<bool> read_some();
  Result<bool> compare_some();
  Result<bool> same_members(std::string_view group_key) const;
  bool has_gone(const Cursor& row) const;
  void differs(std::string_view group_key);
  bool in_sample(std::string_view group_key) const;

  Env& env_;
  Database& database_;
  const std::shared_ptr<Stream> stream_;
  const std::shared_ptr<LiveView> live_;
  const std::shared_ptr<const Snapshot> snapshot_;
  Checkpoint at_;
  std::uint64_t classes_ = 1;
  std::uint64_t class_ = 0;

  std::string name_;  // of the family; empty: not made yet
  std::shared_ptr<Family> family_;
  FieldSet fields_;
  std::unique_ptr<Upkeep> upkeep_;
  std::unique_ptr<ParsedBatch> parsed_;

  std::shared_ptr<const Snapshot> made_;  // once all is read
  std::unique_ptr<Cursor> a_, b_;         // the view's rows, and those that were made
  std::uint64_t rows_ = 0;
  std::uint64_t mismatches_ = 0;
  std::vector<std::string> first_keys_;
};

}  // namespace tidemill::views

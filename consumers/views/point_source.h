#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/point_format.h"
#include "consumers/views/query.h"
#include "consumers/views/view.h"

namespace tidemill::views {

// A kept point that is open to be read: the views that still have the definition that they had then, over its own
// database. Any thread. Shared by the history, which closes it when nobody has asked for long, and by each cursor over
// it. Must not outlive the catalog.
class PointSource final : public QuerySource {
 public:
  // Of the catalog: the views as they are now, and what to say of a view at a checkpoint.
  using Live = std::function<QueryTables(std::string_view tenant)>;
  using Say = std::function<std::optional<AsOf>(const QualifiedName& view, const Checkpoint& checkpoint)>;
  // Blocks on the disk. `beside`: whose cache it shares; outlives it.
  static Result<std::shared_ptr<PointSource>> open(Env& env, const Database& beside, const std::string& directory,
                                                   PointContent content, Live live, Say say);

  QueryExecutor& executor() { return executor_; }
  Tables tables(std::string_view tenant) const override;
  std::unique_ptr<Snapshot> snapshot() const override { return database_->snapshot(); }
  Result<AsOf> as_of(const Snapshot& snapshot, std::string_view tenant,
                     const std::vector<std::string>& views) const override;

 private:
  PointSource(std::unique_ptr<Database> database, PointContent content, Live live, Say say);
  std::shared_ptr<const View> then(const View& now) const;  // nullptr: it was not there, or is another one

  const std::unique_ptr<Database> database_;
  const PointContent content_;
  const Live live_;
  const Say say_;
  mutable std::mutex mutex_;
  mutable std::map<std::uint64_t, std::shared_ptr<const View>> views_;  // by id, as they were asked for
  QueryExecutor executor_{*this};
};

}  // namespace tidemill::views

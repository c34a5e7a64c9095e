#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/definition.h"
#include "consumers/views/final_stage.h"
#include "consumers/views/state.h"
#include "consumers/views/store_keys.h"
#include "consumers/views/views.h"

namespace tidemill::views {

// A view as its readers know it: definition, family, and how a stored row becomes an output row. Never changes; shared
// by the catalog, the upkeep and every query under way, also after the view was dropped. Any thread.
class View {
 public:
  View(std::uint64_t id, std::string name, std::string source, Definition definition, std::shared_ptr<Family> family)
      : id_(id),
        name_(std::move(name)),
        source_(std::move(source)),
        definition_(std::move(definition)),
        layout_(definition_),
        family_(std::move(family)) {}

  std::uint64_t id() const { return id_; }
  const std::string& name() const { return name_; }
  const std::string& source() const { return source_; }  // as it was given: the text, or builtin:NAME
  const Definition& definition() const { return definition_; }
  const StateLayout& layout() const { return layout_; }
  const std::shared_ptr<Family>& family() const { return family_; }

  Result<Checkpoint> checkpoint(const Snapshot& snapshot) const;
  // The row of a whole group key. nullopt: there is none.
  Result<std::optional<Row>> get(const Snapshot& snapshot, const Row& key) const;
  Result<RangeResult> range(const Snapshot& snapshot, const RangeOptions& options) const;

 private:
  friend class RowReader;
  // Final stages are one thread's at a time; kept for the next reader.
  Result<std::unique_ptr<FinalStage>> take_stage() const;
  void give_back(std::unique_ptr<FinalStage> stage) const;

  const std::uint64_t id_;
  const std::string name_;
  const std::string source_;
  const Definition definition_;
  const StateLayout layout_;
  const std::shared_ptr<Family> family_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<FinalStage>> stages_;
};

// Makes output rows of stored ones. One thread; must not outlive view and snapshot.
class RowReader {
 public:
  static Result<RowReader> open(const View& view, const Snapshot& snapshot);
  RowReader(RowReader&&) = default;
  ~RowReader();

  // `group_key` and `value`: the bytes under which and as which the row is stored. `wanted` as FinalStage::run.
  Result<void> show(std::string_view group_key, std::string_view value, std::span<const bool> wanted, Row& out);

 private:
  RowReader(const View& view, const Snapshot& snapshot, std::unique_ptr<FinalStage> stage)
      : view_(&view), snapshot_(&snapshot), stage_(std::move(stage)) {}
  const View* view_;
  const Snapshot* snapshot_;
  std::unique_ptr<FinalStage> stage_;
  Row key_;
};

}  // namespace tidemill::views

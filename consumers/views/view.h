#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "consumers/views/database.h"
#include "consumers/views/definition.h"
#include "consumers/views/final_stage.h"
#include "consumers/views/state.h"
#include "consumers/views/store_keys.h"
#include "consumers/views/views.h"
#include "engine/qualified_name.h"

namespace tidemill::views {

// A view as its readers know it: definition, family, and how a stored row becomes an output row. Never changes; shared
// by the catalog, the upkeep and every query under way, also after the view was dropped. Any thread.
class View {
 public:
  View(std::uint64_t id, QualifiedName name, std::string source, Definition definition, std::shared_ptr<Family> family)
      : id_(id),
        name_(std::move(name)),
        source_(std::move(source)),
        definition_(std::move(definition)),
        layout_(definition_),
        family_(std::move(family)) {}

  std::uint64_t id() const { return id_; }
  const QualifiedName& qualified_name() const { return name_; }
  const std::string& name() const { return name_.name; }  // within its tenant
  std::string title() const { return text_of(name_); }    // for logs
  const std::string& source() const { return source_; }   // as it was given: the text, or builtin:NAME
  const Definition& definition() const { return definition_; }
  const StateLayout& layout() const { return layout_; }
  const std::shared_ptr<Family>& family() const { return family_; }

  Result<Checkpoint> checkpoint(const Snapshot& snapshot) const;
  // The row of a whole group key. nullopt: there is none.
  Result<std::optional<Row>> get(const Snapshot& snapshot, const Row& key) const;
  // The output row of a state that is not in the store.
  Result<void> show(const Row& key, const RowState& state, const MemberSource& members, Row& out) const;
  Result<RangeResult> range(const Snapshot& snapshot, const RangeOptions& options) const;
  // Of group keys: what prefix, from and to leave. An empty upper bound: none.
  std::pair<std::string, std::string> bounds(const RangeOptions& options) const;
  Result<QuarantineResult> quarantine(const Snapshot& snapshot, Sequence from, std::uint32_t limit) const;

 private:
  friend class RowReader;
  // Final stages are one thread's at a time; kept for the next reader.
  Result<std::unique_ptr<FinalStage>> take_stage() const;
  void give_back(std::unique_ptr<FinalStage> stage) const;

  const std::uint64_t id_;
  const QualifiedName name_;
  const std::string source_;
  const Definition definition_;
  const StateLayout layout_;
  const std::shared_ptr<Family> family_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<FinalStage>> stages_;
};

std::string encode_group_key(const Row& key);  // as it is stored

// Makes output rows of stored ones. One thread; must not outlive view and snapshot.
class RowReader {
 public:
  // `wanted` says which output columns are needed (empty: all); the others stay NULL.
  static Result<RowReader> open(const View& view, const Snapshot& snapshot, std::span<const bool> wanted = {});
  RowReader(RowReader&&) = default;
  ~RowReader();

  // Whether this stored row has gone: its deadline has come by the stream time of the snapshot. Nobody is to see it.
  bool gone(std::string_view value) const { return expires_ && deadline_of(value) <= now_; }
  // `group_key` and `value`: the bytes under which and as which the row is stored. `out`: empty, or an earlier row.
  Result<void> show(std::string_view group_key, std::string_view value, Row& out);

 private:
  RowReader(const View& view, const Snapshot& snapshot, std::unique_ptr<FinalStage> stage,
            FinalStage::Selection selection, WallTime now)
      : view_(&view),
        snapshot_(&snapshot),
        stage_(std::move(stage)),
        selection_(std::move(selection)),
        expires_(view.layout().expiry() != nullptr),
        now_(now.time_since_epoch().count()) {}
  const View* view_;
  const Snapshot* snapshot_;
  std::unique_ptr<FinalStage> stage_;
  FinalStage::Selection selection_;
  bool expires_;
  std::int64_t now_;  // stream time
  Row key_;
  RowState state_;
};

}  // namespace tidemill::views

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "consumers/views/batch.h"
#include "consumers/views/definition.h"
#include "consumers/views/final_stage.h"
#include "consumers/views/fold.h"
#include "consumers/views/key.h"
#include "consumers/views/row_stage.h"
#include "consumers/views/state.h"

namespace tidemill::views {

// Records made from JSON texts, numbered from 1.
class Records {
 public:
  Records& add(std::string json, ContentType content = ContentType::json, std::string key = "k");
  std::span<const Record> all() const { return records_; }
  std::span<const Record> cut(std::size_t from, std::size_t n) const { return std::span(records_).subspan(from, n); }
  std::size_t size() const { return records_.size(); }

 private:
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<Record> records_;
};

// A view as the store keeps it, but in memory: rows and members in maps. Applies folds as fold.h says.
class MemoryView final : public MemberSource {
 public:
  explicit MemoryView(std::string_view sql, const SplitOptions& options = {});

  void apply(std::span<const Record> records);
  // Rows and members of `other`, which has seen other records. Any order: collections are cut to their limit.
  void merge(const MemoryView& other);

  std::size_t size() const { return rows_.size(); }
  std::vector<Row> rows();  // by key
  Row row(const Row& key);  // empty: no such row
  RowHeader header(const Row& key) const;
  std::string bytes() const;  // all that is stored, for comparing
  void each(const std::function<void(const std::string& key, const RowState& row)>& visit) const;
  void each_member(const std::function<void(std::uint32_t aggregate, const std::string& key, const std::string& value)>&
                       visit) const;
  std::vector<std::string> parked;  // "sequence: reason"
  Definition definition;

  Result<void> visit(std::uint32_t aggregate, const MemberVisitor& visitor) const override;

 private:
  using MemberKey = std::tuple<std::string, std::uint32_t, std::string>;  // group, aggregate, member
  void keep_latest(const MemberKey& key, const std::string& value);
  void cut(const std::string& group);
  static std::string key_bytes(const Row& key);
  Row show(const std::string& key);

  FieldSet fields_;
  std::unique_ptr<RowStage> stage_;
  std::unique_ptr<StateLayout> layout_;
  std::unique_ptr<FinalStage> final_;
  std::unique_ptr<ParsedBatch> batch_;
  std::unique_ptr<Fold> fold_;
  std::map<std::string, RowState> rows_;
  std::map<MemberKey, std::string> members_;
  std::string visited_;  // key of the row being shown
};

// A row as text: |-separated, NULL for NULL, reals with 15 digits.
std::string text(const Row& row);
std::vector<std::string> texts(const std::vector<Row>& rows);
// The rows of a definition over some records.
std::vector<std::string> rows_of(std::string_view sql, const Records& records);
// split() must succeed / must fail; then the definition / the sentence.
Definition must_split(std::string_view sql, const SplitOptions& options = {});
std::string refusal(std::string_view sql);  // "" when it was taken

}  // namespace tidemill::views

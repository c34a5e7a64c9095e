#include "tests/consumers/views/memory_view.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace tidemill::views {

Records& Records::add(std::string json, ContentType content, std::string key) {
  texts_.push_back(std::make_unique<std::string>(std::move(json)));
  Record r;
  r.sequence = Sequence(records_.size() + 1);
  r.content = content;
  r.data = *texts_.back();
  texts_.push_back(std::make_unique<std::string>(std::move(key)));
  r.key = *texts_.back();
  r.arrival = WallTime(std::chrono::milliseconds(1'600'000'000'123));
  records_.push_back(r);
  return *this;
}

MemoryView::MemoryView(std::string_view sql, const SplitOptions& options) : definition(must_split(sql, options)) {
  auto stage = RowStage::prepare(definition, fields_);
  if (auto* e = std::get_if<SqlError>(&stage)) throw std::runtime_error(e->message);
  stage_ = std::move(std::get<0>(stage));
  layout_ = std::make_unique<StateLayout>(definition);
  auto final = FinalStage::prepare(definition);
  if (auto* e = std::get_if<SqlError>(&final)) throw std::runtime_error(e->message);
  final_ = std::move(std::get<0>(final));
  batch_ = std::make_unique<ParsedBatch>(fields_, [](HashKey, Sequence) { return ShardId(3); });
  fold_ = std::make_unique<Fold>(*layout_);
}

void MemoryView::apply(std::span<const Record> records) {
  fold_->clear();
  batch_->parse(records);
  ASSERT_TRUE(stage_->run(*batch_, *fold_).has_value());
  for (const auto& p : fold_->parked()) {
    parked.push_back(std::to_string(records[p.record].sequence.value()) + ": " + p.reason);
  }
  for (Fold::Group& group : fold_->groups()) {
    std::string key(group.key);
    auto [it, fresh] = rows_.try_emplace(key);
    if (fresh) it->second = layout_->make();
    RowState& row = it->second;
    for (auto i = group.first_member; i != Fold::kNone;) {
      const Fold::Member& m = fold_->member(i);
      i = m.next;
      const Aggregate& aggregate = layout_->aggregate(m.aggregate);
      if (aggregate.members() == Members::appended) {
        members_.emplace(MemberKey{key, m.aggregate, std::string(m.key)}, std::string(m.value));
      } else if (aggregate.members() == Members::latest) {
        keep_latest({key, m.aggregate, std::string(m.key)}, std::string(m.value));
      } else if (!members_.emplace(MemberKey{key, m.aggregate, std::string(m.key)}, std::string(m.value)).second) {
        aggregate.take_back(group.state.state(m.aggregate), 1);
      }
    }
    row.merge(group.state);
    cut(key);
  }
}

void MemoryView::keep_latest(const MemberKey& key, const std::string& value) {
  std::string& held = members_[key];
  held = std::max(held, value);
}

void MemoryView::merge(const MemoryView& other) {
  for (const auto& [key, theirs] : other.rows_) {
    std::string copy;
    theirs.encode(copy);
    auto decoded = layout_->decode(copy);
    ASSERT_TRUE(decoded.has_value());
    for (std::uint32_t a = 0; a < layout_->size(); ++a) {
      if (layout_->aggregate(a).members() != Members::set) continue;
      auto from = other.members_.lower_bound(MemberKey{key, a, ""});
      for (; from != other.members_.end() && std::get<0>(from->first) == key && std::get<1>(from->first) == a; ++from) {
        if (members_.contains(from->first)) layout_->aggregate(a).take_back(decoded->state(a), 1);
      }
    }
    auto [it, fresh] = rows_.try_emplace(key);
    if (fresh) it->second = layout_->make();
    it->second.merge(*decoded);
  }
  for (const auto& [key, value] : other.members_) {
    if (layout_->aggregate(std::get<1>(key)).members() == Members::latest) {
      keep_latest(key, value);
    } else {
      members_.emplace(key, value);
    }
  }
  for (const auto& [key, theirs] : other.rows_) cut(key);
}

// The group's lists keep the last `limit`.
void MemoryView::cut(const std::string& group) {
  for (std::uint32_t a = 0; a < layout_->size(); ++a) {
    if (layout_->aggregate(a).members() != Members::appended) continue;
    const auto first = members_.lower_bound(MemberKey{group, a, ""});
    auto held = std::distance(first, members_.lower_bound(MemberKey{group, a + 1, ""}));
    const auto most = static_cast<std::ptrdiff_t>(definition.aggregates[a].limit);
    for (auto it = first; held > most; --held) it = members_.erase(it);
  }
}

Result<void> MemoryView::visit(std::uint32_t aggregate, const MemberVisitor& visitor) const {
  for (auto it = members_.lower_bound(MemberKey{visited_, aggregate, ""}); it != members_.end(); ++it) {
    if (std::get<0>(it->first) != visited_ || std::get<1>(it->first) != aggregate) break;
    if (!visitor(std::get<2>(it->first), it->second)) break;
  }
  return {};
}

Row MemoryView::show(const std::string& key) {
  Row terms, out;
  EXPECT_TRUE(decode_key(key, definition.groups.size(), terms));
  visited_ = key;
  EXPECT_TRUE(final_->run(terms, rows_.at(key), *this, final_->select(*layout_, {}), out).has_value());
  return out;
}

std::vector<Row> MemoryView::rows() {
  std::vector<Row> out;
  for (const auto& [key, state] : rows_) out.push_back(show(key));
  return out;
}

std::string MemoryView::key_bytes(const Row& key) {
  std::string bytes;
  for (const Value& v : key) encode_key(to_cell(v), bytes);
  return bytes;
}

Row MemoryView::row(const Row& key) {
  auto it = rows_.find(key_bytes(key));
  return it == rows_.end() ? Row() : show(it->first);
}

RowHeader MemoryView::header(const Row& key) const {
  return rows_.at(key_bytes(key)).header();
}

std::string MemoryView::bytes() const {
  std::string out;
  for (const auto& [key, state] : rows_) {
    out += "R" + std::to_string(key.size()) + ":" + key;
    state.encode(out);
  }
  for (const auto& [key, value] : members_) {
    const auto& [group, aggregate, member] = key;
    out += "M" + std::to_string(group.size()) + ":" + group + std::to_string(aggregate) + ":" +
           std::to_string(member.size()) + ":" + member + value + "\n";
  }
  return out;
}

void MemoryView::each(const std::function<void(const std::string&, const RowState&)>& visit) const {
  for (const auto& [key, row] : rows_) visit(key, row);
}

void MemoryView::each_member(
    const std::function<void(std::uint32_t, const std::string&, const std::string&)>& visit) const {
  for (const auto& [key, value] : members_) visit(std::get<1>(key), std::get<2>(key), value);
}

std::string text(const Row& row) {
  std::string out;
  for (const Value& v : row) {
    if (!out.empty() || &v != row.data()) out += "|";
    if (auto* s = std::get_if<std::string>(&v)) {
      out += *s;
    } else if (auto* j = std::get_if<Json>(&v)) {
      out += j->text;
    } else if (auto* d = std::get_if<double>(&v)) {
      char digits[40];
      std::snprintf(digits, sizeof digits, "%.15g", *d);
      out += digits;
    } else if (auto* i = std::get_if<std::int64_t>(&v)) {
      out += std::to_string(*i);
    } else {
      out += "NULL";
    }
  }
  return out;
}

std::vector<std::string> texts(const std::vector<Row>& rows) {
  std::vector<std::string> out;
  for (const Row& r : rows) out.push_back(text(r));
  return out;
}

std::vector<std::string> rows_of(std::string_view sql, const Records& records) {
  MemoryView view(sql);
  view.apply(records.all());
  return texts(view.rows());
}

Definition must_split(std::string_view sql, const SplitOptions& options) {
  auto result = split(sql, options);
  if (auto* e = std::get_if<SqlError>(&result)) {
    ADD_FAILURE() << sql << "\n" << e->message;
    throw std::runtime_error(e->message);
  }
  return std::get<Definition>(result);
}

std::string refusal(std::string_view sql) {
  auto result = split(sql);
  if (auto* e = std::get_if<SqlError>(&result)) return e->message;
  return "";
}

namespace {

TEST(MemoryView, GroupsAndCounts) {
  Records r;
  r.add(R"({"a":"x","n":1})").add(R"({"a":"y","n":2})").add(R"({"a":"x","n":3.5})");
  EXPECT_EQ(rows_of("SELECT a, count(*), sum(n) AS s, sum(n)/count(n) AS mean FROM t GROUP BY a", r),
            (std::vector<std::string>{"x|2|4.5|2.25", "y|1|2|2"}));
}

}  // namespace
}  // namespace tidemill::views

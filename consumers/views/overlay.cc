#include "consumers/views/overlay.h"

#include <algorithm>

namespace tidemill::views {
namespace {

using Keys = decltype(WriteSet::Changes::keys);
using Ranges = decltype(WriteSet::Changes::removed);

const Ranges::value_type* range_of(const Ranges& ranges, std::string_view key) {
  const auto there =
      std::find_if(ranges.begin(), ranges.end(), [&](const auto& r) { return r.first <= key && key < r.second; });
  return there == ranges.end() ? nullptr : &*there;
}

// What is below without the ranges that are removed.
class RemainingCursor final : public Cursor {
 public:
  RemainingCursor(std::unique_ptr<Cursor> below, const Ranges& removed) : below_(std::move(below)), removed_(removed) {
    forward();
  }
  bool valid() const override { return below_->valid(); }
  std::string_view key() const override { return below_->key(); }
  std::string_view value() const override { return below_->value(); }
  void next() override {
    below_->next();
    forward();
  }
  void previous() override {
    below_->previous();
    back();
  }
  void seek(std::string_view key) override {
    below_->seek(key);
    forward();
  }
  void seek_to_last() override {
    below_->seek_to_last();
    back();
  }
  ErrorCode error() const override { return below_->error(); }

 private:
  void forward() {
    while (below_->valid()) {
      const auto* range = range_of(removed_, below_->key());
      if (range == nullptr) return;
      below_->seek(range->second);
    }
  }
  void back() {
    while (below_->valid() && range_of(removed_, below_->key()) != nullptr) below_->previous();
  }

  const std::unique_ptr<Cursor> below_;
  const Ranges& removed_;
};

class OverlayCursor final : public Cursor {
 public:
  OverlayCursor(std::unique_ptr<Cursor> below, const Keys& changes, std::string_view lower, std::string_view upper)
      : below_(std::move(below)),
        changes_(changes),
        begin_(changes.lower_bound(lower)),
        end_(upper.empty() ? changes.end() : changes.lower_bound(upper)) {
    forward(lower, true);
  }
  bool valid() const override { return valid_; }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return value_; }
  void next() override { forward(key_, false); }
  void seek(std::string_view key) override { forward(key, true); }
  void previous() override {
    below_->seek(key_);
    below_->valid() ? below_->previous() : below_->seek_to_last();
    back(bounded(changes_.lower_bound(key_)));
  }
  void seek_to_last() override {
    below_->seek_to_last();
    back(end_);
  }
  ErrorCode error() const override { return below_->error(); }

 private:
  using Place = Keys::const_iterator;

  Place bounded(Place at) const {
    if (at == changes_.end()) return end_;
    if (end_ != changes_.end() && at->first >= end_->first) return end_;
    if (begin_ == changes_.end() || at->first < begin_->first) return begin_;
    return at;
  }

  void forward(std::string_view from, bool inclusive) {
    const std::string start(from);  // may be of key_
    below_->seek(start);
    if (!inclusive && below_->valid() && below_->key() == start) below_->next();
    Place above = bounded(inclusive ? changes_.lower_bound(start) : changes_.upper_bound(start));
    for (;;) {
      if (above == end_ || (below_->valid() && below_->key() < above->first)) return show_below();
      if (below_->valid() && below_->key() == above->first) below_->next();
      if (above->second) return show(above->first, *above->second);
      ++above;
    }
  }

  // Those of the changes that stand before `above`, and `below_` from where it stands.
  void back(Place above) {
    for (;;) {
      if (above == begin_) return show_below();
      const Place last = std::prev(above);
      if (below_->valid() && below_->key() > last->first) return show_below();
      if (below_->valid() && below_->key() == last->first) below_->previous();
      if (last->second) return show(last->first, *last->second);
      above = last;
    }
  }

  void show_below() {
    valid_ = below_->valid();
    if (valid_) show(below_->key(), below_->value());
  }
  void show(std::string_view key, std::string_view value) {
    key_ = key;
    value_ = value;
    valid_ = true;
  }

  const std::unique_ptr<Cursor> below_;
  const Keys& changes_;
  const Place begin_;
  const Place end_;
  bool valid_ = false;
  std::string key_;
  std::string value_;
};

}  // namespace

Overlay::Overlay(std::shared_ptr<const Snapshot> below, const Family& family, const WriteSet& set)
    : below_(std::move(below)), family_(family), changes_(set.changes()) {}

Result<std::optional<std::string>> Overlay::get(const Family& family, std::string_view key) const {
  if (&family == &family_) {
    if (const auto changed = changes_.keys.find(key); changed != changes_.keys.end()) return changed->second;
    if (range_of(changes_.removed, key) != nullptr) return std::optional<std::string>();
  }
  return below_->get(family, key);
}

std::unique_ptr<Cursor> Overlay::cursor(const Family& family, std::string_view lower, std::string_view upper) const {
  auto below = below_->cursor(family, lower, upper);
  if (&family != &family_) return below;
  if (!changes_.removed.empty()) below = std::make_unique<RemainingCursor>(std::move(below), changes_.removed);
  return std::make_unique<OverlayCursor>(std::move(below), changes_.keys, lower, upper);
}

}  // namespace tidemill::views

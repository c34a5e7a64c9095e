#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidemill::views {

// What goes into one family of the database in one write: all of it or nothing, also after a crash. Later puts win.
class WriteSet {
 public:
  void put(std::string_view key, std::string_view value);
  void remove(std::string_view key);
  // All from `first` on and before `end`. For many keys at once: reading past it costs more than past single ones.
  void remove_range(std::string_view first, std::string_view end);
  void clear();
  std::size_t bytes() const { return memory_.size(); }
  // What each key becomes; nullopt: it is removed. And the ranges that are, but for those keys.
  struct Changes {
    std::map<std::string, std::optional<std::string>, std::less<>> keys;
    std::vector<std::pair<std::string, std::string>> removed;  // the second of each is exclusive
  };
  Changes changes() const;

  enum class Kind : std::uint8_t { put, remove, remove_range };
  struct Entry {
    Kind kind;
    std::string_view key, value;  // the value of a range is its end
  };
  std::size_t size() const { return places_.size(); }
  Entry entry(std::uint32_t i) const;
  // The entries in order of their keys, those of one key as they came: a memtable takes neighbours one after the other
  // for much less than the same keys anyhow. With a range among them, as they came: it is about those before it.
  std::vector<std::uint32_t> in_order() const;

 private:
  struct Place {
    std::size_t key, value;  // offsets in memory_
    std::size_t end;
    Kind kind;
  };
  std::string memory_;
  std::vector<Place> places_;
  bool ranges_ = false;
};

}  // namespace tidemill::views

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/position.h"

namespace tidemill::views {

// Which rows of a view its latest writes have touched, by group key: in memory, for who watches the view. It is kept
// from the first watcher on, at most kBytesMax of it, the latest; what a watcher needs and is not here any more, it
// finds by the rows' last sequences. Any thread; the view's writer adds.
class Changes : public std::enable_shared_from_this<Changes> {
 public:
  static constexpr std::size_t kBytesMax = 4 << 20;

  // ---- the writer's. Costs nothing while nobody watches.
  bool wanted() const;
  // After the write is seen by readers. `position` is the checkpoint's; `moved`: the write has brought it there (else
  // it is about records before it: decisions, or rows that have gone).
  struct Write {
    Position position;
    std::int64_t stream_time_ms = 0;
    bool moved = true;
  };
  void add(const Write& write, std::string keys);
  void tell();  // calls who listens
  static void append(std::string& keys, std::string_view group_key);

  // ---- the watchers'
  // From now on it is kept, as long as the handle is there, and then until there is too much of it.
  std::shared_ptr<void> watch();
  std::shared_ptr<void> listen(std::function<void()> then);  // until the handle goes

  std::uint64_t latest() const;  // number of the latest write; 0: none is kept
  // All writes after number `from` that readers of a snapshot at `position`, taken after latest() said `seen`, see.
  struct Since {
    std::uint64_t to = 0;
    std::vector<std::string> keys;  // in order, each once
  };
  std::optional<Since> since(std::uint64_t from, std::uint64_t seen, Position position) const;  // nullopt: not all kept
  // Where to begin so that nothing later than `position` is missing. nullopt: not all is kept.
  struct Begin {
    std::uint64_t after = 0;  // number
    std::int64_t stream_time_ms = 0;
  };
  std::optional<Begin> begin(Position position) const;

 private:
  struct Kept {
    Write write;
    std::string keys;
  };
  void drop_all();  // with mutex_ held
  mutable std::mutex mutex_;
  std::uint64_t watchers_ = 0;
  bool wanted_ = false;
  std::deque<Kept> kept_;  // the last has number latest_
  std::uint64_t latest_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t listeners_made_ = 0;
  std::vector<std::pair<std::uint64_t, std::shared_ptr<std::function<void()>>>> listeners_;
};

}  // namespace tidemill::views

#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/context.h"
#include "api/errors/catalogue.h"
#include "api/router/follower.h"
#include "api/views/feed.h"
#include "engine/serial.h"

namespace tidemill {

// One client that watches a view (text/event-stream): a copy of its rows, or what changed after its cursor, then what
// changes. It runs on env.background when the view has changed, a moment at a time. It holds no row and no snapshot
// between two runs: what a slow client has not taken is read again, as it is then. It ends when the client has gone,
// its key is not good any more, the server drains, or only a new copy will do.
class Watcher final : public Serial {
 public:
  static constexpr std::size_t kRoundRows = 500;

  struct Ask {
    Follower follower;
    std::vector<views::Watch::Range> ranges;   // of group keys
    std::shared_ptr<views::RowFilter> filter;  // of these, the rows that fit; nullptr: all
    bool whole = false;                        // all rows: in step with others
    std::uint64_t fingerprint = 0;             // of what was asked for, for the cursor; 0: of all rows
    std::optional<views::Watch::Cursor> cursor;
    std::string refetch;          // why the cursor will not do
    std::shared_ptr<void> share;  // of how many there may be
  };
  Watcher(ApiContext& context, WatchMetrics& metrics, std::shared_ptr<Feed> feed, Ask ask,
          std::shared_ptr<http::Stream> out);
  void begin();

 private:
  enum class Then { go_on, idle };
  enum class State { begins, scans, reads_keys, follows };
  void run() override;
  Then step();
  Result<Then> work();
  Result<Then> begin_from(const std::optional<views::Watch::Cursor>& cursor);
  Result<Then> scan();
  Result<Then> read_keys();
  Result<Then> follow();
  bool hand_over();
  Result<void> append(std::vector<views::Watch::Touched>& rows);
  void mark(const char* event);
  void heartbeat();
  void fail(ErrorId id, std::string_view detail);
  void refetch(const std::string& reason);
  void end(bool abort);

  ApiContext& context_;
  WatchMetrics& metrics_;
  std::shared_ptr<Feed> feed_;
  Ask ask_;
  const std::shared_ptr<http::Stream> out_;
  std::shared_ptr<Watcher> self_;  // until it ends

  State state_ = State::begins;
  views::Watch::Point point_;    // what follows it has not been sent
  views::Watch::Cursor resume_;  // the same, where point_ is not known any more
  views::Watch::Cursor cursor_;  // the same for the client, once that was told
  views::AsOf as_of_;
  bool marked_ = false;  // the client knows cursor_
  bool owes_ = true;     // to say that the copy is current
  // State::scans
  std::size_t range_ = 0;
  std::string from_;
  Sequence after_{0};
  bool copies_ = false;  // who is sent this has no rows yet: nothing is to be removed
  // State::reads_keys
  std::vector<std::string> keys_;
  std::size_t key_ = 0;

  std::string text_;  // made and not handed over
  MonotonicTime comment_due_{};
  std::chrono::milliseconds pause_;
};

// The cursor as clients know it, and back. nullopt: it is none.
std::string encode_cursor(const views::Watch::Cursor& cursor, const std::string& token, std::uint64_t fingerprint);
struct ReadCursor {
  views::Watch::Cursor cursor;  // its position is not known to be of this log
  Token token;
  std::uint64_t fingerprint = 0;
};
std::optional<ReadCursor> decode_cursor(std::string_view text);

}  // namespace tidemill

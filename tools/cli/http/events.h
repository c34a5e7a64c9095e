#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace tidemill::cli {

// Cuts a server-sent stream (text/event-stream) into events. Lines end with LF or CR LF; comments and other fields are
// skipped. One for all connections of a tail: the id is what to go on with after a break; clear() what was left half.
class Events {
 public:
  // Name (empty: a message) and data of a whole event; false ends it. Its id is id() by then.
  using Take = std::function<bool(const std::string& name, const std::string& data)>;
  bool add(std::string_view bytes, const Take& take);  // false: `take` said so
  const std::string& id() const { return id_; }        // of the last event that had one; empty: none, or taken back
  void forget_id() { id_.clear(); }
  void clear();

 private:
  bool end_of_line(const Take& take);
  std::string line_, name_, data_, id_, next_id_;
  bool has_id_ = false;
};

}  // namespace tidemill::cli

#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tools/cli/sql/completer.h"

namespace tidemill::cli {

// A line from the terminal, edited as it is typed: history, completion with the tabulator, whatever ~/.editrc binds.
// The only place that knows libedit. One at a time in a process.
class LineEditor {
 public:
  using Complete = std::function<Completion(std::string_view line_to_the_cursor)>;
  // `history_file`: read now, added to at once with each entry, for several shells may share it; empty: none.
  // `interrupted`: a handler of SIGINT sets it; reading ends then, and takes it back.
  LineEditor(const char* program, std::string history_file, std::atomic<bool>& interrupted, Complete complete);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  enum class Read { line, interrupted, end };
  Read read(const std::string& prompt, std::string& line);  // without its line end
  void remember(const std::string& entry);                  // one line

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemill::cli

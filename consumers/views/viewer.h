#pragma once

#include <functional>
#include <string_view>

namespace tidemill::views {

// Which views there are for whoever asks, for the queries that this thread begins while it lives: the others do not
// exist for them. Views::query() takes what it needs before it returns. One at a time on a thread; without one, all.
class Viewer {
 public:
  using MayQuery = std::function<bool(std::string_view view)>;
  explicit Viewer(MayQuery may_query);
  ~Viewer();
  Viewer(const Viewer&) = delete;
  Viewer& operator=(const Viewer&) = delete;

  static const MayQuery* here();  // nullptr: there is none on this thread

 private:
  const MayQuery may_query_;
};

}  // namespace tidemill::views

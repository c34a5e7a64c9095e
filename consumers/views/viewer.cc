#include "consumers/views/viewer.h"

#include <utility>

#include "storage/base/check.h"

namespace tidemill::views {
namespace {

thread_local const Viewer::MayQuery* current = nullptr;

}  // namespace

Viewer::Viewer(MayQuery may_query) : may_query_(std::move(may_query)) {
  CHECK(current == nullptr);
  current = &may_query_;
}

Viewer::~Viewer() {
  current = nullptr;
}

const Viewer::MayQuery* Viewer::here() {
  return current;
}

}  // namespace tidemill::views

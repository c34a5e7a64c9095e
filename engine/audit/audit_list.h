#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/keys/key_text.h"
#include "engine/qualified_name.h"
#include "engine/system_stream.h"
#include "storage/base/result.h"
#include "storage/log/log.h"

namespace tidemill {

// Where a page of the list begins: the next record of either log.
struct AuditCursor {
  Sequence audit{1};
  Sequence system{1};
};

struct AuditQuery {
  // What is asked for comes with the sums that may count more of it (audit.summed).
  std::optional<KeyId> key;             // who did it, or whom it is about
  std::optional<WallTime> from, until;  // at or after; before
  std::string action;                   // an action, or how it begins, with `*` at the end; empty: all
  std::string tenant;                   // only what is this tenant's; empty: everything
  std::size_t limit = 100;
  std::optional<AuditCursor> after;  // else from the beginning, or from `from`
};

struct AuditPage {
  std::vector<std::string> items;   // JSON objects
  std::optional<AuditCursor> next;  // more may follow; the page may be empty all the same
  std::vector<LostRange> lost;      // of what was gone through: it cannot be read
};

// What the audit trail and the system stream say, together, by time: who came, who was turned away, who asked for a
// change, and what changed. Of an event of the system stream only names, ids and times are shown, never what is kept of
// a secret. Made once; any thread; blocks on the disk.
class AuditList {
 public:
  using TenantOf = std::function<std::optional<std::string>(KeyId)>;
  AuditList(SystemStream& system, TenantOf tenant_of);
  // `audit` may be nullptr: there is none.
  Result<AuditPage> page(const std::shared_ptr<Log>& audit, const AuditQuery& query);

 private:
  struct Streams;  // names of all streams there ever were, by id
  Result<void> learn_streams();

  SystemStream& system_;
  const TenantOf tenant_of_;
  std::mutex mutex_;
  bool learned_ = false;
  const std::shared_ptr<Streams> streams_;
};

}  // namespace tidemill

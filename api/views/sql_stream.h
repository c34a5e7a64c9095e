#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "api/context.h"
#include "api/turns/tenant_shares.h"
#include "api/views/sql_writer.h"

namespace tidemill {

// Who waits for an answer, before and after it has begun.
struct SqlClient {
  std::string tenant;                 // whose turn it takes
  http::Responder responder;          // until then
  std::shared_ptr<http::Stream> out;  // from then on
  bool gone() const { return out ? out->gone() : responder && responder.abandoned(); }
};

// The answer to a statement as it is made, in chunks, of any size in little memory. It works when its
// tenant's turn comes, a moment at a time, so that others get their turn; while the client has not taken what was sent
// it does not work at all. What ends before the first 64 KiB or the first moment is over is an ordinary answer, and so
// is an error up to then. After that an error cuts the connection, without the last chunk: the client sees that the
// answer is not whole.
//
// Owned by the tasks that carry it on. Its cursor is gone before the request counts as answered, so a server that stops
// when all are may take the views apart.
class SqlStream : public std::enable_shared_from_this<SqlStream> {
 public:
  // `streams`: how many answers have begun and not ended, each of which holds a snapshot.
  SqlStream(ApiContext& context, std::shared_ptr<SqlClient> client, std::unique_ptr<views::QueryCursor> cursor,
            SqlWriter writer, std::shared_ptr<TenantShares> streams);
  void work();  // on a worker

 private:
  enum class Then { again, wait, over };
  Then moment();
  Then send(bool last);
  Then broken(const views::SqlError& error);
  void go_on(Then then);
  void begin();
  void let_go(bool whole);
  bool time_is_up();

  ApiContext& context_;
  TenantQueue turns_;  // lives on where the server does not
  const std::shared_ptr<SqlClient> client_;
  std::unique_ptr<views::QueryCursor> cursor_;
  SqlWriter writer_;
  std::string text_;  // made and not sent
  bool ended_ = false;
  const std::shared_ptr<TenantShares> streams_;
  std::shared_ptr<void> share_;  // of them, once it has begun
  std::chrono::milliseconds pause_;
  const MonotonicTime begun_;
  const MonotonicTime until_;
  std::optional<MonotonicTime> draining_since_;
};

http::Response sql_problem(const views::SqlError& error);

}  // namespace tidemill

#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/context.h"
#include "api/router/router.h"
#include "api/turns/tenant_shares.h"
#include "api/views/sql_writer.h"
#include "api/views/watches.h"
#include "consumers/views/touches.h"

namespace tidemill {

struct SqlInput;

// What views show: definitions, rows by key and by range, SQL. Reading is done on workers; after= and a view that is
// not ready yet are waited for without holding one.
class ViewRoutes {
 public:
  explicit ViewRoutes(ApiContext& context) : context_(context), watches_(context) {}
  void list(Call& call, http::Responder responder);
  void get(Call& call, http::Responder responder);
  void put(Call& call, http::Responder responder);
  void remove(Call& call, http::Responder responder);
  void verify(Call& call, http::Responder responder);
  void row(Call& call, http::Responder responder);
  void rows(Call& call, http::Responder responder);
  void why(Call& call, http::Responder responder);
  void why_row(Call& call, http::Responder responder);
  void short_form(const char* view, Call& call, http::Responder responder);
  void quarantine(Call& call, http::Responder responder);
  void decide(Call& call, http::Responder responder);
  void sql(Call& call, http::Responder responder);
  void history(Call& call, http::Responder responder);
  void changes(Call& call, http::Responder responder);  // watches.cc
  Watches& watches() { return watches_; }

 private:
  using Then = std::function<void(http::Responder)>;
  // Answers by itself when the views do not get there. `stream`: the token must be of it; empty: any.
  void when_visible(Call& call, http::Responder responder, std::vector<std::string> names, std::string stream,
                    Then then);
  void when_ready(std::shared_ptr<http::Responder> responder, OwnViews views, std::vector<std::string> names,
                  MonotonicTime until, Then then);
  void about(Call& call, http::Responder responder, std::vector<std::string> names, std::string stream, Then then);
  void answer_sql(views::Views& views, const SqlInput& in, SqlShape shape, const Principal& who, http::Responder r);
  std::optional<http::Response> refuse_touches(const Call& call, const views::StatementText& text,
                                               bool& question) const;
  std::optional<http::Response> refuse_touches(const Call& call, const std::vector<views::Touch>& touches) const;
  // Records of the view's stream are shown: that takes more than the view's rows.
  std::optional<http::Response> refuse_records(const Call& call, const views::ViewInfo& info) const;
  void why(Call& call, http::Responder responder, std::string_view raw_key);
  void read_row(Call& call, http::Responder responder, const std::string& view, std::string_view raw_key);
  // past.cc
  void read_past(Call& call, http::Responder responder, const views::ViewInfo& info, std::vector<views::Row> tries);
  static bool refuse_at(Call& call, http::Responder& responder);  // true: has answered

  ApiContext& context_;
  Watches watches_;
  const std::shared_ptr<TenantShares> sql_streams_ = std::make_shared<TenantShares>(128, 64);
};

}  // namespace tidemill

#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/context.h"
#include "api/router/router.h"

namespace tidemill {

// What views show: definitions, rows by key and by range, SQL. Reading is done on workers; after= and a view that is
// not ready yet are waited for without holding one.
class ViewRoutes {
 public:
  explicit ViewRoutes(ApiContext& context) : context_(context) {}
  void list(Call& call, http::Responder responder);
  void get(Call& call, http::Responder responder);
  void put(Call& call, http::Responder responder);
  void remove(Call& call, http::Responder responder);
  void verify(Call& call, http::Responder responder);
  void row(Call& call, http::Responder responder);
  void rows(Call& call, http::Responder responder);
  void short_form(const char* view, Call& call, http::Responder responder);
  void sql(Call& call, http::Responder responder);

 private:
  using Then = std::function<void(http::Responder)>;
  // Answers by itself when the views do not get there. `stream`: the token must be of it; empty: any.
  void when_visible(Call& call, http::Responder responder, std::vector<std::string> names, std::string stream,
                    Then then);
  void when_ready(std::shared_ptr<http::Responder> responder, std::vector<std::string> names, MonotonicTime until,
                  Then then);
  void about(Call& call, http::Responder responder, std::vector<std::string> names, std::string stream, Then then);
  void read_row(Call& call, http::Responder responder, const std::string& view, std::string_view raw_key);

  ApiContext& context_;
};

}  // namespace tidemill

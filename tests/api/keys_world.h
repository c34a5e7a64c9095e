#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "api/routes.h"
#include "tests/api/api_world.h"
#include "tests/api/issued_key.h"

namespace tidemill {

// A server with keys and the views customers and invoices.
struct KeysApi : ::testing::Test {
  explicit KeysApi(std::chrono::milliseconds history_every = {})
      : world({}, null_logger(), true, {}, {}, history_every) {}
  ApiWorld world;

  // A key with these scopes, as it is sent.
  std::string key(const std::vector<std::string>& scopes, std::string tenant = "default",
                  std::optional<WallTime> expires = {}) {
    const auto issued = issue(*world.keys, scopes, std::move(tenant), expires);
    ids[text_of(issued)] = issued.key.id;
    return text_of(issued);
  }
  ClientAnswer get(const std::string& path, const std::string& key) { return world.get(path, bearer(key)); }
  ClientAnswer send(const std::string& method, const std::string& path, const std::string& body, const std::string& key,
                    const std::string& type = "application/json") {
    return world.ask(ApiWorld::request(method, path, body, bearer(key) + "Content-Type: " + type + "\r\n"));
  }
  ClientAnswer sql(const std::string& statement, const std::string& key) {
    return send("POST", "/v1/sql", nlohmann::json{{"sql", statement}}.dump(), key);
  }
  std::map<std::string, KeyId> ids;
};

// The routes by the table that the server itself has.
inline std::vector<Route> table(ApiWorld& world) {
  static ApiContext context(world.real.env, *world.engine, nullptr, world.workers);
  static Records records(context);
  static Streams streams(context, records);
  static ViewRoutes views(context);
  static KeyRoutes keys(context, nullptr);
  static AuditRoutes audit(context, nullptr);
  static LimitRoutes limits(context, nullptr);
  static std::unique_ptr<Ingest> ingest;
  return make_routes({context, ingest, records, streams, views, keys, audit, limits, [] { return std::string(); }});
}

}  // namespace tidemill

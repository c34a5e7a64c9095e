#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <vector>

#include "tests/api/api_world.h"
#include "tests/api/issued_key.h"

// What must go on however much there is to do for others.

namespace tidemill {
namespace {

using Json = nlohmann::json;

struct BusyApi : ::testing::Test {
  HoldExecutor background;
  ApiWorld world{{}, null_logger(), true, {}, {.background = &background}};
  ~BusyApi() override { background.release(); }

  Keys::Issued key(const std::vector<std::string>& scopes, std::string tenant = "default") {
    return issue(*world.keys, scopes, std::move(tenant));
  }
};

// Every thread of the background works for views: on the system stream and the audit trail nobody waits for them.
TEST_F(BusyApi, KeysEndStreamsBeginAndDenialsAreWrittenWhileTheBackgroundIsBusy) {
  const auto admin = key({"instance:admin", "stream:*:admin"});
  const auto stolen = key({"stream:retail:read"});
  background.hold();
  const std::string path = "/v1/keys/" + to_text(stolen.key.id);
  ASSERT_EQ(world.ask(ApiWorld::request("DELETE", path, {}, bearer(admin))).status, 204);
  EXPECT_EQ(world.get("/v1/streams/retail", bearer(stolen)).status, 401);
  EXPECT_EQ(world
                .ask(ApiWorld::request("PUT", "/v1/streams/other", R"({"shards":1})",
                                       bearer(admin) + std::string(kJsonHeader)))
                .status,
            201);
  world.audit->flush();
  const auto said = world.get("/v1/audit?action=auth.denied", bearer(admin));
  ASSERT_EQ(said.status, 200) << said.body;
  const Json answer = said.json();  // the loop must not outlive it
  bool noted = false;
  for (const auto& event : answer["events"]) noted |= event.value("reason", "") == "revoked";
  EXPECT_TRUE(noted) << said.body;
}

// Every worker waits for something: who manages the instance does not wait for them.
TEST_F(BusyApi, KeysLimitsStreamsAndMetricsDoNotWaitForWorkers) {
  const auto admin = key({"instance:admin", "server:read", "stream:*:admin"});
  const auto stolen = key({"stream:retail:read"});
  std::promise<void> done;
  const std::shared_future<void> over = done.get_future().share();
  for (int i = 0; i < 4; ++i) world.workers.post([over] { over.wait(); });
  const std::string id = to_text(stolen.key.id);
  const std::string json = bearer(admin) + std::string(kJsonHeader);
  EXPECT_EQ(
      world.ask(ApiWorld::request("PUT", "/v1/limits/keys/" + id, R"({"requests":{"per_second":1}})", json)).status,
      200);
  EXPECT_EQ(world.ask(ApiWorld::request("DELETE", "/v1/keys/" + id, {}, bearer(admin))).status, 204);
  EXPECT_EQ(world.get("/metrics", bearer(admin)).status, 200);
  EXPECT_EQ(world.ask(ApiWorld::request("PUT", "/v1/streams/other", R"({"shards":1})", json)).status, 201);
  EXPECT_EQ(world.get("/healthz").status, 200);
  done.set_value();
}

// One connection of one tenant, with more statements that never end than there are threads.
TEST_F(BusyApi, SlowStatementsOfOneTenantDoNotStopAnother) {
  ApiLimits limits;
  limits.sql.time_max = std::chrono::minutes(5);
  world.server->set_limits(limits);
  const auto theirs = key({"view:*:query"}, "greedy");
  const auto ours = key({"view:*:query"}, "modest");
  const auto sql = [](const Keys::Issued& of, const std::string& statement) {
    return ApiWorld::request("POST", "/v1/sql", Json{{"sql", statement}}.dump(), bearer(of) + std::string(kJsonHeader));
  };
  RawClient greedy(world.server->port());
  std::string many;
  for (int i = 0; i < 40; ++i)
    many += sql(theirs, "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n");
  ASSERT_TRUE(greedy.send(many));
  for (int i = 0; i < 3; ++i) {
    const auto answer = world.ask(sql(ours, "SELECT 1 AS one"));
    EXPECT_EQ(answer.status, 200) << answer.body;
  }
  // Beside statements, rows and lists are as brief as ever.
  EXPECT_EQ(world.get("/v1/views", bearer(ours)).status, 200);
  greedy.reset();  // nobody waits any more: the statements end
}

// Answers that nobody reads to their end hold a snapshot each, and one tenant's are not all that there may be.
TEST_F(BusyApi, LargeAnswersOfOneTenantLeaveSomeToOthers) {
  const auto theirs = key({"view:*:query"}, "greedy");
  const auto ours = key({"view:*:query"}, "modest");
  const auto ask = [&](RawClient& client, const Keys::Issued& of) {
    const std::string wide(1'000, 'x');
    const std::string sql =
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x, '" + wide + "' AS wide FROM n";
    client.send(ApiWorld::request("POST", "/v1/sql", Json{{"sql", sql}}.dump(),
                                  bearer(of) + "Accept: application/x-ndjson\r\n" + std::string(kJsonHeader)));
    return client.answer();
  };
  std::vector<std::unique_ptr<RawClient>> clients;
  const auto more = [&]() -> RawClient& {
    return *clients.emplace_back(std::make_unique<RawClient>(world.server->port(), 4'096));
  };
  for (int i = 0; i < 64; ++i) ASSERT_EQ(ask(more(), theirs).status, 200) << i;
  const auto refused = ask(more(), theirs);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.code(), "throttled");
  EXPECT_EQ(ask(more(), ours).status, 200);
}

}  // namespace
}  // namespace tidemill

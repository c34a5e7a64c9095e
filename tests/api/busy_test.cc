#include <gtest/gtest.h>

#include "tests/api/api_world.h"

// What must go on however much there is to do for others.

namespace tidemill {
namespace {

using Json = nlohmann::json;

struct BusyApi : ::testing::Test {
  HoldExecutor background;
  ApiWorld world{{}, null_logger(), true, {}, {.background = &background}};
  ~BusyApi() override { background.release(); }

  Keys::Issued key(const std::vector<std::string>& scopes, std::string tenant = "default") {
    WantedKey wanted;
    wanted.name = "test";
    wanted.tenant = std::move(tenant);
    for (const auto& scope : scopes) wanted.scopes.push_back(*parse_scope(scope));
    auto issued = world.keys->create(wanted, {});
    EXPECT_TRUE(issued);
    return std::move(*issued);
  }
  static std::string by(const Keys::Issued& key) {
    return "Authorization: Bearer " + std::string(key.secret.view()) + "\r\n";
  }
};

// Every thread of the background works for views: on the system stream and the audit trail nobody waits for them.
TEST_F(BusyApi, KeysEndStreamsBeginAndDenialsAreWrittenWhileTheBackgroundIsBusy) {
  const auto admin = key({"instance:admin", "stream:*:admin"});
  const auto stolen = key({"stream:retail:read"});
  background.hold();
  const std::string path = "/v1/keys/" + to_text(stolen.key.id);
  ASSERT_EQ(world.ask(ApiWorld::request("DELETE", path, {}, by(admin))).status, 204);
  EXPECT_EQ(world.get("/v1/streams/retail", by(stolen)).status, 401);
  EXPECT_EQ(
      world.ask(ApiWorld::request("PUT", "/v1/streams/other", R"({"shards":1})", by(admin) + std::string(kJsonHeader)))
          .status,
      201);
  world.audit->flush();
  const auto said = world.get("/v1/audit?action=auth.denied", by(admin));
  ASSERT_EQ(said.status, 200) << said.body;
  const Json answer = said.json();  // the loop must not outlive it
  bool noted = false;
  for (const auto& event : answer["events"]) noted |= event.value("reason", "") == "revoked";
  EXPECT_TRUE(noted) << said.body;
}

}  // namespace
}  // namespace tidemill

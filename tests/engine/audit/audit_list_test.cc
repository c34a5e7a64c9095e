#include "engine/audit/audit_list.h"

#include "tests/engine/audit/audit_world.h"

namespace tidemill {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Json = nlohmann::json;
using namespace std::chrono_literals;

// The list: both logs by time, filtered, in pages, for one tenant or all.
struct AuditListWorld : AuditWorld {
  std::unique_ptr<AuditList> list;
  void SetUp() override {
    AuditWorld::SetUp();
    list = std::make_unique<AuditList>(
        world.engine->system(), [](KeyId id) { return std::optional<std::string>(id == kBoard ? "acme" : "default"); });
    ASSERT_TRUE(world.create("retail"));
    ASSERT_TRUE(world.engine->system().append(
        "key.created", R"({"id":")" + to_text(kTill) +
                           R"(","kind":"api","name":"till","tenant":"default","scopes":["server:admin"],)"
                           R"("created":"2026-01-02T03:04:05.000Z","sha256":"5ec3e7","by":")" +
                           to_text(kBoard) + R"("})"));
    pass(1s);
    audit->denied(request(kTill), "forbidden", "instance:admin");
    pass(2s);
    audit->denied({kBoard, "acme", "GET", "cut", "", "10.0.0.3"}, "forbidden", "instance:admin");
    audit->denied(request({}), "no_key", {});
    pass(2s);
    ASSERT_TRUE(world.engine->system().append(
        "key.revoked", R"({"id":")" + to_text(kBoard) + R"(","revoked":"2026-01-02T03:04:05.000Z"})"));
    ASSERT_TRUE(world.engine->remove(in_default("retail")));
  }
  std::vector<Json> ask(AuditQuery query) {
    std::vector<Json> out;
    for (int pages = 0; pages < 100; ++pages) {
      const auto page = list->page(audit->log(), query);
      EXPECT_TRUE(page);
      EXPECT_LE(page->items.size(), query.limit);
      for (const std::string& item : page->items) out.push_back(Json::parse(item));
      if (!page->next) return out;
      query.after = page->next;
    }
    ADD_FAILURE() << "endless";
    return out;
  }
  std::vector<std::string> actions(const AuditQuery& query) {
    std::vector<std::string> out;
    for (const Json& e : ask(query)) out.push_back(e["action"]);
    return out;
  }
};

TEST_F(AuditListWorld, BothLogsByTimeInPagesOfAnySize) {
  const std::vector<std::string> all{"stream.creating", "stream.created", "key.created", "auth.denied",
                                     "auth.denied",     "auth.denied",    "key.revoked", "stream.removed"};
  for (std::size_t limit = 1; limit < 10; ++limit) {
    AuditQuery query;
    query.limit = limit;
    EXPECT_EQ(actions(query), all) << limit;
  }
}

TEST_F(AuditListWorld, ByActionTimeAndKey) {
  AuditQuery query;
  query.action = "auth.denied";
  EXPECT_EQ(ask(query).size(), 3u);
  query.action = "key.*";
  EXPECT_THAT(actions(query), ElementsAre("key.created", "key.revoked"));
  query = {};
  query.key = kBoard;  // made the one, was refused, was revoked
  EXPECT_THAT(actions(query), ElementsAre("key.created", "auth.denied", "key.revoked"));
  const Json revoked = ask(query).back();
  query = {};
  query.from = *parse_rfc3339(ask(query)[4]["time"].get<std::string>());
  EXPECT_THAT(actions(query), ElementsAre("auth.denied", "auth.denied", "key.revoked", "stream.removed"));
  query.until = *parse_rfc3339(revoked["time"].get<std::string>());
  EXPECT_THAT(actions(query), ElementsAre("auth.denied", "auth.denied"));
}

TEST_F(AuditListWorld, ATenantIsShownItsOwn) {
  AuditQuery query;
  query.tenant = "acme";
  EXPECT_THAT(actions(query), ElementsAre("auth.denied", "key.revoked"));
  query.tenant = "default";
  const auto own = ask(query);
  EXPECT_THAT(actions(query),
              ElementsAre("stream.creating", "stream.created", "key.created", "auth.denied", "stream.removed"));
  EXPECT_EQ(own[4]["name"], "retail") << "also of what is gone";
  query.tenant = "nobody";
  EXPECT_THAT(actions(query), IsEmpty());
}

TEST_F(AuditListWorld, NothingThatComesOfASecretIsShown) {
  for (const Json& e : ask({})) EXPECT_THAT(e.dump(), Not(HasSubstr("5ec3e7")));
}

}  // namespace
}  // namespace tidemill

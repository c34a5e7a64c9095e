#include "tests/api/api_world.h"

namespace tidemill {
namespace {

TEST(Api, OneObjectInAndOut) {
  ApiWorld world;
  const auto in = world.ask(ApiWorld::post(kGood));
  ASSERT_EQ(in.status, 200) << in.body;
  EXPECT_EQ(in.json()["accepted"], 1);
  EXPECT_EQ(in.json()["first_sequence"], 1);
  EXPECT_EQ(in.json()["ack"], "durable");
  EXPECT_EQ(world.stream->log().durable(), Sequence(1));
  const auto out = world.get("/v1/streams/retail/records");
  ASSERT_EQ(out.status, 200) << out.body;
  const auto page = out.json();
  ASSERT_EQ(page["records"].size(), 1u) << out.body;
  EXPECT_EQ(page["records"][0]["data"].dump(), nlohmann::json::parse(kGood).dump());
  EXPECT_EQ(page["records"][0]["key"], "1");
  EXPECT_EQ(page["next"], 2);
  EXPECT_EQ(world.get("/healthz").body, "ok\n");
  EXPECT_NE(world.get("/metrics").body.find("tidemill_records_total{stream=\"retail\",tenant=\"default\"} 1"),
            std::string::npos);
}

}  // namespace
}  // namespace tidemill

#include "api/metrics/metrics.h"

#include "consumers/archive/archive.h"
#include "storage/log/pond.h"
#include "tests/api/api_world.h"

namespace tidemill {
namespace {

// The value of the first series that begins like this; -1: there is none.
double value(const std::string& text, const std::string& series) {
  const std::size_t at = ("\n" + text).find("\n" + series);
  if (at == std::string::npos) return -1;
  return std::stod(text.substr(text.find(' ', at) + 1));
}

TEST(Metrics, EachOfTheTableIsThereAndHasItsLabels) {
  LogOptions log;
  log.pond = std::make_shared<Pond>(Pond::Options());
  ApiWorld world({}, null_logger(), true, log);
  const std::string directory = world.engine->directory().archive(in_default("retail"));
  ASSERT_TRUE(add_archive(world.engine->groups(), world.real.env, world.stream, directory));
  StreamDefinition kept = world.stream->definition();
  kept.retention.size_bytes = 1 << 30;
  ASSERT_TRUE(world.engine->change(kept));
  constexpr std::string_view goes = R"({"sql":"CREATE MATERIALIZED VIEW goes WITH (ttl = '1 day') AS )"
                                    R"(SELECT Country, count(*) AS n FROM retail GROUP BY Country"})";
  EXPECT_EQ(world.ask(ApiWorld::request("PUT", "/v1/views/goes", goes, kJsonHeader)).status, 201);
  const std::string make = R"({"sql":"CREATE STREAM made AS SELECT * FROM retail"})";
  ASSERT_EQ(world.ask(ApiWorld::request("POST", "/v1/sql", make, kJsonHeader)).status, 200);
  EXPECT_EQ(world.ask(ApiWorld::post(kGood, kJsonHeader, "?ack=view")).status, 200);
  // Of usage and of quotas there are series for each tenant that has some.
  EXPECT_EQ(world
                .ask(ApiWorld::request("PUT", "/v1/limits/tenants/default", R"({"requests":{"per_day":1000000}})",
                                       kJsonHeader))
                .status,
            200);
  ASSERT_TRUE(world.usage->append(
      {{"default", KeyId{7}, std::chrono::floor<std::chrono::hours>(system_clock().wall()), {1, 1, 1, 1}}}));
  const std::string text = world.get("/metrics").body;
  for (const MetricDescription& m : metric_table()) {
    const std::string name(m.name);
    if (name.starts_with("tidemill_tls_")) continue;  // only with TLS: tls_test
    std::string series = "\n" + name + (m.type == "histogram" ? "_bucket" : "");
    std::string labels(m.labels);
    if (!labels.empty()) series += "{" + labels.substr(0, labels.find(',')) + "=\"";
    EXPECT_NE(text.find(series), std::string::npos) << series;
    EXPECT_NE(text.find("# HELP " + name + " "), std::string::npos) << name;
  }
  EXPECT_GT(value(text, "tidemill_process_resident_memory_bytes"), 1e6);
  EXPECT_GE(value(text, "tidemill_process_threads"), 4);
  EXPECT_GT(value(text, "tidemill_wall_clock_seconds"), value(text, "tidemill_process_start_time_seconds") - 60);
  EXPECT_GT(value(text, "tidemill_process_max_fds"), value(text, "tidemill_process_open_fds"));
  EXPECT_GT(value(text, "tidemill_disk_size_bytes"), value(text, "tidemill_disk_free_bytes"));
  EXPECT_GT(value(text, "tidemill_disk_free_bytes"), 0);
  EXPECT_EQ(value(text, R"(tidemill_view_freshness_seconds{view="customers",tenant="default"})"), 0);
  // A view shows a batch before its group says that the batch is done.
  constexpr const char* kLag = R"(tidemill_group_lag_seconds{group="retail:views",tenant="default"})";
  double lag = value(text, kLag);
  for (int i = 0; i < 1'000 && lag > 0; ++i) lag = value(world.get("/metrics").body, kLag);
  EXPECT_EQ(lag, 0);
  EXPECT_EQ(world.get("/v1/views/customers").json()["freshness_seconds"], 0);
  EXPECT_EQ(value(text, "tidemill_disk_flush_median_seconds"), 0.00015);
  EXPECT_EQ(value(text, "tidemill_disk_flush_max_seconds"), 0.0009);
  EXPECT_EQ(value(text, "tidemill_disk_flush_implausible"), 0);
}

TEST(Metrics, KeysOfAllStreamsTogetherAreCountedAndAStreamSaysHowManyItHas) {
  LogOptions log;
  log.pond = std::make_shared<Pond>(Pond::Options{.requests_bytes_max = 8 << 10});
  ApiWorld world({}, null_logger(), false, log);
  const auto keys = [&] { return world.get("/v1/streams/retail").json()["idempotency_keys"].get<std::uint64_t>(); };
  EXPECT_EQ(keys(), log.request_window);
  for (int i = 0; i < 300; ++i) {
    const std::string header = std::string(kJsonHeader) + "Idempotency-Key: " + std::to_string(i) + "\r\n";
    ASSERT_EQ(world.ask(ApiWorld::post(kGood, header)).status, 200);
  }
  const std::string text = world.get("/metrics").body;
  EXPECT_LE(value(text, "tidemill_idempotency_bytes"), 8 << 10);
  EXPECT_EQ(value(text, "tidemill_idempotency_limit_bytes"), 8 << 10);
  EXPECT_EQ(value(text, "tidemill_idempotency_keys{stream=\"retail\",tenant=\"default\"}"), keys());
  EXPECT_GE(value(text, "tidemill_idempotency_window_seconds{stream=\"retail\",tenant=\"default\"}"), 0);
  EXPECT_LT(keys(), 200u);
  EXPECT_GT(keys(), 50u);
}

TEST(Metrics, ShardsHaveSeriesOfTheirOwnUpTo64) {
  ApiWorld world;
  for (const std::uint32_t shards : {64u, 65u}) {
    StreamDefinition d;
    d.name = "s" + std::to_string(shards);
    const auto stream = *world.engine->create(d, shards);
    ASSERT_TRUE(add_archive(world.engine->groups(), world.real.env, stream,
                            world.engine->directory().archive(in_default(d.name))));
  }
  const std::string text = world.get("/metrics").body;
  EXPECT_EQ(value(text, R"(tidemill_group_shard_lag_records{group="s64:archive",tenant="default",shard="63"})"), 0);
  EXPECT_EQ(value(text, R"(tidemill_group_shard_lag_seconds{group="s64:archive",tenant="default",shard="63"})"), 0);
  EXPECT_EQ(value(text, R"(tidemill_group_shard_lag_records{group="s65:archive")"), -1);
  EXPECT_EQ(value(text, R"(tidemill_group_worst_shard_lag_records{group="s65:archive",tenant="default"})"), 0);
  EXPECT_EQ(value(text, R"(tidemill_group_lag_records{group="s65:archive",tenant="default"})"), 0);
}

TEST(Metrics, BuffersOfConnectionsAreCounted) {
  ApiWorld world;
  RawClient client(world.server->port());
  const std::string half(300'000, ' ');
  client.send("POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n" + half);
  RawClient other(world.server->port());
  double held = 0;
  while (held < 300'000) {  // it is taken twice a second
    other.send(ApiWorld::request("GET", "/metrics"));
    held = value(other.answer().body, "tidemill_http_buffer_bytes");
    ASSERT_GE(held, 0);
  }
  EXPECT_LT(held, 2'000'000);
}

}  // namespace
}  // namespace tidemill

// What `tidemill status` makes of what a server says; the command itself is in commands_test.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tools/cli/status/report.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Status : public testing::Test {
 protected:
  Status() {
    facts.ready = true;
    facts.streams = Json::parse(
        R"([{"name":"retail","first_sequence":1,"last_sequence":1000,"bytes":3145728,"accepting":true,"lost":[],
            "shards":4,"closed_shards":0,"retention":{"age_seconds":null,"size_bytes":null,"wait_for_groups":false,
            "paused":null,"held":null,"groups_at_risk":[],"removed_records":0,"lost_records":0}}])");
    facts.groups = Json::parse(
        R"([{"name":"retail:views","consumer":"views","applied":1000,"lag_records":0,"lag_seconds":0.0,"last_error":null}])");
    facts.views = Json::parse(R"([{"name":"customers","rows":10,"parked":0,"freshness_seconds":2.25,"ready":true}])");
    facts.applied_by["retail:views"] = 1000;
    metrics();
  }
  void metrics(const std::string& more = {}, double free = 50e9) {
    facts.metrics = Scrape("tidemill_disk_size_bytes 100000000000\ntidemill_disk_free_bytes " + std::to_string(free) +
                           "\ntidemill_log_bytes{stream=\"a\"} 1e6\ntidemill_log_bytes{stream=\"b\"} 2e6\n" + more);
  }
  void lag(std::uint64_t records, double seconds, const char* error = nullptr) {
    facts.groups[0]["lag_records"] = records;
    facts.groups[0]["lag_seconds"] = seconds;
    facts.groups[0]["last_error"] = error ? Json{{"message", error}} : Json();
  }
  std::vector<std::string> found() const { return troubles(facts); }

  ServerFacts facts;
};

TEST(ScrapeText, IsReadAsPrometheusWritesIt) {
  const Scrape s(
      "# HELP a b\n# TYPE a counter\na 1\nb{x=\"1\",y=\"q\\\"u\\\\o\\nte, }\"} 2.5e3\nb{x=\"2\"} 1 1700000000\n"
      "nonsense\nc{x=\"open 1\n\nd NaN");
  ASSERT_EQ(s.samples().size(), 4u);
  EXPECT_EQ(s.value("a"), 1.0);
  EXPECT_EQ(s.samples()[1].labels.at("y"), "q\"u\\o\nte, }");
  EXPECT_EQ(s.sum("b"), 2501.0);
  EXPECT_EQ(s.value("b"), std::nullopt) << "with labels only";
  EXPECT_EQ(s.sum("none"), 0.0);
}

TEST_F(Status, NothingNeedsAHand) {
  EXPECT_THAT(found(), IsEmpty());
  lag(5, 0.2);
  EXPECT_THAT(found(), IsEmpty()) << "a group at work";
  lag(0, 0, "got over");
  metrics("tidemill_rocksdb_background_errors_total 3\n");
  EXPECT_THAT(found(), IsEmpty()) << "errors that were got over";
}

TEST_F(Status, ADiskThatIsNearlyFull) {
  metrics("", 5.1e9);
  EXPECT_THAT(found(), IsEmpty());
  metrics("", 4.9e9);
  EXPECT_THAT(found(), ElementsAre(AllOf(HasSubstr("only 4.9 % free"), HasSubstr("make room"))));
}

TEST_F(Status, ADiskThatFails) {
  metrics("tidemill_flush_failures_total{stream=\"retail\"} 2\n");
  EXPECT_THAT(found(), ElementsAre(AllOf(HasSubstr("2 commits could not be flushed"), HasSubstr("replace the disk"))));
  metrics();
  facts.streams[0]["accepting"] = false;
  EXPECT_THAT(found(), ElementsAre(HasSubstr("stream retail takes no records")));
}

TEST_F(Status, AFlushThatDoesNothing) {
  metrics("tidemill_disk_flush_implausible 0\n");
  EXPECT_THAT(found(), IsEmpty());
  metrics("tidemill_disk_flush_implausible 1\n");
  EXPECT_THAT(found(), ElementsAre(AllOf(HasSubstr("less time than any disk needs"), HasSubstr("server.data"))));
}

TEST_F(Status, DamageInTheLog) {
  facts.streams[0]["lost"] = Json::parse(R"([{"first":5,"last":9},{"first":2000,"last":2001}])");
  EXPECT_THAT(found(), ElementsAre(AllOf(HasSubstr("damaged records (5 to 9, 2,000 to 2,001)"), HasSubstr("backup"))));
}

TEST_F(Status, AGroupThatIsBehind) {
  lag(5, 1, "No space left on device");
  EXPECT_THAT(found(), ElementsAre(HasSubstr("does not get on: No space left on device")));
  lag(7000, 61);
  EXPECT_THAT(found(), ElementsAre(HasSubstr("has stood still for more than a minute, 7,000 records behind")));
  facts.applied_by["retail:views"] = 900;
  EXPECT_THAT(found(), ElementsAre(AllOf(HasSubstr("more than a minute behind"), HasSubstr("send less"))));
}

TEST_F(Status, ViewsThatCannotGoOn) {
  facts.failed_views = Json::parse(R"([{"name":"v","cause":"The view's stream is gone."}])");
  facts.views[0]["parked"] = 1;
  EXPECT_THAT(found(),
              ElementsAre(AllOf(HasSubstr("The view's stream is gone."), HasSubstr("tidemill view drop v")),
                          AllOf(HasSubstr("customers has parked 1 record that"), HasSubstr("--dry-run first"))));
  EXPECT_THAT(screen(facts, {}, 0), HasSubstr("failed"));
  facts.failed_views = Json::array();
  facts.views[0]["parked"] = 0;
  facts.views[0]["audit"] = {{"rows", 1000}, {"mismatches", 0}, {"time", nullptr}};
  EXPECT_THAT(found(), IsEmpty());
  facts.views[0]["audit"]["mismatches"] = 2;
  EXPECT_THAT(found(), ElementsAre(HasSubstr("customers: a sample of it is not what the log gives (2 rows)")));
}

TEST_F(Status, TheViewsDatabase) {
  metrics("tidemill_rocksdb_write_stopped 1\ntidemill_rocksdb_background_errors_total 3\n");
  EXPECT_THAT(found(), ElementsAre(HasSubstr("takes no writes"), HasSubstr("had 3 background errors")));
  metrics("tidemill_rocksdb_background_errors_total 3\n");
  lag(5, 1, "EIO");
  EXPECT_THAT(found(), ElementsAre(HasSubstr("does not get on"), HasSubstr("had 3 background errors")));
}

TEST_F(Status, TheServerItself) {
  facts.ingest = "The server is stopping.";
  metrics("tidemill_process_open_fds 95\ntidemill_process_max_fds 100\n");
  EXPECT_THAT(found(), ElementsAre(HasSubstr("takes no records: The server is stopping."),
                                   AllOf(HasSubstr("95 of 100 file descriptors"), HasSubstr("ulimit"))));
}

TEST_F(Status, RetentionThatDoesNotGoOnOrLosesRecords) {
  Json& retention = facts.streams[0]["retention"];
  retention["age_seconds"] = 3600.0;
  EXPECT_THAT(found(), IsEmpty());
  retention["groups_at_risk"] = {"retail:archive"};
  EXPECT_THAT(found(), ElementsAre(AllOf(HasSubstr("will soon remove what retail:archive has not"),
                                         HasSubstr("retention.wait_for_groups"))));
  retention["lost_records"] = 1;
  EXPECT_THAT(found(), ElementsAre(HasSubstr("has removed 1 record that a group"), HasSubstr("will soon remove")));
  retention["lost_records"] = 0;
  retention["wait_for_groups"] = true;
  retention["held"] = "Waits for group retail:archive, which is not open.";
  retention["paused"] = "Set the clock right.";
  EXPECT_THAT(found(), ElementsAre(HasSubstr("keeps more than its limits: Waits for group retail:archive"),
                                   HasSubstr("is paused: Set the clock right.")))
      << "it waits, so nothing is at risk";
}

TEST_F(Status, ShardsAndRetentionOfAStream) {
  facts.streams[0]["closed_shards"] = 3;
  facts.streams[0]["first_sequence"] = 501;
  Json& retention = facts.streams[0]["retention"];
  retention["age_seconds"] = 604800.0;
  EXPECT_THAT(screen(facts, {}, 0), HasSubstr("4 + 3 closed        501  7d\n"));
  retention["size_bytes"] = 10737418240;
  EXPECT_THAT(screen(facts, {}, 0), HasSubstr("4 + 3 closed        501  7d, 10GiB\n"));
  retention["held"] = "Waits.";
  retention["paused"] = "Set the clock right.";
  EXPECT_THAT(screen(facts, {}, 0), HasSubstr("  7d, 10GiB (paused) (held)\n"));
}

TEST_F(Status, OneScreen) {
  facts.address = "somewhere:7077";
  facts.rates["retail"] = 12.4;
  metrics(
      "tidemill_disk_flush_median_seconds 0.000091\ntidemill_disk_flush_max_seconds 0.0041\n"
      "tidemill_rocksdb_file_bytes 1234567\ntidemill_archive_bytes{stream=\"retail\"} 999\n");
  EXPECT_EQ(screen(facts, {"look here"}, 0),
            "tidemill at somewhere:7077: ready\n"
            "disk: log 3.0 MB, views 1.2 MB, archive 999 B, 50.0 GB of 100.0 GB free (50 %); a flush took 0.09 ms at "
            "the start, at most 4.10\n"
            "\n"
            "stream  records  records/s     log  shards  begins at  retention\n"
            "------  -------  ---------  ------  ------  ---------  ---------\n"
            "retail    1,000         12  3.1 MB       4          1  off\n"
            "\n"
            "group         lag records  lag seconds  last error\n"
            "------------  -----------  -----------  ----------\n"
            "retail:views            0          0.0\n"
            "\n"
            "view       rows  parked  lag seconds  ready\n"
            "---------  ----  ------  -----------  -----\n"
            "customers    10       0          2.2  yes\n"
            "\n"
            "! look here\n");
  const Json json = report_json(facts, {"look here"});
  EXPECT_EQ(json["disk"]["free_bytes"], 50'000'000'000);
  EXPECT_EQ(json["disk"]["flush_median_seconds"], 0.000091);
  EXPECT_EQ(json["troubles"][0], "look here");
}

}  // namespace
}  // namespace tidemill::cli

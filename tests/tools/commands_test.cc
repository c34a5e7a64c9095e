// The small commands, whole, from their command line to what they print, against canned answers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/temp_dir.h"
#include "tests/tools/cli_runner.h"
#include "tools/cli/commands.h"
#include "tools/cli/times.h"

namespace tidemill::cli {
namespace {

using testing::HasSubstr;

class Commands : public CannedServer {
 protected:
  static std::string config(const std::string& toml) {
    const std::string path = testing::TempDir() + "tidemill_commands.toml";
    std::FILE* f = std::fopen(path.c_str(), "w");
    std::fputs(toml.c_str(), f);
    std::fclose(f);
    return path;
  }
};

std::string key_file(const std::string& text) {
  static const TempDir directory;
  const std::string path = directory.path() + "/key";
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

TEST_F(Commands, PutSendsARecord) {
  replies_["POST /v1/streams/orders/records?ack=view"] = {.body = R"({"accepted":1})"};
  EXPECT_EQ(run({"put", "--stream", "orders", "--ack", "view", "--partition-key", "k", "--idempotency-key", "once",
                 "--key-file", key_file("secret\n"), R"({"id":1})"}),
            kOk)
      << err_;
  EXPECT_EQ(out_, "{\"accepted\":1}\n");
  EXPECT_EQ(last().body, R"({"id":1})");
  EXPECT_EQ(last().headers.at("content-type"), "application/json");
  EXPECT_EQ(last().headers.at("tidemill-partition-key"), "k");
  EXPECT_EQ(last().headers.at("idempotency-key"), "once");
  EXPECT_EQ(last().headers.at("authorization"), "Bearer secret");
}

TEST_F(Commands, ProblemsAreSaidWithTheirRemedy) {
  EXPECT_EQ(run({"put", "{}"}), kWrongUse);
  EXPECT_EQ(err_, "tidemill put: There is nothing. Look elsewhere. (HTTP 404)\n");
}

TEST_F(Commands, PutSaysWhatIsWrongWithEachRecord) {
  replies_["POST /v1/streams/retail/records"] = {
      .status = 400,
      .body = R"({"title":"None was taken.","code":"all_rejected","rejected":[{"index":0,"code":"invalid_json",)"
              R"("message":"The text is not JSON."}]})"};
  EXPECT_EQ(run({"put", "xx"}), kPartly) << "as load has it";
  EXPECT_EQ(err_, "tidemill put: record 1: The text is not JSON.\n");
  EXPECT_EQ(out_, "");
  replies_["POST /v1/streams/retail/records"] = {
      .status = 207,
      .body = R"({"accepted":1,"rejected":[{"index":1,"code":"c","message":"It is bad."}]})"
              "\n"};
  EXPECT_EQ(run_with_input("{\"a\":1}\n\n  \nbad", {"put"}), kPartly);
  EXPECT_EQ(err_, "tidemill put: line 4: It is bad.\n");
  EXPECT_EQ(last().body, "{\"a\":1}\nbad\n");
  EXPECT_THAT(out_, testing::EndsWith("]}\n"));
  EXPECT_THAT(out_, testing::Not(testing::EndsWith("\n\n")));
}

TEST_F(Commands, HeadersCannotBeSmuggledIn) {
  for (const char* flag : {"--partition-key", "--idempotency-key"}) {
    EXPECT_EQ(run({"put", flag, "a\r\nAuthorization: x", "{}"}), kWrongUse);
    EXPECT_THAT(err_, HasSubstr("control characters"));
  }
  EXPECT_EQ(run({"put", "--key-file", key_file("a\rb"), "{}"}), kWrongUse);
  EXPECT_EQ(run({"put", "--key-file", key_file(""), "{}"}), kWrongUse);
  EXPECT_EQ(run({"put", "--key-file", "/nothing/here", "{}"}), kWrongUse);
  EXPECT_TRUE(requests_.empty());
}

TEST_F(Commands, TailPrintsPagesAsTheyAreSpelled) {
  replies_["GET /v1/streams/retail/records?from=earliest&limit=1000"] = {
      .body = R"({"records":[{"sequence":1,"data":{"n":1e2,"t":"],"}},{"sequence":2,"data":{"n":1.0}}],"next":3})"};
  replies_["GET /v1/streams/retail/records?from=3&limit=1000"] = {.body = R"({"records":[],"next":3})"};
  EXPECT_EQ(run({"tail", "--from", "earliest", "--no-follow", "--data-only"}), kOk) << err_;
  EXPECT_EQ(out_, "{\"n\":1e2,\"t\":\"],\"}\n{\"n\":1.0}\n");
  EXPECT_EQ(run({"tail", "nosuch", "--no-follow"}), kWrongUse);
}

TEST_F(Commands, TailFollowsEventsAndStopsAtItsLimit) {
  // Cut in the middle of an event.
  std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string piece :
       {": hello\n\nid: 5\ndata: {\"sequence\":5}\n\nid: 6\ndat", "a: {\"sequence\":6}\r\n\r\nid: 7\n"}) {
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    head += size + piece + "\r\n";
  }
  replies_["GET /v1/streams/retail/records?from=latest&shard=s0001"].raw = head;
  EXPECT_EQ(run({"tail", "--limit", "2", "--shard", "s0001"}), kOk) << err_;
  EXPECT_EQ(out_, "{\"sequence\":5}\n{\"sequence\":6}\n");
  EXPECT_EQ(last().headers.at("accept"), "text/event-stream");
}

TEST_F(Commands, ViewsRowsAndOneRow) {
  replies_["GET /v1/views"] = {.body = R"({"views":[{"name":"customers","stream":"retail","sql":"...","rows":2}]})"};
  EXPECT_EQ(run({"view"}), kOk) << err_;
  EXPECT_EQ(out_, "name       stream  rows\n---------  ------  ----\ncustomers  retail     2\n");
  replies_["GET /v1/views/customers/rows?limit=20"] = {.body = R"({"rows":[{"id":"1"},{"id":"2"}],"cursor":"c"})"};
  EXPECT_EQ(run({"view", "customers"}), kOk);
  EXPECT_THAT(out_, HasSubstr("(2 rows, and more"));
  replies_["GET /v1/views/by/rows/a%2Fb,2011"] = {.body = R"({"row":{"k":"a/b","y":2011},"as_of":{}})"};
  EXPECT_EQ(run({"view", "by", "a/b,2011"}), kOk);
  EXPECT_EQ(out_, "k  a/b\ny  2011\n");
  replies_["GET /v1/views/by/rows?key=%5B%22a%2Cb%22%5D"] = {.body = R"({"row":{"k":"a,b"},"as_of":{}})"};
  EXPECT_EQ(run({"view", "by", R"(["a,b"])"}), kOk);
  EXPECT_EQ(out_, "k  a,b\n");
}

TEST_F(Commands, ARowAsItWas) {
  replies_["GET /v1/views/by/rows/a%2Fb,2011?at=7"] = {
      .body = R"({"row":{"k":"a/b","y":2011},"as_of":{"sequence":7,"time":"2011-12-01T08:26:00.000Z"}})"};
  EXPECT_EQ(run({"view", "by", "a/b,2011", "--at", "7"}), kOk) << err_;
  EXPECT_EQ(out_, "k  a/b\ny  2011\n(as of record 7, which arrived at 2011-12-01T08:26:00.000Z)\n");
  replies_["GET /v1/views/by/rows?key=%5B1%5D&at=2011-12-01T08%3A26%3A00%2B01%3A00"] = {
      .body = R"({"row":{"k":1},"as_of":{"sequence":6,"time":null}})"};
  EXPECT_EQ(run({"view", "by", "[1]", "--at", "2011-12-01T08:26:00+01:00"}), kOk) << err_;
  EXPECT_EQ(out_, "k  1\n(as of record 6)\n");
  replies_["GET /v1/views/by/rows?key=%5B1%5D&at=2011-12-01T00%3A00%3A00.000Z"] = {
      .body = R"({"row":{"k":1},"as_of":{"sequence":2,"time":null}})"};
  EXPECT_EQ(run({"view", "by", "[1]", "--at", "2011-12-01"}), kOk) << err_;
  EXPECT_EQ(out_, "k  1\n(as of record 2)\n");
  EXPECT_EQ(run({"view", "by", "--at", "7"}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("name its key"));
}

TEST_F(Commands, ViewsAreCreatedAndDropped) {
  replies_["PUT /v1/views/v"] = {.status = 201, .body = "{}"};
  replies_["DELETE /v1/views/v"] = {.status = 204};
  EXPECT_EQ(run({"view", "create", "v", "SELECT a, count(*) FROM retail GROUP BY a"}), kOk) << err_;
  EXPECT_EQ(nlohmann::json::parse(last().body)["sql"], "SELECT a, count(*) FROM retail GROUP BY a");
  EXPECT_EQ(out_, "view v created\n");
  replies_["PUT /v1/views/v"] = {
      .status = 202,
      .body = R"({"name":"v","building":{"from":11,"at":15,"of":40},"warnings":["The field a is odd."]})"};
  EXPECT_EQ(run({"view", "create", "v", "SELECT a, count(*) FROM retail GROUP BY a"}), kOk) << err_;
  EXPECT_EQ(out_,
            "view v: the new definition is being built (5 of 30 records); the old one is served until it is "
            "there\n");
  EXPECT_EQ(err_, "warning: The field a is odd.\n");
  EXPECT_EQ(run({"view", "drop", "v"}), kOk) << err_;
  EXPECT_EQ(last().method, "DELETE");
}

TEST_F(Commands, AViewIsMadeAnewAndCompared) {
  for (const std::vector<std::string>& line :
       {std::vector<std::string>{"view", "verify", "v"}, {"view", "rebuild", "v", "--diff"}}) {
    replies_["POST /v1/views/v/verify"] = {
        .body = R"({"view":"v","as_of":{"sequence":7},"difference_count":0,"differences":[]})"};
    EXPECT_EQ(run(line), kOk) << err_;
    EXPECT_EQ(out_, "view v: made anew from the log it is the same, byte for byte, at sequence 7\n");
    replies_["POST /v1/views/v/verify"] = {
        .body =
            R"({"view":"v","as_of":{"sequence":7},"difference_count":1,"differences":[{"key":"02","live":"aa","rebuilt":"bb"}]})"};
    EXPECT_EQ(run(line), kPartly);
    EXPECT_THAT(out_, HasSubstr("view v: 1 difference from what the log gives, at sequence 7\n"));
    EXPECT_THAT(out_, HasSubstr("02   aa    bb"));
  }
  EXPECT_EQ(run({"view", "rebuild", "v"}), kWrongUse);
}

TEST_F(Commands, DiffAndApply) {
  const std::string path = config(
      "[streams.a]\nshards = 2\npartition_key = \"id\"\nfields = { n = \"integer\", t = \"text\" }\n[streams.b]\n"
      "[views.v]\nsql = \"SELECT  a, count(*) AS n FROM a GROUP BY a\"\n[views.w]\nsql = \"SELECT b, count(*) AS n "
      "FROM a GROUP BY b\"\n");
  replies_["GET /v1/streams/a"] = {
      .body =
          R"({"name":"a","shards":[{"shard":0,"open":true},{"shard":1,"open":true},{"shard":2,"open":false}],"partition_key":"id","fields":{"n":"integer"},"archive":{"enabled":true,"size_bytes":5242880,"age_seconds":60.0}})"};
  replies_["GET /v1/views/v"] = {
      .body = R"({"name":"v","source":"SELECT a, count(*) AS n FROM a GROUP BY a;","sql":"..."})"};
  EXPECT_EQ(run({"config", "diff", path}), kPartly) << err_;
  EXPECT_EQ(out_, "stream b: does not exist\nview w: does not exist\n");

  replies_["PUT /v1/streams/b"] = {.status = 201, .body = "{}"};
  EXPECT_EQ(run({"apply", path}), kPartly) << "the view is refused (404)";
  EXPECT_THAT(out_, HasSubstr("stream b: created\n"));
  EXPECT_THAT(err_, HasSubstr("view w: There is nothing."));
  replies_["PUT /v1/views/w"] = {.status = 201, .body = "{}"};
  EXPECT_EQ(run({"apply", path}), kOk) << err_;

  replies_["GET /v1/streams/b"] = replies_["GET /v1/streams/a"];
  replies_["GET /v1/views/w"] = {
      .body = R"({"name":"w","source":"SELECT b, count(*) AS n FROM a GROUP BY b","sql":"..."})"};
  EXPECT_EQ(run({"config", "diff", path}), kPartly);
  EXPECT_THAT(out_, HasSubstr("stream b: shards is 2, the configuration says 4\n"));
  EXPECT_THAT(out_, HasSubstr("stream b: partition_key is id, the configuration says empty\n"));

  // What cannot be changed keeps nothing else from being changed.
  replies_["PUT /v1/streams/b"] = {.body = "{}"};
  replies_["GET /v1/views/w"] = {.body = R"({"name":"w","source":"SELECT z","sql":"SELECT z"})"};
  replies_["PUT /v1/views/w"] = {.status = 202, .body = "{}"};
  EXPECT_EQ(run({"apply", path}), kPartly);
  EXPECT_THAT(out_, HasSubstr("stream b: partition_key is id, the configuration says empty: changed\n"));
  EXPECT_THAT(err_, HasSubstr("stream b: shards is 2, the configuration says 4; the shards of a stream that exists"));
  EXPECT_THAT(out_,
              HasSubstr("view w: the definition is another one: being built; the old one is served until then\n"));
  const auto sent = std::find_if(requests_.rbegin(), requests_.rend(),
                                 [](const Request& r) { return r.method == "PUT" && r.target == "/v1/streams/b"; });
  ASSERT_NE(sent, requests_.rend());
  EXPECT_FALSE(nlohmann::json::parse(sent->body).contains("shards"));
  std::remove(path.c_str());
}

TEST_F(Commands, ApplyWithoutItsFileProposesNoOther) {
  EXPECT_EQ(run({"apply", "/nowhere/t.toml"}), kWrongUse);
  EXPECT_EQ(err_, "tidemill apply: /nowhere/t.toml: cannot be read: No such file or directory; name another file\n");
  EXPECT_EQ(run({"config", "diff", "/nowhere/t.toml"}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("or none for the built-in configuration"));
}

TEST_F(Commands, StatusSaysWhatNeedsAHand) {
  replies_["GET /readyz"] = {.body = "{}"};
  replies_["GET /readyz/ingest"] = {.body = "{}"};
  replies_["GET /v1/streams"] = {.body = R"({"streams":[{"name":"retail","last_sequence":1000,"bytes":0}]})"};
  replies_["GET /metrics"] = {.body = "tidemill_disk_size_bytes 100\ntidemill_disk_free_bytes 50\n"};
  replies_["GET /v1/groups"] = {
      .body = R"({"groups":[{"name":"retail:archive","lag_records":5,"lag_seconds":0.25,"last_error":null}]})"};
  replies_["GET /v1/views"] = {
      .body = R"({"views":[{"name":"customers","rows":10,"parked":0,"freshness_seconds":null,"ready":true}]})"};
  EXPECT_EQ(run({"status"}), kOk) << err_;
  for (const char* what : {"ready", "retail    1,000", "retail:archive            5          0.2",
                           "customers    10       0            ?  yes"})
    EXPECT_THAT(out_, HasSubstr(what));
  replies_["GET /v1/groups"] = {
      .body =
          R"({"groups":[{"name":"retail:archive","lag_records":5,"lag_seconds":1,"last_error":{"message":"disk full","time":"x"}}]})"};
  replies_["GET /v1/views"] = {.body = R"({"views":[{"name":"customers","rows":10,"parked":2,"ready":true}]})"};
  EXPECT_EQ(run({"status", "--json"}), kPartly);
  const auto json = nlohmann::json::parse(out_);
  ASSERT_EQ(json["troubles"].size(), 2u);
  EXPECT_THAT(json["troubles"][0].get<std::string>(), HasSubstr("disk full"));
  EXPECT_THAT(json["troubles"][1].get<std::string>(), HasSubstr("parked 2"));
}

TEST_F(Commands, StatusSaysThatAKeyMayNotSeeTheStreams) {
  replies_["GET /readyz"] = replies_["GET /readyz/ingest"] = {.body = "{}"};
  replies_["GET /v1/streams"] = {.body = R"({"streams":[]})"};
  replies_["GET /v1/groups"] = {.body = R"({"groups":[]})"};
  replies_["GET /v1/views"] = {.body = R"({"views":[]})"};
  const auto log = [](const char* stream) {
    return "tidemill_log_bytes{stream=\"" + std::string(stream) + "\",tenant=\"default\"} 1\n";
  };
  replies_["GET /metrics"] = {.body = log("_usage")};
  EXPECT_EQ(run({"status"}), kOk);
  EXPECT_EQ(err_, "") << "there is none";
  replies_["GET /metrics"] = {.body = log("_usage") + log("retail") + log("b")};
  for (const auto& words : {std::vector<std::string>{"status"}, {"status", "--json"}}) {
    EXPECT_EQ(run(words), kOk);
    EXPECT_THAT(err_, HasSubstr("the server has 2 streams and shows this key none: it lacks the scope server:read"));
    EXPECT_THAT(out_, Not(HasSubstr("server:read")));
  }
  replies_["GET /v1/views"] = {.body = R"({"views":[{"name":"customers","rows":1,"parked":0,"ready":true}]})"};
  EXPECT_EQ(run({"status"}), kOk);
  EXPECT_EQ(err_, "") << "it sees what it may";
}

TEST_F(Commands, StatusTellsARefusalFromAServerThatIsAway) {
  replies_["GET /readyz"] = replies_["GET /readyz/ingest"] = {.body = "{}"};
  for (const auto& [status, code] :
       {std::pair(401, kWrongUse), {403, kWrongUse}, {400, kWrongUse}, {503, kNotReached}}) {
    replies_["GET /v1/streams"] = {.status = status, .body = R"({"title":"No."})"};
    EXPECT_EQ(run({"status"}), code) << status;
    EXPECT_THAT(err_, HasSubstr("No. (HTTP " + std::to_string(status)));
  }
}

// One way to say when, wherever a command takes it.
TEST(Times, APlaceIsASequenceATimeADayOrHowLongAgo) {
  const WallTime now = *parse_time("2027-02-01T12:00:00Z");
  EXPECT_EQ(place_text("2d", now), "2027-01-30T12:00:00.000Z");
  EXPECT_EQ(place_text("24h", now), "2027-01-31T12:00:00.000Z");
  EXPECT_EQ(place_text("2027-01-31", now), "2027-01-31T00:00:00.000Z");
  EXPECT_EQ(place_text("999999d", now), "1970-01-01T00:00:00.000Z");
  // As the server takes it, or will say that it does not.
  for (const char* as_it_is : {"0", "20270131", "2027-01-31T08:00:00+01:00", "earliest", "latest", "", "-2d", "d"})
    EXPECT_EQ(place_text(as_it_is, now), as_it_is);
  EXPECT_EQ(parse_past("2d", now), now - std::chrono::hours(48));
  EXPECT_EQ(parse_past("yesterday", now), std::nullopt);
  EXPECT_EQ(parse_past("0d", now), std::nullopt);
}

}  // namespace
}  // namespace tidemill::cli

#include <zlib.h>
#include <zstd.h>

#include "tests/api/api_world.h"

namespace tidemill {
namespace {

std::string gzip(std::string_view text) {
  z_stream z{};
  EXPECT_EQ(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&z, text.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - z.avail_out);
  deflateEnd(&z);
  return out;
}

std::string zstd(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

struct Refusal {
  const char* name;
  std::string body;
  std::string headers;
  std::string query;
  int status;
  const char* code;
};

TEST(Ingest, EachStatusSaysWhy) {
  ApiOptions options;
  options.limits.http.body_bytes = 1 << 20;
  options.limits.record_bytes = 1'000;
  ApiWorld world(options);
  const std::string json(kJsonHeader);
  const std::string packed = gzip(std::string(2 << 20, ' '));
  const std::vector<Refusal> table{
      {"broken", "{", json, "", 400, "invalid_json"},
      {"empty", "", json, "", 400, "invalid_json"},
      {"array", "[[]]", json, "", 400, "not_an_object"},
      {"no key", "{}", json, "", 400, "missing_partition_key"},
      {"large record", "{\"InvoiceNo\":\"" + std::string(2'000, 'x') + "\"}", json, "", 413, "record_too_large"},
      {"large body", std::string((1 << 20) + 1, ' '), json, "", 413, "body_too_large"},
      {"large unpacked", packed, json + "Content-Encoding: gzip\r\n", "", 413, "body_too_large"},
      {"no type", std::string(kGood), "", "", 415, "unsupported_media_type"},
      {"other type", std::string(kGood), "Content-Type: text/plain\r\n", "", 415, "unsupported_media_type"},
      {"latin1 JSON", std::string(kGood), "Content-Type: application/json; charset=latin1\r\n", "", 415,
       "unsupported_media_type"},
      {"other encoding", std::string(kGood), json + "Content-Encoding: br\r\n", "", 415, "unsupported_encoding"},
      {"not gzip", std::string(kGood), json + "Content-Encoding: gzip\r\n", "", 400, "broken_encoding"},
      {"cut gzip", gzip(kGood).substr(0, 30), json + "Content-Encoding: gzip\r\n", "", 400, "broken_encoding"},
      {"cut zstd", zstd(kGood).substr(0, 12), json + "Content-Encoding: zstd\r\n", "", 400, "broken_encoding"},
      {"ack", std::string(kGood), json, "?ack=memory", 400, "invalid_parameter"},
      {"wait", std::string(kGood), json, "?wait=soon", 400, "invalid_parameter"},
      {"atomic", std::string(kGood), json, "?atomic=yes", 400, "invalid_parameter"},
      {"long key", std::string(kGood), json + "Tidemill-Partition-Key: " + std::string(300, 'k') + "\r\n", "", 400,
       "invalid_key_header"},
      {"CSV header twice", "a,a\r\n1,2\r\n", "Content-Type: text/csv\r\n", "", 400, "invalid_body"},
  };
  for (const Refusal& r : table) {
    SCOPED_TRACE(r.name);
    const auto answer = world.ask(ApiWorld::post(r.body, r.headers, r.query));
    EXPECT_EQ(answer.status, r.status) << answer.body;
    EXPECT_NE(answer.body.find(std::string("\"") + r.code + "\""), std::string::npos) << answer.body;
    EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json");
    EXPECT_EQ(answer.body.find(world.real.directory.path()), std::string::npos);
  }
  EXPECT_EQ(world.ask(ApiWorld::request("POST", "/v1/streams/nosuch/records", kGood, kJsonHeader)).status, 404);
  EXPECT_EQ(world.ask(ApiWorld::request("POST", "/v1/streams/_system/records", kGood, kJsonHeader)).status, 404);
  EXPECT_EQ(world.stream->log().durable(), Sequence(0));
}

TEST(Ingest, TheRestOfABatchGoesIn) {
  ApiWorld world;
  const std::string body =
      "{\"InvoiceNo\":\"1\"}\n{\"InvoiceNo\":\n{\"InvoiceNo\":\"2\"}\n{}\n[]\n{\"InvoiceNo\":\"3\"}";
  const auto some = world.ask(ApiWorld::post(body, kNdjsonHeader));
  ASSERT_EQ(some.status, 207) << some.body;
  EXPECT_EQ(some.json()["accepted"], 3);
  EXPECT_EQ(some.json()["last_sequence"], 3);
  std::string rejected;
  const auto said = some.json();
  for (const auto& r : said["rejected"]) {
    rejected += std::to_string(r["index"].get<int>()) + r["code"].get<std::string>() + " ";
    EXPECT_GT(r["message"].get<std::string>().size(), 10u);
  }
  EXPECT_EQ(rejected, "1invalid_json 3missing_partition_key 4not_an_object ");
  const auto none = world.ask(ApiWorld::post(body, kNdjsonHeader, "?atomic=true"));
  EXPECT_EQ(none.status, 400);
  EXPECT_EQ(none.json()["rejected"].size(), 3u);
  EXPECT_EQ(world.stream->log().durable(), Sequence(3));
}

TEST(Ingest, ArraysCsvAndPackedBodies) {
  ApiWorld world;
  EXPECT_EQ(world.ask(ApiWorld::post(R"([{"InvoiceNo":"1"},{"InvoiceNo":"2"}])")).json()["accepted"], 2);
  const auto empty = world.ask(ApiWorld::post("[]"));
  ASSERT_EQ(empty.status, 200) << empty.body;
  const auto token = Token::decode(empty.json()["token"].get<std::string>());
  ASSERT_TRUE(token);
  EXPECT_EQ(token->position, Position::through(Sequence(2))) << "everything durable by now";
  EXPECT_TRUE(empty.json()["first_sequence"].is_null());
  const std::string json(kJsonHeader);
  EXPECT_EQ(world.ask(ApiWorld::post(gzip(kGood), json + "Content-Encoding: gzip\r\n")).status, 200);
  EXPECT_EQ(world.ask(ApiWorld::post(gzip("[") + gzip("]"), json + "Content-Encoding: gzip\r\n")).status, 200);
  EXPECT_EQ(world.ask(ApiWorld::post(zstd(kGood), json + "Content-Encoding: zstd\r\n")).status, 200);
  const auto csv =
      world.ask(ApiWorld::post("InvoiceNo,Quantity,UnitPrice\r\n1,2,0.5\r\n1,2\r\n,2,3\r\n1,three,4\r\n2,3,\"1.5\"\r\n",
                               "Content-Type: text/csv\r\n"));
  ASSERT_EQ(csv.status, 207) << csv.body;
  EXPECT_EQ(csv.json()["accepted"], 2);
  std::string rejected;
  const auto said = csv.json();
  for (const auto& r : said["rejected"]) {
    rejected += std::to_string(r["index"].get<int>()) + r["code"].get<std::string>() + " ";
  }
  EXPECT_EQ(rejected, "1csv_too_few_fields 2missing_partition_key 3csv_invalid_value ");
  const auto page = world.get("/v1/streams/retail/records?from=5").json();
  EXPECT_EQ(page["records"][0]["data"].dump(), R"({"InvoiceNo":"1","Quantity":2,"UnitPrice":0.5})");
}

TEST(Ingest, ThePartitionKeyHeaderOverridesTheField) {
  ApiWorld world;
  EXPECT_EQ(
      world.ask(ApiWorld::post("{\"a\":1}", "Content-Type: application/json\r\nTidemill-Partition-Key: k\r\n")).status,
      200);
  EXPECT_EQ(world.get("/v1/streams/retail/records").json()["records"][0]["key"], "k");
}

TEST(Ingest, ARetryGetsTheStoredAnswer) {
  ApiWorld world;
  const std::string headers = std::string(kNdjsonHeader) + "Idempotency-Key: once\r\n";
  const std::string body = "{\"InvoiceNo\":\"1\"}\nx\n{\"InvoiceNo\":\"2\"}";
  const auto first = world.ask(ApiWorld::post(body, headers)).json();
  const auto again = world.ask(ApiWorld::post(body, headers));
  EXPECT_EQ(again.status, 207);
  auto replay = again.json();
  EXPECT_EQ(replay["replayed"], true);
  replay.erase("replayed");
  EXPECT_EQ(replay, first);
  const auto other = world.ask(ApiWorld::post(body + "\n", headers));
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(other.code(), "key_reused");
  // Also when nothing was accepted.
  const std::string bad = std::string(kJsonHeader) + "Idempotency-Key: bad\r\n";
  EXPECT_EQ(world.ask(ApiWorld::post("{", bad)).status, 400);
  const auto bad_again = world.ask(ApiWorld::post("{", bad));
  EXPECT_EQ(bad_again.status, 400);
  EXPECT_EQ(bad_again.json()["replayed"], true);
  EXPECT_EQ(world.ask(ApiWorld::post(kGood, bad)).status, 422);
  EXPECT_EQ(world.stream->log().durable(), Sequence(2));
}

TEST(Ingest, AKeyRemembersThatNothingWentInAtomically) {
  ApiWorld world;
  const std::string headers = std::string(kJsonHeader) + "Idempotency-Key: k\r\n";
  const std::string body = "[" + std::string(kGood) + ",1]";
  const auto first = world.ask(ApiWorld::post(body, headers, "?atomic=true"));
  EXPECT_EQ(first.code(), "records_rejected");
  EXPECT_FALSE(first.json().contains("replayed"));
  const auto again = world.ask(ApiWorld::post(body, headers, "?atomic=true"));
  EXPECT_EQ(again.json()["replayed"], true) << again.body;
  EXPECT_EQ(again.json()["rejected"], first.json()["rejected"]);
  EXPECT_EQ(again.json()["detail"], first.json()["detail"]);
  EXPECT_EQ(world.ask(ApiWorld::post(kGood, headers, "?atomic=true")).code(), "key_reused");
  EXPECT_EQ(world.stream->log().durable().value(), 0u);
}

TEST(Ingest, ManyConnectionsNothingLostNothingTwice) {
  ApiWorld world;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 16; ++i) clients.push_back(std::make_unique<RawClient>(world.server->port()));
  std::set<std::uint64_t> sequences;
  for (int round = 0; round < 20; ++round) {
    for (auto& c : clients) c->send(ApiWorld::post(kGood) + ApiWorld::post(kGood));
    for (auto& c : clients) {
      for (int i = 0; i < 2; ++i) {
        const auto answer = c->answer();
        ASSERT_EQ(answer.status, 200) << answer.body;
        EXPECT_TRUE(sequences.insert(answer.json()["first_sequence"].get<std::uint64_t>()).second);
      }
    }
  }
  EXPECT_EQ(sequences.size(), 640u);
  EXPECT_EQ(*sequences.rbegin(), 640u);
}

}  // namespace
}  // namespace tidemill

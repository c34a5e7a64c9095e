#include "tests/api/api_world.h"

namespace tidemill {
namespace {

struct ViewsOn : ApiWorld {
  ViewsOn() : ApiWorld({}, null_logger(), true) {}
};

constexpr std::string_view kRecords = "/v1/streams/retail/records";

TEST(Requests, ParametersThatAPathDoesNotHaveAreRefused) {
  ApiWorld world;
  const auto detail = [&](const std::string& path) {
    const auto answer = world.get(path);
    EXPECT_EQ(answer.status, 400) << path;
    EXPECT_EQ(answer.code(), "invalid_parameter") << path;
    return answer.json().value("detail", "");
  };
  EXPECT_EQ(detail(std::string(kRecords) + "?limt=5"),
            "`limt` is not a parameter of this path; it takes from, shard, limit, after, wait.");
  EXPECT_EQ(detail("/v1/groups?verbose"), "`verbose` is not a parameter of this path; it has none.");
  EXPECT_EQ(detail(std::string(kRecords) + "?limit=1&limit=2"), "`limit` comes twice; send it once.");
  EXPECT_EQ(detail(std::string(kRecords) + "?limit=0"), "`limit` is a number from 1 to 10,000.");
  EXPECT_EQ(detail(std::string(kRecords) + "?wait=60001"), "`wait` is a number of milliseconds, at most 60,000.");
  EXPECT_EQ(world.ask(ApiWorld::post(kGood, kJsonHeader, "?ack=view&wait=60001")).code(), "invalid_parameter");
  EXPECT_EQ(world.ask(ApiWorld::post(kGood, kJsonHeader, "?atomc=true")).code(), "invalid_parameter");
  EXPECT_EQ(world.get(std::string(kRecords) + "?limit=%zz").code(), "target_invalid");
  // Probes add what they like, and what is empty is not there.
  EXPECT_EQ(world.get("/healthz?x=1").status, 200);
  EXPECT_EQ(world.get(std::string(kRecords) + "?&limit=1&").status, 200);
}

TEST(Requests, TheContentTypeIsLookedAtWhereABodyIs) {
  ViewsOn with_views;
  ApiWorld& world = with_views;
  struct Case {
    const char* method;
    const char* path;
    const char* headers;
    const char* body;
    int status;
    const char* code;
  };
  const Case table[] = {
      {"POST", "/v1/sql", "Content-Type: application/json\r\n", R"({"sql":"SELECT 1"})", 200, ""},
      {"POST", "/v1/sql", "Content-Type: APPLICATION/JSON;charset=UTF-8\r\n", R"({"sql":"SELECT 1"})", 200, ""},
      {"POST", "/v1/sql", "", R"({"sql":"SELECT 1"})", 200, ""},
      {"POST", "/v1/sql", "Content-Type: application/x-www-form-urlencoded\r\n", R"({"sql":"SELECT 1"})", 200, ""},
      {"POST", "/v1/sql", "Content-Type: text/plain\r\n", R"({"sql":"SELECT 1"})", 415, "unsupported_media_type"},
      {"POST", "/v1/sql", "Content-Type: application/json; charset=latin1\r\n", R"({"sql":"SELECT 1"})", 415,
       "unsupported_media_type"},
      {"POST", "/v1/sql", "Content-Encoding: gzip\r\n", R"({"sql":"SELECT 1"})", 415, "unsupported_encoding"},
      {"PUT", "/v1/streams/s", "Content-Type: text/csv\r\n", "{}", 415, "unsupported_media_type"},
      {"PUT", "/v1/streams/s", "", "", 201, ""},
      {"PUT", "/v1/views/v", "Content-Type: Application/SQL; charset=utf-8\r\n",
       "SELECT Country, count(*) AS n FROM retail GROUP BY Country", 201, ""},
      {"POST", "/v1/streams/retail/records", "", "{}", 415, "unsupported_media_type"},
      {"POST", "/v1/streams/retail/records", "Content-Type: text/plain\r\n", "{}", 415, "unsupported_media_type"},
      {"POST", "/v1/streams/retail/records", "Content-Type: application/json\r\nContent-Type: text/csv\r\n", "{}", 415,
       "unsupported_media_type"},
      {"POST", "/v1/streams/retail/records", "Content-Type: application/JSONL\r\n", "{\"InvoiceNo\":1}", 200, ""},
  };
  for (const Case& c : table) {
    const auto answer = world.ask(ApiWorld::request(c.method, c.path, c.body, c.headers));
    EXPECT_EQ(answer.status, c.status) << c.method << " " << c.path << " " << c.headers << answer.body;
    if (answer.status >= 400) {
      EXPECT_EQ(answer.code(), c.code) << c.headers;
    }
  }
  EXPECT_EQ(world.ask(ApiWorld::post(kGood, "Content-Type: text/plain\r\n")).json()["detail"],
            "This path takes application/json, application/x-ndjson, text/csv, and the Content-Type is another.");
}

TEST(Requests, ALengthIsAskedForWhereABodyIsNeeded) {
  ApiWorld world;
  const auto without_length = [&](std::string_view method, std::string_view path) {
    return world.ask(std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n\r\n");
  };
  for (const char* path : {"/v1/streams/retail/records", "/v1/sql"}) {
    const auto answer = without_length("POST", path);
    EXPECT_EQ(answer.code(), "length_required");
    EXPECT_EQ(answer.headers.at("connection"), "close");
  }
  EXPECT_EQ(without_length("PATCH", "/v1/streams/retail").code(), "method_not_allowed");
  EXPECT_EQ(without_length("POST", "/healthz").code(), "method_not_allowed");
  EXPECT_EQ(without_length("POST", "/nothing").code(), "not_found");
  EXPECT_EQ(without_length("PUT", "/v1/streams/bare").status, 201);
  EXPECT_EQ(without_length("POST", "/v1/views/customers/verify").code(), "view_not_found");
}

TEST(Requests, PathsAndMethodsAreNamed) {
  ApiWorld world;
  EXPECT_EQ(world.get("/v1/streams/").json()["detail"], "Leave out the slash at the end. GET / lists what there is.");
  EXPECT_EQ(world.get("/v1/streams/retail/records/").code(), "not_found");
  EXPECT_EQ(world.get("/nothing/").json()["detail"], "GET / lists what there is.");
  const auto all = world.ask(ApiWorld::request("OPTIONS", "*"));
  EXPECT_EQ(all.status, 204);
  EXPECT_EQ(all.headers.at("allow"), "DELETE, GET, HEAD, OPTIONS, POST, PUT");
  EXPECT_EQ(world.ask(ApiWorld::request("OPTIONS", "/nothing")).status, 404);
}

TEST(Requests, AKeyHeaderIsSentOnceAndNotEmpty) {
  ApiWorld world;
  for (const std::string name : {"Idempotency-Key", "Tidemill-Partition-Key"}) {
    const auto code = [&](const std::string& headers) {
      return world.ask(ApiWorld::post(kGood, std::string(kJsonHeader) + headers)).code();
    };
    EXPECT_EQ(code(name + ":\r\n"), "invalid_key_header");
    EXPECT_EQ(code(name + ": a\r\n" + name + ": b\r\n"), "invalid_key_header");
    EXPECT_EQ(code(name + ": a\r\n"), "");
  }
  EXPECT_EQ(world
                .ask(ApiWorld::post(
                    kGood, std::string(kJsonHeader) + "Tidemill-Partition-Key: " + std::string(257, 'x') + "\r\n"))
                .code(),
            "invalid_key_header");
  EXPECT_EQ(world.stream->log().durable().value(), 2u);
}

TEST(Requests, TheAnswerIsTheOneThatIsWantedMost) {
  ViewsOn world;
  const auto type = [&](std::string_view headers) {
    const auto answer = world.ask(
        ApiWorld::request("POST", "/v1/sql", R"({"sql":"SELECT 1"})", std::string(kJsonHeader) + std::string(headers)));
    return answer.status == 200 ? answer.headers.at("content-type") : answer.code();
  };
  EXPECT_EQ(type(""), "application/json");
  EXPECT_EQ(type("Accept:\r\n"), "application/json");
  EXPECT_EQ(type("Accept: ,\r\n"), "application/json");
  EXPECT_EQ(type("Accept: */*\r\n"), "application/json");
  EXPECT_EQ(type("Accept: text/csv, */*\r\n"), "text/csv; charset=utf-8");
  EXPECT_EQ(type("Accept: text/*\r\n"), "text/csv; charset=utf-8");
  EXPECT_EQ(type("Accept: text/csv;q=0.4, application/json;q=0.5\r\n"), "application/json");
  EXPECT_EQ(type("Accept: application/*;q=0, */*\r\n"), "text/csv; charset=utf-8");
  EXPECT_EQ(type("Accept: application/jsonl\r\n"), "application/x-ndjson");
  EXPECT_EQ(type("Accept: text/html\r\nAccept: text/csv\r\n"), "text/csv; charset=utf-8");
  EXPECT_EQ(type("Accept: text/html,*/*;q=0.8\r\n"), "application/json");
  EXPECT_EQ(type("Accept: application/json;q=0\r\n"), "not_acceptable");
  const auto refused = world.get(kRecords, "Accept: text/html\r\n");
  EXPECT_EQ(refused.status, 406);
  EXPECT_NE(refused.json()["detail"].get<std::string>().find("application/json, text/event-stream"), std::string::npos);
}

}  // namespace
}  // namespace tidemill

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/api/api_world.h"
#include "tests/api/issued_key.h"
#include "tests/support/sim_clock.h"

namespace tidemill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

struct LimitsApi : ::testing::Test {
  SimClock clock;  // stands still, so that answers are exact: 2026-01-02T03:04:05Z
  ApiWorld world;
  LimitsApi() : LimitsApi(0) {}
  explicit LimitsApi(std::uint64_t changes_per_hour)
      : world({}, null_logger(), changes_per_hour != 0, {}, {.clock = &clock}, {}, changes_per_hour) {}
  std::string admin = key({"instance:admin"});

  std::string key(const std::vector<std::string>& scopes, const std::string& tenant = "default") {
    return text_of(issue(*world.keys, scopes, tenant));
  }
  static std::string id(const std::string& key) { return key.substr(3, 13); }
  static std::string with(const std::string& key) { return "X-Api-Key: " + key + "\r\n"; }
  ClientAnswer get(const std::string& path, const std::string& key) { return world.get(path, with(key)); }
  ClientAnswer send(const std::string& method, const std::string& path, const std::string& body,
                    const std::string& key) {
    return world.ask(ApiWorld::request(method, path, body, with(key) + std::string(kJsonHeader)));
  }
  ClientAnswer post(const std::string& key, int records = 1, const std::string& headers = {}) {
    std::string body;
    for (int i = 0; i < records; ++i) body += std::string(kGood) + "\n";
    return world.ask(ApiWorld::post(body, with(key) + std::string(kNdjsonHeader) + headers));
  }
  void limit(const std::string& key, const std::string& json) {
    const ClientAnswer set = send("PUT", "/v1/limits/keys/" + id(key), json, admin);
    ASSERT_EQ(set.status, 200) << set.body;
  }
  void limit_tenant(const std::string& json, const std::string& tenant = "default") {
    const ClientAnswer set = send("PUT", "/v1/limits/tenants/" + tenant, json, admin);
    ASSERT_EQ(set.status, 200) << set.body;
  }
};

// A quota of 0 shuts a key out as revoking it does.
TEST_F(LimitsApi, WhoMayNotGiveAKeysScopesDoesNotLimitIt) {
  const std::string tenants = key({"server:admin"});
  const std::string own = key({"stream:retail:write"});
  const std::string none = R"({"requests":{"per_day":0}})";
  for (const auto& operators : {admin, key({"instance:read"})}) {
    const std::string path = "/v1/limits/keys/" + id(operators);
    const ClientAnswer refused = send("PUT", path, none, tenants);
    EXPECT_EQ(refused.status, 403) << refused.body;
    EXPECT_THAT(refused.body, HasSubstr("instance:admin"));
    EXPECT_EQ(get("/v1/streams", admin).status, 200) << "it is not shut out";
    limit(operators, R"({"requests":{"per_day":1000}})");
    EXPECT_EQ(send("DELETE", path, "", tenants).status, 403);
    EXPECT_EQ(get(path, tenants).json()["limits"]["requests"]["per_day"], 1000) << "it may be looked at";
    EXPECT_EQ(send("DELETE", path, "", admin).status, 204);
  }
  EXPECT_EQ(send("PUT", "/v1/limits/keys/" + id(own), none, tenants).status, 200);
  EXPECT_EQ(send("DELETE", "/v1/limits/keys/" + id(own), "", tenants).status, 204);
}

TEST_F(LimitsApi, ARateAnswers429WithAllThatAClientNeeds) {
  const std::string till = key({"stream:retail:write"});
  EXPECT_EQ(post(till).headers.count("ratelimit"), 0u);  // no limits, no headers
  limit(till, R"({"requests":{"per_second":2,"burst":3}})");
  for (const char* left : {"2", "1", "0"}) {
    const ClientAnswer answer = post(till);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.headers.at("ratelimit-policy"), "\"key-requests\";q=3;w=2");
    EXPECT_EQ(answer.headers.at("ratelimit"), std::string("\"key-requests\";r=") + left +
                                                  (*left == '2'   ? ";t=1"
                                                   : *left == '1' ? ";t=1"
                                                                  : ";t=2"));
  }
  const ClientAnswer refused = post(till);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  EXPECT_EQ(refused.headers.at("ratelimit-policy"), "\"key-requests\";q=3;w=2");
  EXPECT_EQ(refused.headers.at("ratelimit"), "\"key-requests\";r=0;t=2");
  EXPECT_EQ(refused.body,
            R"({"type":"about:blank","title":"A rate limit of the key or its tenant is reached.","status":429,)"
            R"("code":"rate_limited","detail":"The limit of the key is 2 requests a second. Send again after )"
            R"(Retry-After; the RateLimit header and GET /v1/limits say how much is left.",)"
            R"("violated-policies":["key-requests"]})"
            "\n");
  EXPECT_FALSE(refused.closed);
  clock.advance(1s);  // as Retry-After says
  EXPECT_EQ(post(till).status, 200);
  // Other keys are not touched, and what a limited key may not do is still said as such.
  EXPECT_EQ(get("/v1/streams", admin).status, 200);
  EXPECT_EQ(get("/v1/groups", till).status, 403);
  EXPECT_EQ(get("/v1/groups", till).status, 429);
  const ClientAnswer removed = send("DELETE", "/v1/limits/keys/" + id(till), "", admin);
  EXPECT_EQ(removed.status, 204);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(post(till).status, 200);
}

// docs/limits.md: what the router answers without judging a key.
TEST_F(LimitsApi, WhatIsAnsweredWithoutLookingAtTheKeyDoesNotCount) {
  const std::string till = key({"stream:retail:write"});
  limit(till, R"({"requests":{"per_day":2}})");
  EXPECT_EQ(post(till).status, 200);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(send("OPTIONS", "/v1/sql", "", till).status, 204);
    EXPECT_EQ(get("/v1/nothing", till).code(), "not_found");
    EXPECT_EQ(send("PATCH", "/v1/sql", "", till).status, 405);
    EXPECT_EQ(get("/healthz", till).status, 200);
    EXPECT_EQ(get("/openapi.json", till).status, 200);
  }
  EXPECT_EQ(post(till).status, 200);
  EXPECT_EQ(post(till).status, 429);
}

TEST_F(LimitsApi, HeadersNameEveryPolicyOfKeyAndTenant) {
  const std::string till = key({"stream:retail:write", "stream:retail:read"});
  limit(till, R"({"records":{"per_second":10,"per_day":100},"bytes":{"per_second":5000,"burst":20000}})");
  limit_tenant(R"({"requests":{"per_month":1000},"records":{"per_second":1000}})");
  const ClientAnswer answer = post(till, 4);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.headers.at("ratelimit-policy"),
            "\"key-records\";q=10;w=1;qu=\"records\", \"key-records-day\";q=100;w=86400;qu=\"records\", "
            "\"key-bytes\";q=20000;w=4;qu=\"content-bytes\", \"tenant-requests-month\";q=1000;w=2678400, "
            "\"tenant-records\";q=1000;w=1;qu=\"records\"");
  const std::string bytes = std::to_string(20'000 - 4 * (kGood.size() + 1));
  EXPECT_EQ(answer.headers.at("ratelimit"),
            "\"key-records\";r=6;t=1, \"key-records-day\";r=96;t=75355, \"key-bytes\";r=" + bytes +
                ";t=1, \"tenant-requests-month\";r=999;t=2580955, \"tenant-records\";r=996;t=1");
  // On answers made by workers, too, and where a handler refuses.
  EXPECT_EQ(get("/v1/streams/retail/records?from=1", till).headers.count("ratelimit"), 1u);
  EXPECT_EQ(get("/v1/streams/retail/records?from=x", till).headers.count("ratelimit"), 1u);
  EXPECT_EQ(get("/healthz", till).headers.count("ratelimit"), 0u);
}

// The text of a policy is kept from one request to the next.
TEST_F(LimitsApi, HeadersAreOfTheKeyThatAsks) {
  const std::string till = key({"stream:retail:write"});
  const std::string shop = key({"stream:retail:write"});
  const std::string free = key({"stream:retail:write"});
  limit(till, R"({"requests":{"per_second":10}})");
  limit(shop, R"({"requests":{"per_second":10},"records":{"per_day":100}})");
  for (int i = 0; i < 3; ++i) {
    const std::string left = std::to_string(9 - i);
    const ClientAnswer first = post(till);
    EXPECT_EQ(first.headers.at("ratelimit-policy"), "\"key-requests\";q=10;w=1");
    EXPECT_EQ(first.headers.at("ratelimit"), "\"key-requests\";r=" + left + ";t=1");
    const ClientAnswer second = post(shop);
    EXPECT_EQ(second.headers.at("ratelimit-policy"),
              "\"key-requests\";q=10;w=1, \"key-records-day\";q=100;w=86400;qu=\"records\"");
    EXPECT_EQ(second.headers.at("ratelimit"),
              "\"key-requests\";r=" + left + ";t=1, \"key-records-day\";r=9" + left + ";t=75355");
    EXPECT_EQ(post(free).headers.count("ratelimit"), 0u);
  }
  // The same key and as many limits, of another amount, of another measure, and of the tenant.
  limit(till, R"({"requests":{"per_second":20}})");
  EXPECT_EQ(post(till).headers.at("ratelimit-policy"), "\"key-requests\";q=20;w=1");
  limit(till, R"({"records":{"per_second":20}})");
  EXPECT_EQ(post(till).headers.at("ratelimit-policy"), "\"key-records\";q=20;w=1;qu=\"records\"");
  limit(till, R"({"records":{"per_second":20,"burst":40}})");
  EXPECT_EQ(post(till).headers.at("ratelimit-policy"), "\"key-records\";q=40;w=2;qu=\"records\"");
  limit(till, "{}");
  limit_tenant(R"({"records":{"per_second":20,"burst":40}})");
  EXPECT_EQ(post(till).headers.at("ratelimit-policy"), "\"tenant-records\";q=40;w=2;qu=\"records\"");
}

TEST_F(LimitsApi, RecordsAreAllOrNothing) {
  const std::string till = key({"stream:retail:write"});
  limit(till, R"({"records":{"per_second":10}})");
  EXPECT_EQ(post(till, 6).status, 200);
  const ClientAnswer refused = post(till, 5);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.code(), "rate_limited");
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  EXPECT_EQ(world.stream->log().durable().value(), 6u);
  EXPECT_EQ(post(till, 4).status, 200);
  clock.advance(1s);
  // More than the burst passes when nothing was sent for a while, and is paid for afterwards.
  EXPECT_EQ(post(till, 50).status, 200);
  const ClientAnswer indebted = post(till, 1);
  EXPECT_EQ(indebted.status, 429);
  EXPECT_EQ(indebted.headers.at("retry-after"), "5");
  clock.advance(4'100ms);
  EXPECT_EQ(post(till, 1).status, 200);
}

// What cannot pass is refused before anybody reads the body: it need not even be JSON.
TEST_F(LimitsApi, ABodyThatIsRefusedIsNotRead) {
  const std::string till = key({"stream:retail:write"});
  limit(till, R"({"bytes":{"per_second":100},"records":{"per_second":1}})");
  const std::string junk(90, '{');
  EXPECT_EQ(world.ask(ApiWorld::post(junk, with(till) + std::string(kJsonHeader))).status, 400);
  EXPECT_EQ(world.ask(ApiWorld::post(junk, with(till) + std::string(kJsonHeader))).status, 429);
  clock.advance(1s);
  EXPECT_EQ(post(till, 1).status, 200);
  EXPECT_EQ(world.ask(ApiWorld::post(junk, with(till) + std::string(kJsonHeader))).status, 429);
}

// Reading a body is work, also where nothing of it is stored: of bad records, of what is sent again, of a key that came
// with something else. The rate of bytes holds for all of them; quotas and usage count none.
TEST_F(LimitsApi, WhatStoresNothingPassesNoRate) {
  const std::string till = key({"stream:retail:write"});
  const std::string line = std::string(kGood) + "\n";
  const std::string bytes = std::to_string(2 * line.size());
  const auto send_lines = [&](const std::string& lines, const std::string& more = {}, const std::string& target = {}) {
    return world.ask(ApiWorld::request("POST", "/v1/streams/retail/records" + target, lines,
                                       with(till) + std::string(kNdjsonHeader) + more));
  };
  const auto limit_anew = [&] {  // with a full bucket, which setting the same again would not give
    EXPECT_EQ(send("DELETE", "/v1/limits/keys/" + id(till), "", admin).status, 204);
    limit(till, R"({"bytes":{"per_second":)" + bytes + R"(,"burst":)" + bytes + R"(,"per_day":100000}})");
  };
  const std::string bad(line.size(), '[');
  const auto until_refused = [&](const std::string& lines, const std::string& more = {},
                                 const std::string& target = {}) {
    limit_anew();
    int passed = 0;
    while (passed < 10 && send_lines(lines, more, target).status != 429) ++passed;
    return passed;
  };
  EXPECT_EQ(until_refused(bad), 2);
  EXPECT_EQ(until_refused(line.substr(0, line.size() - 1) + "\n", "Content-Encoding: gzip\r\n"), 2);
  EXPECT_EQ(until_refused(bad, "Idempotency-Key: bad\r\n"), 2);
  EXPECT_EQ(until_refused(line + bad, {}, "?atomic=true"), 1);
  EXPECT_EQ(get("/v1/limits", till).json()["key"]["left"]["bytes"]["this_day"], 100'000);
  EXPECT_EQ(until_refused(line, "Idempotency-Key: one\r\n"), 2);
  std::string other = line;
  other[other.find('1')] = '2';
  EXPECT_EQ(until_refused(other, "Idempotency-Key: one\r\n"), 2);
  EXPECT_EQ(get("/v1/limits", till).json()["key"]["left"]["bytes"]["this_day"],
            100'000 - static_cast<int>(line.size()));
}

// Only `GET /v1/limits`, and the operator, pass without a token: what a tenant's admin asks for about its keys costs
// events and reading, and is a request like any other.
TEST_F(LimitsApi, ATenantsAdminIsLimitedWhereItSetsLimits) {
  const std::string theirs = key({"server:admin"}, "acme");
  const std::string worker = key({"server:read"}, "acme");
  limit_tenant(R"({"requests":{"per_second":2}})", "acme");
  const std::string path = "/v1/limits/keys/" + id(worker);
  for (const char* day : {"5", "6"})
    EXPECT_EQ(send("PUT", path, std::string(R"({"requests":{"per_day":)") + day + "}}", theirs).status, 200);
  EXPECT_EQ(send("PUT", path, R"({"requests":{"per_day":7}})", theirs).code(), "rate_limited");
  EXPECT_EQ(get("/v1/limits/keys", theirs).status, 429);
  EXPECT_EQ(send("DELETE", path, "", theirs).status, 429);
  EXPECT_EQ(get("/v1/limits", theirs).status, 200);
  EXPECT_EQ(send("PUT", path, R"({"requests":{"per_day":7}})", admin).status, 200);
}

// Each change is kept for ever, so a tenant has so many of them; who runs the server as many as they like.
struct ChangesApi : LimitsApi {
  ChangesApi() : LimitsApi(5) {}
  ClientAnswer sql(const std::string& statement, const std::string& key) {
    return send("POST", "/v1/sql", nlohmann::json{{"sql", statement}}.dump(), key);
  }
};

TEST_F(ChangesApi, ATenantHasSoManyAnHour) {
  const std::string theirs = key({"server:admin", "stream:*:admin", "stream:*:read", "view:*:admin"}, "acme");
  const std::string other = key({"server:admin"}, "other");
  const std::string wanted = R"({"name":"till","scopes":["server:read"]})";
  EXPECT_EQ(send("PUT", "/v1/streams/orders", "{}", theirs).status, 201);
  EXPECT_EQ(send("POST", "/v1/keys", wanted, theirs).status, 201);
  EXPECT_EQ(send("PUT", "/v1/limits/keys/" + id(theirs), R"({"connections":100})", theirs).status, 200);
  EXPECT_EQ(send("DELETE", "/v1/streams/orders", "", theirs).status, 204);
  EXPECT_EQ(send("POST", "/v1/keys", "not taken, and asked for all the same", theirs).status, 400);
  const ClientAnswer refused = send("POST", "/v1/keys", wanted, theirs);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("retry-after"), "720");
  EXPECT_EQ(refused.body,
            R"({"type":"about:blank","title":"The keys of the tenant have changed too much for now.","status":429,)"
            R"("code":"change_limit","detail":"The limit of the tenant is 5 changes an hour. Send again after )"
            R"(Retry-After, or have a key with instance:admin do it; limits.changes_per_hour is the server's limit."})"
            "\n");
  // By whichever way; but who may not is told that, and whoever looks is answered.
  EXPECT_EQ(send("DELETE", "/v1/keys/" + id(theirs), "", theirs).code(), "change_limit");
  EXPECT_EQ(send("PUT", "/v1/limits/tenants/acme", "{}", theirs).status, 403);
  EXPECT_EQ(get("/v1/keys", theirs).status, 200);
  EXPECT_EQ(send("POST", "/v1/keys", wanted, other).status, 201);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(send("PUT", "/v1/streams/s" + std::to_string(i), "{}", admin).status, 201);
  }
  clock.advance(720s);
  EXPECT_EQ(send("POST", "/v1/keys", wanted, theirs).status, 201);
  EXPECT_EQ(send("POST", "/v1/keys", wanted, theirs).status, 429);
  EXPECT_THAT(get("/metrics", admin).body,
              HasSubstr("tidemill_limited_requests_total{reason=\"changes\",tenant=\"acme\"} 3\n"));
}

TEST_F(ChangesApi, StatementsCountAsWell) {
  const std::string theirs = key({"view:*:admin", "view:*:query", "stream:*:read"});
  const auto drop = [&] { return sql("DROP MATERIALIZED VIEW nothing", theirs); };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(drop().code(), "view_not_found");
  EXPECT_EQ(drop().code(), "change_limit");
  EXPECT_EQ(send("DELETE", "/v1/views/nothing", "", theirs).code(), "change_limit");
  EXPECT_EQ(sql("SELECT 1", theirs).status, 200);
  EXPECT_EQ(sql("DROP MATERIALIZED VIEW nothing", admin).code(), "view_not_found");
}

TEST_F(LimitsApi, QuotasAnswerUntilTheNextDay) {
  const std::string till = key({"stream:retail:write"});
  limit(till, R"({"records":{"per_day":10}})");
  const ClientAnswer never = post(till, 11);
  EXPECT_THAT(never.body, HasSubstr("10 records a day. This request alone has 11: it can never pass. Send fewer"));
  EXPECT_THAT(never.body, Not(HasSubstr("Retry-After")));
  EXPECT_FALSE(never.headers.contains("retry-after"));
  EXPECT_EQ(post(till, 10).status, 200);
  const ClientAnswer refused = post(till, 1);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.code(), "quota_exceeded");
  EXPECT_EQ(refused.headers.at("retry-after"), "75355");  // from 03:04:05 to midnight
  EXPECT_THAT(refused.body, HasSubstr("The quota of the key is 10 records a day."));
  EXPECT_THAT(refused.body, HasSubstr(R"("violated-policies":["key-records-day"])"));
  clock.advance(75'355s);
  EXPECT_EQ(post(till, 10).status, 200);
}

// A replay stores nothing, so it uses nothing; nor does what the log refuses.
TEST_F(LimitsApi, AReplayIsNotCharged) {
  const std::string till = key({"stream:retail:write"});
  limit(till, R"({"records":{"per_day":10}})");
  for (int i = 0; i < 5; ++i) {
    const ClientAnswer answer = post(till, 4, "Idempotency-Key: one\r\n");
    EXPECT_EQ(answer.status, 200) << i << answer.body;
  }
  EXPECT_EQ(get("/v1/limits", till).json()["key"]["left"]["records"]["this_day"], 6);
  EXPECT_EQ(post(till, 6).status, 200);
  EXPECT_EQ(post(till, 1).status, 429);
  world.limiter->write_usage();
  const UsageCounts counts = world.counted.sum(*parse_key_id(id(till)));
  EXPECT_EQ(counts.requests, 6u);
  EXPECT_EQ(counts.records, 10u);
  EXPECT_EQ(counts.bytes, 10u * (kGood.size() + 1));
  EXPECT_EQ(counts.refused, 1u);
}

TEST_F(LimitsApi, ATenantsLimitIsSharedByItsKeys) {
  const std::string a = key({"stream:retail:write"});
  const std::string b = key({"stream:retail:write"});
  limit_tenant(R"({"requests":{"per_second":3}})");
  EXPECT_EQ(post(a).status, 200);
  EXPECT_EQ(post(b).status, 200);
  EXPECT_EQ(post(a).status, 200);
  const ClientAnswer refused = post(b);
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, HasSubstr("The limit of the tenant is 3 requests a second."));
  EXPECT_EQ(get("/v1/streams", key({"server:read"}, "acme")).status, 200);
  // Who is shut out can still see why; and the operator, whose key is of the tenant, can lift it.
  EXPECT_EQ(get("/v1/limits", b).status, 200);
  EXPECT_EQ(get("/v1/streams", admin).status, 429);
  EXPECT_EQ(send("DELETE", "/v1/limits/tenants/default", "", admin).status, 204);
  EXPECT_EQ(post(b).status, 200);
}

TEST_F(LimitsApi, NoTenantLiftsItsOwnLimits) {
  const std::string theirs = key({"server:admin"}, "acme");
  const std::string worker = key({"server:read"}, "acme");
  limit_tenant(R"({"requests":{"per_day":1000}})", "acme");
  for (const char* method : {"PUT", "DELETE", "GET"})
    EXPECT_EQ(send(method, "/v1/limits/tenants/acme", "{}", theirs).status, 403) << method;
  EXPECT_EQ(get("/v1/limits/tenants", theirs).status, 403);
  // Of their own keys they may say more; of others' they know nothing.
  EXPECT_EQ(send("PUT", "/v1/limits/keys/" + id(worker), R"({"requests":{"per_day":5}})", theirs).status, 200);
  EXPECT_EQ(send("PUT", "/v1/limits/keys/" + id(admin), R"({"requests":{"per_day":5}})", theirs).status, 404);
  EXPECT_EQ(get("/v1/limits/keys/" + id(admin), theirs).code(), "key_not_found");
  EXPECT_EQ(get("/v1/limits/keys/0000000000000", theirs).code(), "key_not_found");
  limit(admin, R"({"requests":{"per_day":50}})");
  EXPECT_EQ(get("/v1/limits/keys", theirs).json()["keys"].size(), 1u);
  const auto all = get("/v1/limits/keys?limit=1", admin).json();
  EXPECT_EQ(all["keys"].size(), 1u);
  ASSERT_TRUE(all["next"].is_string());
  EXPECT_EQ(get("/v1/limits/keys?limit=1&from=" + all["next"].get<std::string>(), admin).json()["keys"].size(), 1u);
  EXPECT_EQ(get("/v1/limits/keys?from=x", admin).code(), "invalid_parameter");
  EXPECT_EQ(get("/v1/limits/tenants", admin).json().dump(),
            R"({"tenants":[{"limits":{"requests":{"per_day":1000}},"tenant":"acme"}]})");
  EXPECT_EQ(get("/v1/limits", worker).json()["tenant"]["limits"]["requests"]["per_day"], 1000);
}

TEST_F(LimitsApi, WhatIsWrongIsSaid) {
  const auto wrong = [&](const std::string& body) { return send("PUT", "/v1/limits/tenants/acme", body, admin); };
  EXPECT_EQ(wrong("[1]").code(), "invalid_body");
  const ClientAnswer twice = wrong(R"({"requests":{"per_second":1,"per_second":2}})");
  EXPECT_EQ(twice.status, 400);
  EXPECT_THAT(twice.body, HasSubstr("`requests.per_second` comes twice."));
  EXPECT_THAT(wrong(R"({"requests":{"per_second":0}})").body, HasSubstr("from 1 to 1,000,000,000"));
  EXPECT_EQ(send("PUT", "/v1/limits/tenants/Acme", "{}", admin).code(), "invalid_parameter");
  EXPECT_THAT(send("PUT", "/v1/limits/keys/" + id(admin), R"({"streams":1})", admin).body,
              HasSubstr("is limited for a tenant, not for a key"));
  EXPECT_EQ(send("DELETE", "/v1/limits/tenants/nobody", "", admin).status, 204);
  EXPECT_EQ(get("/v1/limits/tenants/nobody", admin).json().dump(), R"({"left":{},"limits":{},"tenant":"nobody"})");
}

TEST_F(LimitsApi, ConnectionsAreRefusedAndClosed) {
  const std::string till = key({"stream:retail:write"});
  limit(till, R"({"connections":2})");
  const std::string request = ApiWorld::post(kGood, with(till) + std::string(kJsonHeader));
  auto one = std::make_unique<RawClient>(world.server->port());
  RawClient two(world.server->port());
  for (RawClient* client : {one.get(), &two, one.get()}) {
    client->send(request);
    EXPECT_EQ(client->answer().status, 200);
  }
  RawClient three(world.server->port());
  three.send(request);
  const ClientAnswer refused = three.answer();
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.code(), "connection_limit");
  EXPECT_EQ(refused.headers.at("connection"), "close");
  EXPECT_EQ(refused.headers.count("retry-after"), 1u);
  EXPECT_FALSE(three.more());
  EXPECT_EQ(get("/v1/limits", till).json()["key"]["left"]["connections"], 0);
  one.reset();
  for (int i = 0; i < 2'000 && world.limiter->used({parse_key_id(id(till)), {}}).connections > 1; ++i)
    std::this_thread::sleep_for(5ms);
  RawClient four(world.server->port());
  four.send(request);
  EXPECT_EQ(four.answer().status, 200);
  two.send(request);
  EXPECT_EQ(two.answer().status, 200);
}

// As a proxy's, which brings requests of many keys.
TEST_F(LimitsApi, AConnectionCountsForTheKeyOfItsLatestRequest) {
  const std::string till = key({"stream:retail:write"}), free = key({"stream:retail:write"});
  limit(till, R"({"connections":1})");
  const auto post = [&](RawClient& client, const std::string& by) {
    client.send(ApiWorld::post(kGood, with(by) + std::string(kJsonHeader)));
    return client.answer().status;
  };
  RawClient shared(world.server->port()), own(world.server->port());
  EXPECT_EQ(post(shared, till), 200);
  EXPECT_EQ(post(shared, free), 200);
  EXPECT_EQ(world.limiter->used({parse_key_id(id(till)), {}}).connections, 0u);
  EXPECT_EQ(post(own, till), 200);
  EXPECT_EQ(post(shared, till), 429);
}

TEST_F(LimitsApi, StreamsOfATenant) {
  limit_tenant(R"({"streams":2})");
  EXPECT_EQ(send("PUT", "/v1/streams/second", "{}", admin).status, 201);
  const ClientAnswer refused = send("PUT", "/v1/streams/third", "{}", admin);
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.code(), "stream_limit");
  EXPECT_THAT(refused.body, HasSubstr("The limit of the tenant is 2 streams."));
  EXPECT_EQ(send("PUT", "/v1/streams/second", "{}", admin).status, 200);  // it is there
  EXPECT_EQ(get("/v1/limits", admin).json()["tenant"]["left"]["streams"], 0);
  limit_tenant(R"({"streams":1})");
  EXPECT_THAT(send("PUT", "/v1/streams/third", "{}", admin).body, HasSubstr("The limit of the tenant is 1 stream."));
  limit_tenant(R"({"streams":2})");
  EXPECT_EQ(send("DELETE", "/v1/streams/second", "", admin).status, 204);
  EXPECT_EQ(send("PUT", "/v1/streams/third", "{}", admin).status, 201);
}

TEST_F(LimitsApi, DiskOfATenant) {
  const std::string till = key({"stream:retail:write", "stream:retail:read"});
  limit_tenant(R"({"disk_bytes":1000})");  // measured as it is set
  const ClientAnswer refused = post(till);
  EXPECT_EQ(refused.status, 507);
  EXPECT_EQ(refused.code(), "disk_limit");
  EXPECT_THAT(refused.body, HasSubstr("The limit of the tenant is 1000 bytes."));
  EXPECT_EQ(get("/v1/streams/retail/records?from=1", till).status, 200);
  limit_tenant(R"({"disk_bytes":1})");
  EXPECT_THAT(post(till).body, HasSubstr("The limit of the tenant is 1 byte."));
  limit_tenant(R"({"disk_bytes":1000000000})");
  EXPECT_EQ(post(till).status, 200);
}

TEST_F(LimitsApi, MetricsCountByReasonAndTenant) {
  const std::string till = key({"stream:retail:write"});
  limit(till, R"({"requests":{"per_second":1}})");
  for (int i = 0; i < 4; ++i) (void)post(till);
  const std::string text = get("/metrics", admin).body;
  EXPECT_THAT(text, HasSubstr("tidemill_limited_requests_total{reason=\"rate\",tenant=\"default\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("tidemill_limited_requests_total{reason=\"disk\",tenant=\"default\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr(id(till))));
}

// So that an alert goes off before a quota ends. Of tenants, for there may be a million keys.
TEST_F(LimitsApi, MetricsSayHowMuchOfATenantsQuotaIsUsed) {
  const std::string till = key({"stream:retail:write"}), acme = key({"server:read"}, "acme");
  limit(till, R"({"requests":{"per_day":10}})");
  EXPECT_THAT(get("/metrics", admin).body, Not(HasSubstr("tidemill_quota_used{")));
  limit_tenant(R"({"requests":{"per_second":100,"per_day":10},"records":{"per_month":100}})", "acme");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get("/v1/streams", acme).status, 200);
  std::string text = get("/metrics", admin).body;
  const auto line = [](const char* what, const char* measure, const char* period, int value) {
    return "tidemill_quota_" + std::string(what) + "{measure=\"" + measure + "\",period=\"" + period +
           "\",tenant=\"acme\"} " + std::to_string(value) + "\n";
  };
  EXPECT_THAT(text, HasSubstr(line("used", "requests", "day", 3)));
  EXPECT_THAT(text, HasSubstr(line("allowed", "requests", "day", 10)));
  EXPECT_THAT(text, HasSubstr(line("used", "records", "month", 0)));
  EXPECT_THAT(text, HasSubstr(line("allowed", "records", "month", 100)));
  EXPECT_THAT(text, Not(HasSubstr("tidemill_quota_used{measure=\"requests\",period=\"day\",tenant=\"default\"}")));
  for (int i = 0; i < 10; ++i) (void)get("/v1/streams", acme);
  EXPECT_THAT(get("/metrics", admin).body, HasSubstr(line("used", "requests", "day", 10)));
  clock.advance(24h);  // another day
  text = get("/metrics", admin).body;
  EXPECT_THAT(text, HasSubstr(line("used", "requests", "day", 0)));
}

}  // namespace
}  // namespace tidemill

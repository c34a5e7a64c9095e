// The OpenAPI document and what every answer carries, over the route table.
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "api/openapi/document.h"
#include "tests/api/api_world.h"

namespace tidemill {
namespace {

using nlohmann::json;

json served(ApiWorld& world) {
  const auto answer = world.get("/openapi.json");
  EXPECT_EQ(answer.status, 200);
  return answer.json();
}

// Every $ref below the value.
void references(const json& value, std::set<std::string>& out) {
  if (value.is_object() && value.contains("$ref")) out.insert(value["$ref"].get<std::string>());
  if (value.is_structured())
    for (const auto& one : value) references(one, out);
}

// Where below the value there is an array of nobody knows what: code generators drop it.
void arrays_without_items(const json& value, const std::string& where, std::vector<std::string>& out) {
  if (value.is_object() && value.contains("type")) {
    const json& type = value["type"];
    const bool array =
        type == "array" || (type.is_array() && std::find(type.begin(), type.end(), "array") != type.end());
    if (array && !value.contains("items")) out.push_back(where);
  }
  if (value.is_object())
    for (const auto& [name, one] : value.items()) arrays_without_items(one, where + "/" + name, out);
  if (value.is_array())
    for (std::size_t i = 0; i < value.size(); ++i) arrays_without_items(value[i], where + "/" + std::to_string(i), out);
}

TEST(OpenApi, EveryArrayHasItems) {
  ApiWorld world;
  std::vector<std::string> found;
  arrays_without_items(served(world), "", found);
  EXPECT_THAT(found, testing::IsEmpty());
}

// tests/e2e/test_openapi.py holds them against their schemas.
TEST(OpenApi, EveryJsonBodyHasAnExample) {
  ApiWorld world;
  const json document = served(world);
  const auto has_example = [](const json& content, const std::string& where) {
    EXPECT_TRUE(content.contains("example") || content.contains("examples")) << where;
  };
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      const std::string where = method + " " + path;
      if (operation.contains("requestBody"))
        for (const auto& [type, content] : operation["requestBody"]["content"].items())
          has_example(content, where + " " + type);
      for (const auto& [status, response] : operation["responses"].items())
        if (status < "400" && path != "/openapi.json" &&
            response.value("content", json::object()).contains("application/json"))
          has_example(response["content"]["application/json"], where + " " + status);
    }
  }
  has_example(document["components"]["responses"]["Problem"]["content"]["application/problem+json"], "Problem");
}

TEST(OpenApi, AnswersToALimitedKeySaySoWhateverTheyAre) {
  ApiWorld world;
  const json document = served(world);
  const json& ingest = document["paths"]["/v1/streams/{stream}/records"]["post"]["responses"];
  for (const char* status : {"200", "207", "400", "403", "429"})
    for (const char* name : {"RateLimit", "RateLimit-Policy"})
      EXPECT_TRUE(ingest[status]["headers"].contains(name)) << status << " " << name;
  EXPECT_FALSE(ingest["401"]["headers"].contains("RateLimit"));
  EXPECT_FALSE(document["paths"]["/healthz"]["get"]["responses"]["200"].contains("headers"));
  EXPECT_FALSE(document["paths"]["/v1/limits"]["get"]["responses"]["200"].contains("headers"));
}

// Anybody may ask for it: it must not keep others' answers out.
TEST(OpenApi, TakesNothingOfTheMemoryForAnswers) {
  ApiOptions options;
  options.limits.http.answer_bytes = 5'000;
  ApiWorld world(options);
  EXPECT_EQ(world.get("/metrics").status, 429) << "any other large answer";
  const auto answer = world.get("/openapi.json");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.json().value("openapi", ""), "3.1.0");
  EXPECT_EQ(world.ask(ApiWorld::request("HEAD", "/openapi.json")).headers.at("content-length"),
            std::to_string(answer.body.size()));
}

TEST(OpenApi, EveryRouteIsInItWithAllThatItTakesAndGives) {
  ApiWorld world;
  const json document = served(world);
  std::set<std::string> ids;
  std::size_t operations = 0;
  for (const Operation& about : operations::kTable) EXPECT_TRUE(ids.insert(std::string(about.label)).second);
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      const std::string where = method + " " + path;
      ++operations;
      const std::string id = operation["operationId"];
      EXPECT_EQ(ids.erase(id), 1u) << where;
      EXPECT_FALSE(operation["summary"].get<std::string>().empty()) << where;
      EXPECT_EQ(operation["security"].empty(), operation["x-required-scope"].is_null()) << where;
      for (const auto& parameter : operation.value("parameters", json::array()))
        EXPECT_FALSE(parameter["description"].get<std::string>().empty()) << where;
    }
  }
  EXPECT_THAT(ids, testing::IsEmpty()) << "rows of api/openapi/operations.h without a route";
  EXPECT_GT(operations, 30u);
  // What is referred to is there, and what is there is referred to.
  std::set<std::string> wanted;
  references(document, wanted);
  std::set<std::string> there;
  for (const char* kind : {"schemas", "responses", "headers"})
    for (const auto& [name, value] : document["components"][kind].items())
      there.insert("#/components/" + std::string(kind) + "/" + name);
  EXPECT_EQ(wanted, there);
}

TEST(OpenApi, SaysWhoMayAndWhatCanGoWrong) {
  ApiWorld world;
  const json document = served(world);
  const json& ingest = document["paths"]["/v1/streams/{stream}/records"]["post"];
  EXPECT_EQ(ingest["x-required-scope"], "stream:{stream}:write");
  EXPECT_EQ(ingest["security"][0]["bearer"][0], "stream:{stream}:write");
  // One of them is enough; each is a scheme that is there.
  std::set<std::string> schemes;
  for (const json& way : ingest["security"]) {
    EXPECT_EQ(way.size(), 1u);
    EXPECT_EQ(way.begin().value(), json::array({"stream:{stream}:write"}));
    schemes.insert(way.begin().key());
  }
  EXPECT_EQ(schemes, (std::set<std::string>{"bearer", "apiKey", "mutualTLS"}));
  const json& known = document["components"]["securitySchemes"];
  EXPECT_EQ(known.size(), schemes.size());
  for (const std::string& scheme : schemes) EXPECT_TRUE(known.contains(scheme)) << scheme;
  EXPECT_EQ(known["mutualTLS"]["type"], "mutualTLS");
  EXPECT_EQ(ingest["requestBody"]["content"].size(), 3u);
  EXPECT_EQ(ingest["responses"]["207"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/Ingested");
  EXPECT_THAT(ingest["responses"]["409"]["x-error-codes"], testing::Contains("derived_stream"));
  EXPECT_TRUE(ingest["responses"]["429"]["headers"].contains("Retry-After"));
  EXPECT_TRUE(document["paths"]["/healthz"]["get"]["security"].empty());
  EXPECT_EQ(document["paths"]["/v1/streams"]["get"]["x-required-scope"], "any key");
  const json& stream = document["paths"]["/v1/streams/{stream}"]["get"];
  EXPECT_EQ(stream["x-required-scope"], "any scope of the stream {stream}, or server:read");
  // What stands as a scope is one that a key can be given.
  for (const auto& [path, methods] : document["paths"].items())
    for (const auto& [method, operation] : methods.items())
      for (const json& way : operation["security"])
        for (const json& scope : way.begin().value()) {
          std::string text = scope;
          for (std::size_t at; (at = text.find_first_of("{}")) != std::string::npos;) text.erase(at, 1);
          EXPECT_TRUE(parse_scope(text)) << method << " " << path << " " << text;
        }
}

// Of every route: an answer that is good, one that is a problem, and those that no route gives.
TEST(GuardHeaders, AreInEveryAnswer) {
  ApiWorld world({}, null_logger(), true);
  const auto guarded = [](const ClientAnswer& answer, const std::string& about) {
    ASSERT_FALSE(answer.closed) << about;
    EXPECT_EQ(answer.headers.count("x-content-type-options") ? answer.headers.at("x-content-type-options") : "",
              "nosniff")
        << about;
    const std::string policy =
        answer.headers.count("content-security-policy") ? answer.headers.at("content-security-policy") : "";
    for (const char* part : {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"})
      EXPECT_THAT(policy, testing::HasSubstr(part)) << about;
  };
  std::size_t asked = 0;
  const json document = served(world);
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::string place = path;
      for (const auto& [name, value] : std::map<std::string, std::string>{{"{stream}", "retail"},
                                                                          {"{view}", "customers"},
                                                                          {"{key}", "1"},
                                                                          {"{shard}", "9999"},
                                                                          {"{id}", "1"},
                                                                          {"{sequence}", "1"},
                                                                          {"{group}", "g"}})
        if (const auto at = place.find(name); at != std::string::npos) place.replace(at, name.size(), value);
      std::string verb = method;
      for (char& c : verb) c = static_cast<char>(std::toupper(c));
      for (const std::string& query : std::vector<std::string>{"", "?absent=1"}) {
        // Nothing is removed: the routes after it are asked, too.
        if (verb == "DELETE" && query.empty()) continue;
        const bool live = operation["responses"]
                              .value("200", json::object())
                              .value("content", json::object())
                              .contains("text/event-stream");
        const std::string as = live && verb == "GET" ? "HEAD" : verb;
        guarded(world.ask(ApiWorld::request(as, place + query)), as + " " + place + query);
        ++asked;
      }
    }
  }
  EXPECT_GT(asked, 60u);
  for (const std::string& request :
       {std::string("NONSENSE\r\n\r\n"), std::string("GET / HTTP/1.1\r\n\r\n"), ApiWorld::request("GET", "/absent"),
        ApiWorld::request("PATCH", "/v1/streams"), ApiWorld::request("OPTIONS", "/v1/streams"),
        ApiWorld::request("GET", "/", {}, "X: " + std::string(40'000, 'x') + "\r\n")})
    guarded(world.ask(request), request.substr(0, 40));
  EXPECT_THAT(world.get("/").headers.at("content-type"), testing::HasSubstr("text/html"));
}

// One connection too many is answered by whoever accepts, not by a connection.
TEST(GuardHeaders, AlsoWhereThereAreTooManyConnections) {
  ApiOptions options;
  options.limits.http.connections = 1;
  ApiWorld world(options);
  RawClient first(world.server->port());
  first.send(ApiWorld::request("GET", "/healthz"));
  EXPECT_EQ(first.answer().status, 200);
  RawClient second(world.server->port());
  const auto answer = second.answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.headers.at("x-content-type-options"), "nosniff");
}

}  // namespace
}  // namespace tidemill

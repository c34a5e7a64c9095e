#include "api/openapi/document.h"

#include <openssl/evp.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "api/openapi/texts.h"
#include "storage/base/build_info.h"
#include "storage/base/check.h"

namespace tidemill {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kJsonType = "application/json";
constexpr char kAbout[] =
    "Streams of records, and live views over them in SQL. HEAD works wherever GET does; OPTIONS names the methods of a "
    "path. Every error is application/problem+json with a stable `code`. While there are no keys, everything is "
    "allowed "
    "without one, and only the machine itself is served.";

// The parts of a list such as "a, b".
std::vector<std::string_view> parts(std::string_view list) {
  std::vector<std::string_view> out;
  while (!list.empty()) {
    const std::size_t end = list.find(", ");
    out.push_back(list.substr(0, end));
    list = end == std::string_view::npos ? std::string_view() : list.substr(end + 2);
  }
  return out;
}

// The parameters in braces of a path template, with their braces.
std::vector<std::string> names_in(std::string_view path) {
  std::vector<std::string> out;
  for (std::size_t at = 0; (at = path.find('{', at)) != std::string_view::npos;) {
    const std::size_t end = path.find('}', at);
    out.emplace_back(path.substr(at, end + 1 - at));
    at = end;
  }
  return out;
}

Json reference(std::string_view kind, std::string_view name) {
  return {{"$ref", "#/components/" + std::string(kind) + "/" + std::string(name)}};
}

// Every answer to a key that was let in says what is left of its limits; that to what asks about them does not.
bool says_limits(const Route& route) {
  return route.needs.needs_key() && route.path != "/v1/limits";
}

void add_limit_headers(Json& response) {
  for (const char* name : {"RateLimit", "RateLimit-Policy"}) response["headers"][name] = reference("headers", name);
}

class Document {
 public:
  std::string of(std::span<const Route> routes);

 private:
  Json operation(const Route& route, const Operation& about) const;
  Json parameters(const Route& route, const Operation& about) const;
  Json parameter(const char* in, const std::string& label, const std::string& entry, const std::string& name) const;
  Json body(const Route& route, const Operation& about) const;
  void add_answers(Json& responses, const Route& route, const Operation& about) const;
  void add_problems(Json& responses, const Route& route, const Operation& about) const;
  const Json& schema(const std::string& name) const;
  void add_json(Json& content, const std::vector<std::string>& schemas) const;
  Json components() const;

  Json texts_ = Json::parse(openapi_parameters());
  Json examples_ = Json::parse(openapi_examples());
  Json schemas_ = Json::object();
};

const Json& Document::schema(const std::string& name) const {
  CHECK(schemas_.contains(name));
  return schemas_.at(name);
}

// A JSON body of one of these schemas, with an example of each.
void Document::add_json(Json& content, const std::vector<std::string>& schemas) const {
  CHECK(!schemas.empty());  // a route that takes or gives JSON has a schema for it
  for (const std::string& name : schemas) {
    schema(name);
    CHECK(examples_.contains(name) || name == "OpenApi");  // api/openapi/examples.json; this document is its own
  }
  if (schemas.size() == 1) {
    content["schema"] = reference("schemas", schemas.front());
    if (examples_.contains(schemas.front())) content["example"] = examples_.at(schemas.front());
    return;
  }
  for (const std::string& name : schemas) {
    content["schema"]["anyOf"].push_back(reference("schemas", name));
    content["examples"][name]["value"] = examples_.at(name);
  }
}

// What is written of a parameter: for this operation, or for all. `entry` is its key there.
Json Document::parameter(const char* in, const std::string& label, const std::string& entry,
                         const std::string& name) const {
  const Json& all = texts_.at(in);
  const std::string own = label + " " + entry;
  CHECK(all.contains(own) || all.contains(entry));  // api/openapi/parameters.json
  Json out{{"name", name}, {"in", in}};
  if (std::string_view(in) == "path") out["required"] = true;
  out.update(all.contains(own) ? all.at(own) : all.at(entry));
  return out;
}

Json Document::parameters(const Route& route, const Operation& about) const {
  Json out = Json::array();
  const std::string label(about.label);
  for (const std::string& name : names_in(route.path))
    out.push_back(parameter("path", label, name, name.substr(1, name.size() - 2)));
  for (const std::string_view name : parts(route.query))
    out.push_back(parameter("query", label, std::string(name), std::string(name)));
  for (const std::string_view name : parts(about.headers))
    out.push_back(parameter("header", label, std::string(name), std::string(name)));
  return out;
}

// Of what is no JSON.
Json text_schema(std::string_view type) {
  if (type == "application/x-ndjson") return {{"type", "string"}, {"description", "A JSON object a line."}};
  if (type == "text/csv") return {{"type", "string"}, {"description", "A header row and rows."}};
  if (type == "text/event-stream") return {{"type", "string"}, {"description", "Server-sent events, without an end."}};
  if (type == "application/sql") return {{"type", "string"}, {"description", "The bare text."}};
  return {{"type", "string"}};
}

Json Document::body(const Route& route, const Operation& about) const {
  CHECK(!about.body.empty());  // a route that takes a body has a schema for it
  const Json& of_json = schema(std::string(about.body));
  Json content = Json::object();
  for (const std::string_view type : parts(route.takes)) {
    Json& place = content[std::string(type)];
    if (type == kJsonType) {
      add_json(place, {std::string(about.body)});
      continue;
    }
    const std::string example = std::string(about.body) + " " + std::string(type);
    CHECK(examples_.contains(example));  // api/openapi/examples.json
    place["schema"] = text_schema(type);
    place["example"] = examples_.at(example);
  }
  return {{"required", !of_json.contains("default")}, {"content", std::move(content)}};
}

const char* said_by(int status) {
  switch (status) {
    case 201:
      return "Made.";
    case 202:
      return "Under way: it takes effect later.";
    case 204:
      return "Done.";
    case 207:
      return "Some records were taken; `rejected` has the others.";
    case 304:
      return "The copy that If-None-Match names is good.";
    default:
      return "Done as asked.";
  }
}

void Document::add_answers(Json& responses, const Route& route, const Operation& about) const {
  std::map<int, std::vector<std::string>> by_status;
  for (const std::string_view answer : parts(about.answers)) {
    auto& schemas = by_status[std::stoi(std::string(answer.substr(0, 3)))];
    if (answer.size() > 4) schemas.emplace_back(answer.substr(4));
  }
  for (const auto& [status, schemas] : by_status) {
    Json& response = responses[std::to_string(status)];
    response["description"] = said_by(status);
    for (const auto& [entry, header] : texts_.at("answer").items())
      if (entry.starts_with(std::string(about.label) + " "))
        response["headers"][entry.substr(about.label.size() + 1)] = header;
    if (status == 204 || status == 304) continue;
    for (const std::string_view type : parts(route.gives)) {
      Json& place = response["content"][std::string(type)];
      if (type == kJsonType) {
        add_json(place, schemas);
      } else {
        place["schema"] = text_schema(type);
      }
    }
  }
}

// What follows from the route itself: the router's own refusals, and what any handler may meet.
std::set<ErrorId> problems_of(const Route& route, const Operation& about) {
  using enum ErrorId;
  std::set<ErrorId> out(about.problems.ids().begin(), about.problems.ids().end());
  const bool versioned = route.path.starts_with("/v1/");
  if (versioned || !route.query.empty()) out.insert({invalid_parameter, target_invalid});
  if (route.path.find('{') != std::string_view::npos) out.insert(target_invalid);
  if (route.needs.needs_key())
    out.insert({unauthorized, throttled, draining, rate_limited, quota_exceeded, connection_limit});
  if (route.changes()) out.insert(change_limit);
  if (route.needs.needs_key() && !route.needs.some()) out.insert(forbidden);
  if (route.path.starts_with("/readyz")) out.insert(draining);
  if (parts(route.gives).size() > 1 || route.gives == "text/event-stream") out.insert(not_acceptable);
  if (!route.takes.empty()) {
    out.insert({unsupported_media_type, unsupported_encoding, body_too_large});
    if (route.method == "POST") out.insert(length_required);
  }
  return out;
}

void Document::add_problems(Json& responses, const Route& route, const Operation& about) const {
  std::map<int, std::vector<const ErrorEntry*>> by_status;
  for (const ErrorId id : problems_of(route, about)) by_status[error_entry(id).status].push_back(&error_entry(id));
  for (const auto& [status, entries] : by_status) {
    Json& response = responses[std::to_string(status)];
    std::string text;
    Json codes = Json::array();
    for (const ErrorEntry* entry : entries) {
      text.append(text.empty() ? "" : "\n").append("- `").append(entry->code).append("`: ").append(entry->title);
      codes.push_back(entry->code);
    }
    response["description"] = text;
    if (status == 401) response["headers"]["WWW-Authenticate"] = reference("headers", "WWW-Authenticate");
    if (status == 429 || status == 503) response["headers"]["Retry-After"] = reference("headers", "Retry-After");
    response["content"]["application/problem+json"]["schema"] = reference("schemas", "Problem");
    response["x-error-codes"] = std::move(codes);
  }
  responses["default"] = reference("responses", "Problem");
}

Json Document::operation(const Route& route, const Operation& about) const {
  Json out;
  out["operationId"] = about.label;
  out["tags"] = {about.tag};
  out["summary"] = about.summary;
  std::vector<std::string> names = names_in(route.path);
  const std::string scope = route.needs.text(names.empty() ? std::string() : names.front());
  const bool named = route.needs.needs_key() && !route.needs.some();
  const bool one = named && route.needs.is_one_scope();
  out["description"] = one                       ? "Needs a key with the scope `" + scope + "`."
                       : named                   ? "Needs a key with " + scope + "."
                       : route.needs.needs_key() ? "Needs a key; what it is shown, or may do, its scopes say."
                                                 : "Needs no key.";
  if (Json list = parameters(route, about); !list.empty()) out["parameters"] = std::move(list);
  if (!route.takes.empty()) out["requestBody"] = body(route, about);
  Json& responses = out["responses"] = Json::object();
  add_answers(responses, route, about);
  add_problems(responses, route, about);
  if (says_limits(route))
    for (auto& [status, response] : responses.items())
      if (status != "401" && status != "default") add_limit_headers(response);
  out["security"] = Json::array();
  if (route.needs.needs_key()) {
    for (const char* scheme : {"bearer", "apiKey", "mutualTLS"}) {
      Json way;
      way[scheme] = one ? Json::array({scope}) : Json::array();
      out["security"].push_back(std::move(way));
    }
  }
  out["x-required-scope"] = named ? Json(scope) : route.needs.needs_key() ? Json("any key") : Json(nullptr);
  return out;
}

Json Document::components() const {
  Json out;
  out["schemas"] = schemas_;
  out["headers"] = {
      {"Retry-After",
       {{"description", "Seconds to wait before the next try."}, {"schema", {{"type", "integer"}, {"minimum", 1}}}}},
      {"RateLimit",
       {{"description", "Where the key or its tenant is limited: what is left."}, {"schema", {{"type", "string"}}}}},
      {"RateLimit-Policy",
       {{"description", "Where the key or its tenant is limited: by what."}, {"schema", {{"type", "string"}}}}},
      {"WWW-Authenticate", {{"description", "How a key is sent."}, {"schema", {{"type", "string"}}}}}};
  out["responses"]["Problem"] = {
      {"description",
       "Any other problem: HTTP that cannot be read (400, 408, 413, 417, 431, 505), a server that has no room or is "
       "stopping (429, 503), a disk that is full or fails (500, 503, 507)."},
      {"content",
       {{"application/problem+json",
         {{"schema", reference("schemas", "Problem")}, {"example", examples_.at("Problem")}}}}}};
  add_limit_headers(out["responses"]["Problem"]);
  out["securitySchemes"] = {
      {"bearer", {{"type", "http"}, {"scheme", "bearer"}, {"description", "Authorization: Bearer KEY."}}},
      {"apiKey", {{"type", "apiKey"}, {"in", "header"}, {"name", "X-Api-Key"}, {"description", "X-Api-Key: KEY."}}},
      {"mutualTLS",
       {{"type", "mutualTLS"},
        {"description",
         "Over https://, where the server asks for clients' certificates (server.tls_client): one that is bound to a "
         "key stands for it, and no key is sent. A key that comes with it must be the same."}}}};
  return out;
}

std::string Document::of(std::span<const Route> routes) {
  for (const std::string_view text : openapi_schemas()) {
    const Json more = Json::parse(text);
    for (const auto& [name, schema] : more.items()) {
      CHECK(!schemas_.contains(name));
      schemas_[name] = schema;
    }
  }
  Json document{{"openapi", "3.1.0"},
                {"info",
                 {{"title", "Tidemill"},
                  {"version", version()},
                  {"description", kAbout},
                  {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
                {"servers", Json::array({{{"url", "/"}}})},
                {"tags", Json::array()},
                {"paths", Json::object()}};
  std::set<std::string_view> tags;
  for (const Route& route : routes) {
    const Operation* const about = find_operation(route.label);
    CHECK(about);
    std::string method(route.method);
    for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    document["paths"][std::string(route.path)][method] = operation(route, *about);
    if (!tags.insert(about->tag).second) continue;
    const std::string tag(about->tag);
    CHECK(texts_.at("tags").contains(tag));  // api/openapi/parameters.json
    document["tags"].push_back({{"name", tag}, {"description", texts_.at("tags").at(tag)}});
  }
  document["components"] = components();
  return document.dump() + "\n";
}

std::string etag_of(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  CHECK(EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) == 1);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out("\"");
  for (std::size_t i = 0; i < 16; ++i) out.append({kDigits[digest[i] >> 4], kDigits[digest[i] & 15]});
  return out + "\"";
}

// Whether a list of entity tags has ours (RFC 9110, section 13.1.2: compared weakly).
bool lists_tag(std::string_view list, std::string_view etag) {
  return list == "*" || list.find(etag) != std::string_view::npos;
}

}  // namespace

std::string openapi_document(std::span<const Route> routes) {
  return Document().of(routes);
}

void OpenApi::make(std::span<const Route> routes) {
  text_ = std::make_shared<const std::string>(openapi_document(routes));
  etag_ = etag_of(*text_);
}

void OpenApi::answer(const http::Request& request, http::Responder responder) const {
  http::Response response;
  // Kept by whoever likes, and asked about each time: another version of the server may stand here.
  response.add_header("Cache-Control", "no-cache");
  response.add_header("ETag", etag_);
  if (lists_tag(request.header("If-None-Match"), etag_)) {
    response.status = 304;
    return responder.send(std::move(response));
  }
  response.content_type = kJsonType;
  // Anybody may ask for it, without a key: it takes nothing of the memory that all large answers share.
  responder.send_shared(std::move(response), text_);
}

}  // namespace tidemill

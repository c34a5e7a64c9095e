// Whose request it is: Authorization and X-Api-Key, out of a request's bytes, against a real table of keys. The bytes
// 0xf0 to 0xf6 stand for the text of a key each, so that good ones are met.
#include <algorithm>

#include "api/http/parser.h"
#include "api/router/access.h"
#include "engine/keys/keys.h"
#include "tests/engine/fake_log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/sim_env.h"

using namespace tidemill;

namespace {

struct NoPrivateFiles final : PrivateFiles {
  Result<void> create(const std::string&) override { return {}; }
  Result<bool> open_to_others(const std::string&) override { return false; }
};

// Keys of all kinds; the first `good` of them let somebody in.
struct World {
  SimEnv sim;
  std::shared_ptr<FakeLog> log = std::make_shared<FakeLog>(sim.env);
  SystemStream system{sim.env, log};
  NoPrivateFiles files;
  std::unique_ptr<Keys> keys;
  std::vector<std::string> texts;
  std::vector<KeyId> ids;
  std::size_t good = 0;

  World() {
    CHECK(create_directories(sim.files, "data").has_value());
    keys = std::move(*Keys::open(sim.env, system, {"data", files}));
    make("instance:admin", {});
    make("stream:retail:write", {});
    // Two that live at once.
    texts.emplace_back(keys->rotate(ids[1], std::chrono::hours(24 * 90), {})->secret.view());
    ids.push_back(ids[1]);
    good = texts.size();
    const auto ended = make("server:read", {});
    CHECK(keys->revoke(ended, {}).has_value());
    make("server:read", WallTime(sim.clock.wall() + std::chrono::seconds(1)));
    sim.clock.advance(std::chrono::seconds(2));
    texts.push_back(texts[0]);  // of no key: mistyped, and one of another directory
    texts.back().back() = texts.back().back() == '0' ? '1' : '0';
    SimRandom other(7);
    texts.emplace_back(make_key_text(KeyId{42}, other).view());
  }
  KeyId make(const char* scope, std::optional<WallTime> expires) {
    WantedKey wanted;
    wanted.name = "k";
    wanted.scopes.push_back(*parse_scope(scope));
    wanted.expires = expires;
    const auto issued = keys->create(wanted, {});
    CHECK(issued.has_value());
    texts.emplace_back(issued->secret.view());
    return ids.emplace_back(issued->key.id);
  }
};

bool is_key_header(const http::Header& header) {
  return http::iequals(header.name, "X-Api-Key") || http::iequals(header.name, "Authorization");
}

// What came as the key, found in another way than the server's; nullopt: none, or more than one.
std::optional<std::string> sent(const http::Request& request) {
  std::optional<std::string> key;
  for (const http::Header& header : request.headers) {
    if (!is_key_header(header)) continue;
    if (key) return std::nullopt;
    key = header.value;
    if (http::iequals(header.name, "X-Api-Key")) continue;
    if (key->size() < 7 || !http::iequals(key->substr(0, 7), "Bearer ")) return std::nullopt;
    key->erase(0, std::min(key->find_first_not_of(' ', 6), key->size()));
  }
  return key;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  static const Access access(world.keys.get());
  std::string buffer = "GET /v1/streams HTTP/1.1\r\nHost: a\r\n";
  for (const char c : text_of(data, size)) {
    const std::size_t which = static_cast<unsigned char>(c) - std::size_t{0xf0};
    which < world.texts.size() ? buffer.append(world.texts[which]) : buffer.append(1, c);
  }
  buffer.append("\r\n\r\n");
  http::RequestParser parser;
  parser.begin({});
  std::size_t taken = 0;
  if (parser.feed(buffer.data(), buffer.size(), taken) != http::RequestParser::Step::complete) return 0;
  const http::Request& request = parser.request();
  const auto key = sent(request);
  const auto good = world.texts.begin() + static_cast<std::ptrdiff_t>(world.good);
  const auto expected = key ? std::find(world.texts.begin(), good, *key) : good;

  const Admission admission = access.admit(Need::server(Action::read), request);
  if (expected != good) {
    CHECK(admission.who && !admission.refusal);
    CHECK(admission.key == world.ids[static_cast<std::size_t>(expected - world.texts.begin())]);
  } else {
    CHECK(!admission.who && admission.refusal && admission.refusal->status == 401);
    CHECK(admission.refusal->headers.find("WWW-Authenticate: Bearer") != std::string::npos);
    for (const std::string& text : world.texts) CHECK(admission.refusal->body.find(text) == std::string::npos);
  }
  return 0;
}

#include "engine/keys/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "engine/keys/key_events.h"
#include "storage/base/errors.h"
#include "tests/engine/fake_log.h"
#include "tests/support/real_env.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

using ::testing::HasSubstr;
using Verdict = Keys::Verdict;
using namespace std::chrono_literals;

// Private files of the simulation: who may read them is said by the test.
struct SimPrivateFiles final : PrivateFiles {
  explicit SimPrivateFiles(FileSystem& f) : files(f) {}
  Result<void> create(const std::string& path) override {
    const auto file = files.open(path, OpenMode::create);
    if (!file) return file.error();
    made.insert(path);
    return {};
  }
  Result<bool> open_to_others(const std::string&) override { return open; }
  FileSystem& files;
  std::set<std::string> made;
  bool open = false;
};

WantedKey wanted(std::vector<std::string> scopes, std::string tenant = "default") {
  WantedKey w;
  w.name = "a key";
  w.tenant = std::move(tenant);
  for (const auto& s : scopes) w.scopes.push_back(*parse_scope(s));
  return w;
}

struct KeysTest : ::testing::Test {
  SimEnv sim;
  std::shared_ptr<FakeLog> log = std::make_shared<FakeLog>(sim.env);
  std::unique_ptr<SystemStream> system = std::make_unique<SystemStream>(sim.env, log);
  SimPrivateFiles privately{sim.files};
  std::unique_ptr<Keys> keys;

  void SetUp() override {
    ASSERT_TRUE(create_directories(sim.files, "data"));
    open();
  }
  void open() { keys = *Keys::open(sim.env, *system, {"data", privately}); }
  // Another life over the same log; `crash`: without close().
  void restart(bool crash = false) {
    if (!crash) {
      ASSERT_TRUE(keys->close());
    }
    keys.reset();
    system = std::make_unique<SystemStream>(sim.env, log);
    open();
  }
  Keys::Issued create(std::vector<std::string> scopes) { return *keys->create(wanted(std::move(scopes)), {}); }
  Verdict verdict(const Keys::Issued& issued) { return keys->check(issued.secret.view()).verdict; }
};

TEST_F(KeysTest, AKeyIsGoodFromItsMakingOnAndOverARestart) {
  EXPECT_FALSE(keys->any());
  const auto issued = create({"stream:retail:write", "view:customers:query"});
  EXPECT_TRUE(keys->any());
  for (int life = 0; life < 2; ++life) {
    const auto found = keys->check(issued.secret.view());
    ASSERT_EQ(found.verdict, Verdict::good);
    EXPECT_EQ(found.id, issued.key.id);
    EXPECT_EQ(found.who->tenant, "default");
    EXPECT_FALSE(found.who->everything);
    EXPECT_TRUE(found.who->may(Action::write, Thing::stream, "retail"));
    EXPECT_FALSE(found.who->may(Action::read, Thing::stream, "retail"));
    restart();
  }
  // Nothing of the secret is kept.
  const auto batch = log->read(Sequence(1), {});
  for (const auto& record : batch->records)
    EXPECT_EQ(record.data.find(issued.secret.view().substr(17)), std::string::npos);
}

TEST_F(KeysTest, AWrongSecretAndAnUnknownIdAreToldAlike) {
  const auto issued = create({"server:admin"});
  const SecretText guess = make_key_text(issued.key.id, sim.random);
  EXPECT_EQ(keys->check(guess.view()).verdict, Verdict::unknown);
  EXPECT_EQ(keys->check(make_key_text(KeyId{42}, sim.random).view()).verdict, Verdict::unknown);
  std::string mistyped(issued.secret.view());
  mistyped[30] = mistyped[30] == 'a' ? 'b' : 'a';
  EXPECT_EQ(keys->check(mistyped).verdict, Verdict::malformed);
  EXPECT_EQ(keys->check("").verdict, Verdict::malformed);
}

TEST_F(KeysTest, ARevokedKeyIsClosedForGoodAndAllRevokedIsNotOpen) {
  const auto issued = create({"instance:admin"});
  ASSERT_TRUE(keys->revoke(issued.key.id, {}));
  const auto when = keys->find(issued.key.id)->revoked;
  EXPECT_TRUE(when);
  EXPECT_EQ(verdict(issued), Verdict::revoked);
  sim.clock.advance(1h);
  EXPECT_EQ(keys->revoke(issued.key.id, {})->revoked, when);
  EXPECT_EQ(keys->rotate(issued.key.id, 1h, {}).error(), KeyErrc::key_ended);
  restart();
  EXPECT_EQ(verdict(issued), Verdict::revoked);
  EXPECT_TRUE(keys->any());
  EXPECT_EQ(keys->revoke(KeyId{42}, {}).error(), KeyErrc::no_such_key);
  EXPECT_EQ(keys->counts().revoked, 1u);
}

// For answers that go on for long: what came then is judged as if it came again.
TEST_F(KeysTest, WhatWasGoodIsJudgedAgainWithoutTheSecret) {
  WantedKey w = wanted({"server:read"});
  w.expires = sim.clock.wall() + 10h;
  const auto issued = *keys->create(w, {});
  const auto found = keys->check(issued.secret.view());
  const auto again = [&] { return keys->check_again(found.id, found.shown).verdict; };
  ASSERT_EQ(again(), Verdict::good);
  ASSERT_TRUE(keys->rotate(issued.key.id, 1h, {}));
  EXPECT_EQ(again(), Verdict::good) << "within its grace";
  sim.clock.advance(1h + 1s);
  EXPECT_EQ(again(), Verdict::unknown);
  const auto other = *keys->create(w, {});
  const auto theirs = keys->check(other.secret.view());
  EXPECT_EQ(keys->check_again(found.id, theirs.shown).verdict, Verdict::unknown) << "a hash is one key's";
  sim.clock.advance(9h);
  EXPECT_EQ(keys->check_again(theirs.id, theirs.shown).verdict, Verdict::expired);
  ASSERT_TRUE(keys->revoke(theirs.id, {}));
  EXPECT_EQ(keys->check_again(theirs.id, theirs.shown).verdict, Verdict::revoked);
}

// A name that shows as another one is refused; one that was stored before is still a key.
TEST_F(KeysTest, ANameIsWhatItLooksLike) {
  WantedKey w = wanted({"stream:retail:write"});
  const auto fault = [&](std::string name) {
    w.name = std::move(name);
    return fault_of(w, sim.clock.wall());
  };
  for (const char* good : {"till-3", "K\u00e4se", "\u30ec\u30b8", "a\u0308", "\u2764\ufe0f"})
    EXPECT_EQ(fault(good), "") << good;
  for (const auto& [name, code] :
       {std::pair("a\u202etxt.exe", "U+202E"), std::pair("\ufeffoperator", "U+FEFF"),
        std::pair("oper\u200bator", "U+200B"), std::pair("a\u2066b\u2069", "U+2066"), std::pair("\u061ca", "U+061C"),
        std::pair("a\u200e", "U+200E"), std::pair("a\u2028b", "U+2028"), std::pair("a\nb", "U+000A"),
        std::pair("a\x7f", "U+007F"), std::pair("a\xc2\x9b", "U+009B"), std::pair("\U000e0041", "U+E0041")})
    EXPECT_THAT(fault(name), AllOf(HasSubstr(code), HasSubstr("leave it out"))) << name;
  EXPECT_THAT(fault("a\xff"), HasSubstr("UTF-8"));
  EXPECT_THAT(fault(""), HasSubstr("1 to 100 bytes"));
  EXPECT_THAT(fault(std::string(101, 'a')), HasSubstr("1 to 100 bytes"));
  w.name = "a\u202etxt.exe";
  const auto before = *keys->create(w, {});
  restart();
  EXPECT_EQ(verdict(before), Verdict::good);
  EXPECT_EQ(keys->find(before.key.id)->name, w.name);
}

TEST_F(KeysTest, AKeyExpires) {
  WantedKey w = wanted({"stream:retail:write"});
  w.expires = sim.clock.wall() + 1h;
  EXPECT_EQ(fault_of(w, sim.clock.wall()), "");
  const auto issued = *keys->create(w, {});
  EXPECT_EQ(verdict(issued), Verdict::good);
  sim.clock.advance(1h);
  EXPECT_EQ(verdict(issued), Verdict::expired);
  EXPECT_EQ(keys->rotate(issued.key.id, 1h, {}).error(), KeyErrc::key_ended);
  // Who does not have the secret is not told that it expired.
  EXPECT_EQ(keys->check(make_key_text(issued.key.id, sim.random).view()).verdict, Verdict::unknown);
  sim.clock.advance(2s);
  EXPECT_EQ(keys->counts().expired, 1u);
  EXPECT_THAT(fault_of(w, sim.clock.wall()),
              AllOf(HasSubstr("`expires` " + format_rfc3339(*w.expires) + " is past"), HasSubstr("expired already")));
}

TEST_F(KeysTest, TwoSecretsLiveWhileOneIsRotated) {
  const auto first = create({"stream:retail:write"});
  const auto second = *keys->rotate(first.key.id, 1h, {});
  EXPECT_EQ(second.key.id, first.key.id);
  EXPECT_EQ(verdict(first), Verdict::good);
  EXPECT_EQ(verdict(second), Verdict::good);
  restart();
  EXPECT_EQ(verdict(first), Verdict::good);
  const auto third = *keys->rotate(first.key.id, 1h, {});
  EXPECT_EQ(verdict(first), Verdict::unknown) << "two at most";
  EXPECT_EQ(verdict(second), Verdict::good);
  EXPECT_EQ(verdict(third), Verdict::good);
  EXPECT_TRUE(keys->find(first.key.id)->older_until);
  sim.clock.advance(1h + 1s);
  EXPECT_EQ(verdict(second), Verdict::unknown);
  EXPECT_EQ(verdict(third), Verdict::good);
  restart();
  EXPECT_EQ(verdict(second), Verdict::unknown);
  EXPECT_EQ(verdict(third), Verdict::good);
  sim.clock.advance(700ms);  // within a second, too
  const auto fourth = *keys->rotate(first.key.id, 0s, {});
  EXPECT_EQ(verdict(third), Verdict::unknown) << "no grace";
  EXPECT_EQ(verdict(fourth), Verdict::good);
}

TEST_F(KeysTest, AnEventThatCannotBeReadStopsTheStart) {
  const auto issued = create({"server:admin"});
  for (const auto& [type, json] : std::vector<std::pair<std::string, std::string>>{
           {"key.suspended", R"({"id":"0000000000001"})"},
           {"key.revoked", R"({"id":"0000000000001","revoked":"2026-01-01T00:00:00Z"})"},  // no such key
           {"key.revoked", R"({"id":")" + to_text(issued.key.id) + R"("})"},
           {"key.created", R"({"id":"0000000000001","kind":"api","name":"x","tenant":"default","scopes":["all"],)"
                           R"("created":"2026-01-01T00:00:00Z","sha256":")" +
                               std::string(64, 'a') + "\"}"}}) {
    const auto other = std::make_shared<FakeLog>(sim.env);
    SystemStream stream(sim.env, other);
    ASSERT_TRUE(stream.append("key.created", log->read(Sequence(1), {})->records.at(0).data));
    ASSERT_TRUE(Keys::open(sim.env, stream, {"data", privately}));
    ASSERT_TRUE(stream.append(type, json));
    SystemStream again(sim.env, other);
    EXPECT_EQ(Keys::open(sim.env, again, {"data", privately}).error(), StorageErrc::damaged) << type;
  }
}

TEST_F(KeysTest, LastUseIsNotedOnceAnHourAndAtTheEnd) {
  const auto a = create({"server:read"});
  const auto b = create({"server:read"});
  const Sequence before = log->durable();
  for (int i = 0; i < 100; ++i) verdict(a);
  EXPECT_EQ(log->durable(), before) << "no event for each request";
  EXPECT_EQ(*keys->find(a.key.id)->last_used, std::chrono::floor<std::chrono::minutes>(sim.clock.wall()));
  EXPECT_FALSE(keys->find(b.key.id)->last_used);
  restart(true);
  EXPECT_FALSE(keys->find(a.key.id)->last_used) << "not noted before the hour was over";
  verdict(a);
  verdict(b);
  ASSERT_TRUE(keys->note_used());
  EXPECT_EQ(log->durable().value(), before.value() + 1) << "one event for both";
  restart(true);
  EXPECT_TRUE(keys->find(a.key.id)->last_used);
  EXPECT_TRUE(keys->find(b.key.id)->last_used);
  sim.clock.advance(2h);
  verdict(a);
  ASSERT_TRUE(keys->note_used());
  EXPECT_EQ(log->durable().value(), before.value() + 1) << "within the day";
  const auto last = *keys->find(a.key.id)->last_used;
  restart();  // at the end all is noted
  EXPECT_EQ(keys->find(a.key.id)->last_used, last);
}

TEST_F(KeysTest, AnAwsSecretIsEncryptedUnderTheInstanceKey) {
  WantedKey w = wanted({"stream:retail:write"});
  w.kind = KeyKind::aws;
  const auto issued = *keys->create(w, {});
  EXPECT_EQ(parse_access_key(issued.access_key), issued.key.id);
  EXPECT_EQ(privately.made, std::set<std::string>{"data/instance.key.tmp"});
  EXPECT_EQ(sim.files.info("data/instance.key")->size, 32u);
  sim.files.power_off();  // it was durable before the event was
  sim.crash();
  restart(true);
  auto secrets = keys->aws_secrets(issued.key.id);
  ASSERT_TRUE(secrets);
  ASSERT_EQ(secrets->size(), 1u);
  EXPECT_EQ(secrets->at(0).view(), issued.secret.view());
  const auto batch = log->read(Sequence(1), {});
  for (const auto& record : batch->records) EXPECT_EQ(record.data.find(issued.secret.view()), std::string::npos);

  const auto second = *keys->rotate(issued.key.id, 1h, {});
  EXPECT_TRUE(keys->find(issued.key.id)->older_until);
  secrets = keys->aws_secrets(issued.key.id);
  ASSERT_EQ(secrets->size(), 2u);
  EXPECT_EQ(secrets->at(0).view(), second.secret.view());
  EXPECT_EQ(secrets->at(1).view(), issued.secret.view());
  sim.clock.advance(2h);
  EXPECT_EQ(keys->aws_secrets(issued.key.id)->size(), 1u);
  EXPECT_EQ(keys->check(issued.secret.view()).verdict, Verdict::malformed);
}

TEST_F(KeysTest, WhileTheInstanceKeyIsMadeThePowerMayGoAtAnyCall) {
  WantedKey w = wanted({"stream:retail:write"});
  w.kind = KeyKind::aws;
  bool whole = false;
  int cuts = 0;
  for (; !whole; ++cuts) {
    ASSERT_LT(cuts, 20);
    if (exists(sim.files, "data/instance.key")) {
      ASSERT_TRUE(sim.files.remove("data/instance.key"));
    }
    sim.files.cut_at_step(sim.files.steps() + 1 + static_cast<std::uint64_t>(cuts));
    const auto first = keys->create(w, {});
    whole = first && sim.files.powered();
    sim.files.power_off();
    sim.crash();
    restart(true);
    const auto second = keys->create(w, {});
    ASSERT_TRUE(second) << "cut " << cuts << ": " << second.error().message();
    for (const auto* issued : {first ? &*first : nullptr, &*second}) {
      if (issued == nullptr) continue;
      EXPECT_EQ(keys->aws_secrets(issued->key.id)->at(0).view(), issued->secret.view()) << "cut " << cuts;
      ASSERT_TRUE(keys->revoke(issued->key.id, {}));
    }
  }
  EXPECT_GE(cuts, 5);  // opened, written, flushed, named, its directory flushed
}

TEST_F(KeysTest, AnInstanceKeyThatIsOpenGoneOrWrongIsRefused) {
  WantedKey w = wanted({"stream:retail:write"});
  w.kind = KeyKind::aws;
  const auto issued = *keys->create(w, {});
  privately.open = true;
  EXPECT_EQ(keys->aws_secrets(issued.key.id).error(), KeyErrc::instance_key_open);
  EXPECT_EQ(keys->create(w, {}).error(), KeyErrc::instance_key_open);
  privately.open = false;
  ASSERT_TRUE(sim.files.remove("data/instance.key"));
  EXPECT_EQ(keys->aws_secrets(issued.key.id).error(), KeyErrc::instance_key_gone);
  EXPECT_EQ(keys->create(w, {}).error(), KeyErrc::instance_key_gone) << "a new one would hide the loss";
  ASSERT_TRUE(keys->revoke(issued.key.id, {}));
  const auto next = *keys->create(w, {});
  EXPECT_EQ(keys->aws_secrets(next.key.id)->at(0).view(), next.secret.view());
  EXPECT_EQ(keys->aws_secrets(issued.key.id).error(), KeyErrc::instance_key_gone) << "encrypted with another";
}

TEST_F(KeysTest, AListHasPagesAndOneTenant) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(keys->create(wanted({"server:read"}, i % 2 ? "acme" : "default"), {}));
  auto page = *keys->list("", {}, 3);
  EXPECT_EQ(page.keys.size(), 3u);
  ASSERT_TRUE(page.next);
  page = *keys->list("", page.next, 3);
  ASSERT_EQ(page.keys.size(), 2u);
  EXPECT_FALSE(page.next);
  const KeyId of_default = page.keys[1].id;
  page = *keys->list("acme", {}, 10);
  ASSERT_EQ(page.keys.size(), 2u);
  EXPECT_EQ(page.keys[0].tenant, "acme");
  EXPECT_EQ(page.keys[0].name, "a key");
  EXPECT_EQ(keys->list("acme", {}, 1)->next, page.keys[1].id) << "its own next, however many others lie between";
  EXPECT_EQ(keys->list("acme", page.keys[1].id, 10)->keys.size(), 1u);
  EXPECT_FALSE(keys->list("acme", of_default, 10)) << "as one that nobody has";
  EXPECT_FALSE(keys->list("acme", KeyId{1}, 10));
  EXPECT_FALSE(keys->list("", KeyId{1}, 10));
}

TEST(KeyEvents, Golden) {
  KeyCreated created;
  created.key.id = KeyId{1};
  created.key.name = "till 3";
  created.key.tenant = "default";
  created.key.scopes = {*parse_scope("stream:retail:write")};
  created.key.created = *parse_rfc3339("2026-01-02T03:04:05Z");
  created.key.expires = *parse_rfc3339("2027-01-02T03:04:05Z");
  created.proof.hash = hash_of_key("abc");
  created.by = KeyId{2};
  const std::string golden =
      R"({"id":"0000000000001","kind":"api","name":"till 3","tenant":"default","scopes":["stream:retail:write"],)"
      R"("created":"2026-01-02T03:04:05.000Z","expires":"2027-01-02T03:04:05.000Z",)"
      R"("sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","by":"0000000000002"})";
  EXPECT_EQ(encode(created), golden);
  KeyEventReader reader;
  const auto read = reader.created(golden);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), golden);
  EXPECT_EQ(encode(KeyRotated{KeyId{1}, {std::nullopt, "abc"}, created.key.created, {}}),
            R"({"id":"0000000000001","older_until":"2026-01-02T03:04:05.000Z","sealed":"616263"})");
  EXPECT_EQ(encode(KeyRevoked{KeyId{1}, created.key.created, {}}),
            R"({"id":"0000000000001","revoked":"2026-01-02T03:04:05.000Z"})");
  EXPECT_EQ(encode(KeysUsed{{{KeyId{1}, 29456464}}}), R"({"used":{"0000000000001":29456464}})");
  EXPECT_EQ(reader.used(R"({"used":{"0000000000001":29456464}})")->minutes.size(), 1u);
  EXPECT_FALSE(reader.used(R"({"used":{"x":1}})"));
  EXPECT_FALSE(reader.created("[]"));
  EXPECT_FALSE(reader.created("{"));
}

TEST(SystemPrivateFiles, AreTheirOwnersAlone) {
  RealEnv real;
  const std::string path = real.directory.path() + "/secret";
  const mode_t mask = ::umask(0);
  ASSERT_TRUE(system_private_files().create(path));
  ::umask(mask);
  EXPECT_FALSE(*system_private_files().open_to_others(path));
  EXPECT_FALSE(system_private_files().create(path)) << "it is there";
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  EXPECT_TRUE(*system_private_files().open_to_others(path));
}

}  // namespace
}  // namespace tidemill

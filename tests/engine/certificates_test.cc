// Certificates that stand for keys, over the simulated log.
#include <gtest/gtest.h>

#include <thread>

#include "engine/keys/certificate_table.h"
#include "engine/keys/key_events.h"
#include "engine/keys/keys.h"
#include "storage/base/errors.h"
#include "tests/engine/fake_log.h"
#include "tests/support/sim_env.h"

namespace tidemill {
namespace {

using Verdict = Keys::Verdict;
using namespace std::chrono_literals;

struct NoFiles final : PrivateFiles {
  Result<void> create(const std::string&) override { return KeyErrc::instance_key_gone; }
  Result<bool> open_to_others(const std::string&) override { return false; }
};

struct Certificates : ::testing::Test {
  SimEnv sim;
  std::shared_ptr<FakeLog> log = std::make_shared<FakeLog>(sim.env);
  std::unique_ptr<SystemStream> system = std::make_unique<SystemStream>(sim.env, log);
  NoFiles files;
  std::unique_ptr<Keys> keys = *Keys::open(sim.env, *system, {"data", files});

  void restart() {
    ASSERT_TRUE(keys->close());
    keys.reset();
    system = std::make_unique<SystemStream>(sim.env, log);
    keys = *Keys::open(sim.env, *system, {"data", files});
  }
  KeyId key(std::string tenant = "default", std::optional<WallTime> expires = {}) {
    WantedKey wanted;
    wanted.name = "a key";
    wanted.tenant = std::move(tenant);
    wanted.scopes = {*parse_scope("stream:retail:write")};
    wanted.expires = expires;
    return keys->create(wanted, {})->key.id;
  }
  KeyCertificate certificate(std::uint64_t n) {
    return {{n, 1, 2, 3}, "CN=till-" + std::to_string(n), sim.clock.wall() + 48h, {}};
  }
  Verdict verdict(std::uint64_t n) {
    return keys->check_certificate(certificate(n).sha256, certificate(n).expires).verdict;
  }
  ErrorCode bind(KeyId id, std::uint64_t n, bool of_any_tenant = false) {
    const auto done = keys->bind(id, certificate(n), of_any_tenant, {});
    return done ? ErrorCode() : done.error();
  }
  ErrorCode unbind(KeyId id, std::uint64_t n) {
    const auto done = keys->unbind(id, certificate(n).sha256, {});
    return done ? ErrorCode() : done.error();
  }
};

TEST_F(Certificates, OneStandsForItsKeyFromTheBindingOnAndOverARestart) {
  const KeyId a = key();
  EXPECT_EQ(verdict(1), Verdict::unknown);
  ASSERT_FALSE(bind(a, 1));
  for (int life = 0; life < 2; ++life) {
    const auto found = keys->check_certificate(certificate(1).sha256, certificate(1).expires);
    ASSERT_EQ(found.verdict, Verdict::good);
    EXPECT_EQ(found.id, a);
    EXPECT_TRUE(found.who->may(Action::write, Thing::stream, "retail"));
    EXPECT_TRUE(keys->find(a)->last_used);
    ASSERT_EQ(keys->find(a)->certificates.size(), 1u);
    EXPECT_EQ(keys->find(a)->certificates[0].subject, "CN=till-1");
    EXPECT_EQ(keys->list("", {}, 10)->keys.at(0).certificates.size(), 1u);
    restart();
  }
  EXPECT_EQ(verdict(2), Verdict::unknown);
}

TEST_F(Certificates, OneThatIsTakenFromItsKeyIsClosedAtOnceAndStaysSo) {
  const KeyId a = key();
  ASSERT_FALSE(bind(a, 1));
  ASSERT_FALSE(unbind(a, 1));
  EXPECT_EQ(verdict(1), Verdict::unknown);
  EXPECT_EQ(unbind(a, 1), KeyErrc::no_such_certificate);
  EXPECT_EQ(unbind(KeyId{42}, 1), KeyErrc::no_such_key);
  restart();
  EXPECT_EQ(verdict(1), Verdict::unknown);
  EXPECT_TRUE(keys->find(a)->certificates.empty());
  ASSERT_FALSE(bind(a, 1));
  EXPECT_EQ(verdict(1), Verdict::good);
}

TEST_F(Certificates, OneStandsForOneKeyOnly) {
  const KeyId a = key(), b = key();
  ASSERT_FALSE(bind(a, 1));
  const Sequence before = log->durable();
  EXPECT_FALSE(bind(a, 1)) << "the same once more is no error";
  EXPECT_EQ(log->durable(), before);
  EXPECT_EQ(bind(b, 1), KeyErrc::certificate_bound);
  EXPECT_EQ(bind(b, 1, true), KeyErrc::certificate_bound);
  EXPECT_EQ(unbind(b, 1), KeyErrc::no_such_certificate);
  // Nor when the key that has it has ended.
  ASSERT_TRUE(keys->revoke(a, {}));
  EXPECT_EQ(bind(b, 1), KeyErrc::certificate_bound);
  EXPECT_EQ(verdict(1), Verdict::revoked);
  ASSERT_FALSE(unbind(a, 1));
  EXPECT_FALSE(bind(b, 1));
  EXPECT_EQ(verdict(1), Verdict::good);
  restart();
  EXPECT_EQ(keys->key_of_certificate(certificate(1).sha256), b);
}

// A client that goes on showing a certificate that its tenant has given up must not become another tenant's.
TEST_F(Certificates, OneThatWasATenantsIsNoOtherTenants) {
  const KeyId ours = key("default"), theirs = key("acme");
  ASSERT_FALSE(bind(ours, 1));
  ASSERT_FALSE(unbind(ours, 1));
  for (int life = 0; life < 2; ++life) {
    EXPECT_EQ(bind(theirs, 1), KeyErrc::certificate_bound);
    restart();
  }
  EXPECT_FALSE(bind(key("default"), 1)) << "another key of the same tenant may have it";
  ASSERT_FALSE(unbind(*keys->key_of_certificate(certificate(1).sha256), 1));
  EXPECT_FALSE(bind(theirs, 1, true)) << "the operator may";
  EXPECT_EQ(bind(ours, 1), KeyErrc::certificate_bound);
}

TEST_F(Certificates, TwoAreGoodWhileOneIsRenewed) {
  const KeyId a = key();
  ASSERT_FALSE(bind(a, 1));
  ASSERT_FALSE(bind(a, 2));
  EXPECT_EQ(bind(a, 3), KeyErrc::too_many_certificates);
  EXPECT_EQ(verdict(1), Verdict::good);
  EXPECT_EQ(verdict(2), Verdict::good);
  ASSERT_FALSE(unbind(a, 1));
  EXPECT_FALSE(bind(a, 3));
  EXPECT_EQ(verdict(1), Verdict::unknown);
  EXPECT_EQ(keys->find(a)->certificates.at(0).subject, "CN=till-2") << "in the order of their binding";
}

TEST_F(Certificates, OneIsAsGoodAsItsKeyAndNotLongerThanItself) {
  const KeyId a = key("default", sim.clock.wall() + 1h), b = key();
  ASSERT_FALSE(bind(a, 1));
  ASSERT_FALSE(bind(b, 2));
  EXPECT_EQ(keys->check_certificate(certificate(2).sha256, sim.clock.wall()).verdict, Verdict::certificate_ended);
  EXPECT_EQ(keys->check_certificate(certificate(2).sha256, sim.clock.wall() + 1s).verdict, Verdict::good);
  sim.clock.advance(1h);
  EXPECT_EQ(verdict(1), Verdict::expired);
  EXPECT_EQ(bind(a, 3), KeyErrc::key_ended);
  ASSERT_TRUE(keys->revoke(b, {}));
  EXPECT_EQ(verdict(2), Verdict::revoked);
  EXPECT_EQ(bind(b, 4), KeyErrc::key_ended);
  EXPECT_FALSE(unbind(b, 2)) << "from a key that has ended it can be taken";
  EXPECT_EQ(bind(KeyId{42}, 5), KeyErrc::no_such_key);
}

TEST_F(Certificates, EventsThatContradictEachOtherStopTheStart) {
  const KeyId a = key(), b = key();
  ASSERT_FALSE(bind(a, 1));
  for (const std::string& json :
       {encode(KeyBound{b, certificate(1), {}}), encode(KeyBound{KeyId{42}, certificate(2), {}}),
        std::string(R"({"id":")" + to_text(a) + R"(","certificate":"abc"})")}) {
    const auto other = std::make_shared<FakeLog>(sim.env);
    SystemStream stream(sim.env, other);
    const auto batch = log->read(Sequence(1), {});
    for (const auto& record : batch->records) ASSERT_TRUE(stream.append(record.key, record.data));
    ASSERT_TRUE(Keys::open(sim.env, stream, {"data", files}));
    ASSERT_TRUE(stream.append("key.bound", json));
    SystemStream again(sim.env, other);
    EXPECT_EQ(Keys::open(sim.env, again, {"data", files}).error(), StorageErrc::damaged) << json;
  }
}

TEST(KeyEvents, GoldenOfCertificates) {
  KeyBound bound;
  bound.id = KeyId{1};
  bound.certificate.sha256 = hash_of_key("abc");
  bound.certificate.subject = "CN=till-3,O=Example";
  bound.certificate.expires = *parse_rfc3339("2027-01-02T03:04:05Z");
  bound.certificate.bound = *parse_rfc3339("2026-01-02T03:04:05Z");
  bound.by = KeyId{2};
  const std::string golden =
      R"({"id":"0000000000001","certificate":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",)"
      R"("subject":"CN=till-3,O=Example","expires":"2027-01-02T03:04:05.000Z","bound":"2026-01-02T03:04:05.000Z",)"
      R"("by":"0000000000002"})";
  EXPECT_EQ(encode(bound), golden);
  KeyEventReader reader;
  ASSERT_TRUE(reader.bound(golden));
  EXPECT_EQ(encode(*reader.bound(golden)), golden);
  const KeyUnbound unbound{KeyId{1}, bound.certificate.sha256, bound.certificate.bound, {}};
  EXPECT_EQ(encode(unbound),
            R"({"id":"0000000000001","certificate":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",)"
            R"("unbound":"2026-01-02T03:04:05.000Z"})");
  EXPECT_EQ(encode(*reader.unbound(encode(unbound))), encode(unbound));
  EXPECT_FALSE(reader.bound("{}"));
}

// Readers without a lock beside a writer: one that is bound all the time is never missed, one that is not never found.
TEST(CertificateTable, ReadersNeverMissOneWhileOthersComeAndGo) {
  CertificateTable table;
  const auto certificate = [](std::uint64_t n) {
    return KeyCertificate{{n * 0x9e3779b97f4a7c15ull, n, n, n}, "", {}, {}};
  };
  table.bind(7, certificate(0));
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> wrong{0}, looked{0};
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r)
    readers.emplace_back([&] {
      do {
        if (table.key_of(certificate(0).sha256) != 7u) ++wrong;
        if (table.key_of(certificate(1'000'000).sha256)) ++wrong;
        ++looked;
      } while (!stop);
    });
  for (std::uint64_t n = 1; n <= 20'000; ++n) {
    table.bind(static_cast<std::uint32_t>(n % 100 + 10), certificate(n));
    if (n % 2 == 0) {
      EXPECT_TRUE(table.unbind(static_cast<std::uint32_t>(n % 100 + 10), certificate(n).sha256));
    }
  }
  stop = true;
  for (auto& r : readers) r.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(looked, 0u);
  EXPECT_LT(table.bytes() / 20'000, 300u);
}

}  // namespace
}  // namespace tidemill

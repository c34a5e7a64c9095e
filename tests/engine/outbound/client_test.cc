// Outbound requests over real sockets; the test gives DNS's answers, and sends what goes to public addresses to a
// server of its own.
#include "engine/outbound/client.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "storage/seam/thread_executor.h"
#include "tests/engine/outbound/tls_peer.h"
#include "tests/support/capture_logger.h"
#include "tests/support/temp_dir.h"

namespace tidemill::outbound {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr const char* kPublic = "93.184.216.34";
constexpr const char* kPublic2 = "2606:2800:220:1::1";

// What it was told, the last answer again and again.
struct FakeResolver final : Resolver {
  Result<std::vector<Address>> resolve(const std::string& name, Deadline) override {
    asked.push_back(name);
    if (answers.empty()) return OutboundErrc::name_not_found;
    std::vector<Address> out;
    for (const std::string& text : answers.front()) out.push_back(*parse_address(text));
    if (answers.size() > 1) answers.erase(answers.begin());
    return out;
  }
  std::vector<std::vector<std::string>> answers;
  std::vector<std::string> asked;
};

// Takes every connection to the test's own server, and says where it was to go.
struct FakeDialer final : Dialer {
  Result<int> dial(const Address& address, std::uint16_t to, Deadline deadline) override {
    dialed.push_back(to_text(address) + " " + std::to_string(to));
    if (dead == to_text(address)) return OutboundErrc::connection_failed;
    if (silent.contains(to_text(address))) {  // as if all of its time were over
      given.push_back(deadline - std::chrono::steady_clock::now());
      return OutboundErrc::timed_out;
    }
    return system_dialer().dial(*parse_address("127.0.0.1"), port, deadline);
  }
  std::uint16_t port = 0;
  std::string dead;
  std::set<std::string> silent;
  std::vector<Deadline::duration> given;  // to the silent ones
  std::vector<std::string> dialed;
};

struct OutboundClient : ::testing::Test {
  TempDir directory;
  Certificate ca{{.authority = true}};
  Certificate own{{.names = "DNS:hooks.example.com,DNS:*.wild.example.com,IP:93.184.216.34", .issuer = &ca}};
  FakeResolver resolver;
  FakeDialer dialer;
  Options options;
  std::unique_ptr<Peer> peer;

  OutboundClient() {
    options.ca_file = directory.path() + "/ca.pem";
    ca.write(options.ca_file);
    resolver.answers = {{kPublic}};
  }
  void serve(Peer::Behaviour behaviour) {
    peer = std::make_unique<Peer>(std::move(behaviour));
    dialer.port = peer->port();
  }
  void answers(std::function<void(const Peer::Send&)> answer) {
    Peer::Behaviour behaviour;
    behaviour.certificate = &own;
    behaviour.answer = std::move(answer);
    serve(std::move(behaviour));
  }
  Result<Reply> ask(const Request& request) {
    std::string error;
    const auto client = Client::make(options, resolver, dialer, null_logger(), error);
    EXPECT_EQ(error, "");
    return client->request(request);
  }
  Result<Reply> ask(const std::string& url = "https://hooks.example.com/x?y") { return ask(Request{.url = url}); }
  ErrorCode why(const Result<Reply>& reply) { return reply ? ErrorCode() : reply.error(); }
};

TEST_F(OutboundClient, GoesToTheCheckedAddressUnderTheNameThatWasAskedFor) {
  serve({.certificate = &own});
  const auto reply = ask({.url = "https://Hooks.Example.com/x?y", .headers = {{"X-Sign", "abc"}}, .body = "{}"});
  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "hello");
  EXPECT_EQ(peer->sni(), "hooks.example.com");
  const std::string request = peer->request();
  EXPECT_THAT(request, ::testing::StartsWith("POST /x?y HTTP/1.1\r\nHost: hooks.example.com\r\nConnection: close\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nX-Sign: abc\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nContent-Length: 2\r\n"));
  EXPECT_THAT(dialer.dialed, ::testing::ElementsAre("93.184.216.34 443"));
  EXPECT_THAT(resolver.asked, ::testing::ElementsAre("hooks.example.com"));
}

// DNS rebinding: the name leads somewhere else as soon as it was looked at.
TEST_F(OutboundClient, ANameIsLookedUpOnce) {
  resolver.answers = {{kPublic}, {"127.0.0.1"}};
  serve({.certificate = &own});
  ASSERT_TRUE(ask());
  EXPECT_EQ(resolver.asked.size(), 1u);
  EXPECT_THAT(dialer.dialed, ::testing::ElementsAre("93.184.216.34 443"));
  EXPECT_EQ(why(ask()), OutboundErrc::address_refused) << "the next request looks again";
  EXPECT_EQ(dialer.dialed.size(), 1u);
}

TEST_F(OutboundClient, OneAnswerThatIsNotPublicRefusesTheName) {
  serve({.certificate = &own});
  for (const char* address :
       {"127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1",
        "fd00:ec2::254", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:7f00:1::"}) {
    for (const std::vector<std::string>& answer :
         {std::vector<std::string>{address}, {kPublic, address}, {address, kPublic}, {kPublic2, kPublic, address}}) {
      resolver.answers = {answer};
      EXPECT_EQ(why(ask()), OutboundErrc::address_refused) << address;
    }
    const bool v6 = std::string_view(address).find(':') != std::string_view::npos;
    EXPECT_EQ(why(ask(v6 ? "https://[" + std::string(address) + "]/" : "https://" + std::string(address) + "/")),
              OutboundErrc::address_refused)
        << address;
  }
  EXPECT_TRUE(dialer.dialed.empty());
  EXPECT_EQ(peer->connections(), 0);
}

TEST_F(OutboundClient, TheLogSaysWhatTheCallerIsNotTold) {
  CaptureLogger log;
  resolver.answers = {{"169.254.169.254"}};
  std::string error;
  const auto client = Client::make(options, resolver, dialer, log, error);
  const auto reply = client->request({.url = "https://hooks.example.com/secret?token=s3cret"});
  EXPECT_THAT(reply.error().message(), ::testing::Not(HasSubstr("169.254")));
  EXPECT_TRUE(log.count("outbound request was refused") != 0);
  EXPECT_FALSE(log.count("s3cret") != 0);
}

TEST_F(OutboundClient, WithoutAnAnswerOfDnsNothingIsConnected) {
  serve({.certificate = &own});
  resolver.answers = {};
  EXPECT_EQ(why(ask()), OutboundErrc::name_not_found);
  resolver.answers = {{}};
  EXPECT_EQ(why(ask()), OutboundErrc::name_not_found);
  EXPECT_TRUE(dialer.dialed.empty());
}

TEST_F(OutboundClient, TheNextOfTheCheckedAddressesIsTried) {
  resolver.answers = {{kPublic2, kPublic}};
  dialer.dead = kPublic2;
  serve({.certificate = &own});
  EXPECT_TRUE(ask());
  EXPECT_THAT(dialer.dialed, ::testing::ElementsAre("2606:2800:220:1::1 443", "93.184.216.34 443"));
  resolver.answers = {{kPublic2}};
  EXPECT_EQ(why(ask()), OutboundErrc::connection_failed);
}

TEST_F(OutboundClient, AnAddressThatIsSilentLeavesTimeForTheOthers) {
  options.total_timeout = 60s;
  options.connect_timeout = 12s;
  resolver.answers = {{kPublic2, "2606:2800:220:1::2", kPublic}};
  dialer.silent = {kPublic2, "2606:2800:220:1::2"};
  serve({.certificate = &own});
  EXPECT_TRUE(ask());
  ASSERT_EQ(dialer.given.size(), 2u);
  EXPECT_LE(dialer.given[0], 4s) << "a third of what there is";
  EXPECT_GT(dialer.given[0], 3s);
  EXPECT_LE(dialer.given[1], 6s) << "half of the rest; none of it was used here";
  dialer.silent.insert(kPublic);
  EXPECT_EQ(why(ask()), OutboundErrc::timed_out);
  // Of little time the first gets what a packet that was lost once takes, not a share that is too short for anybody.
  options.connect_timeout = 3s;
  dialer.given.clear();
  EXPECT_EQ(why(ask()), OutboundErrc::timed_out);
  EXPECT_GT(dialer.given.at(0), 1'500ms);
  EXPECT_LE(dialer.given.at(0), 2s);
}

// Who refuses a body does not read it: the reply is there before the request has gone, and there is no place for the
// rest of that.
TEST_F(OutboundClient, AReplyThatComesBeforeTheRequestHasGoneCounts) {
  options.schemes = {"http", "https"};
  options.ports = {80, 443};
  options.total_timeout = 20s;
  const std::string body(8 << 20, 'x');
  for (const int tls : {0, TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const char* then : {"goes", "stays", "says it was all"}) {
      const bool goes = then == std::string_view("goes"), ends = then == std::string_view("says it was all");
      serve({.certificate = tls ? &own : nullptr,
             .tls_max = tls,
             .reads_body = false,
             .stays = !goes,
             .ends_half = ends,
             .answer = [ends](const Peer::Send& send) {
               send("HTTP/1.1 413 Content Too Large\r\n" + std::string(ends ? "" : "Content-Length: 9\r\n") +
                    "\r\ntoo large");
             }});
      const auto begin = std::chrono::steady_clock::now();
      const auto reply = ask({.url = std::string(tls ? "https" : "http") + "://hooks.example.com/", .body = body});
      ASSERT_TRUE(reply) << reply.error().message() << " " << tls << " " << then;
      EXPECT_EQ(reply->status, 413);
      EXPECT_EQ(reply->body, "too large");
      EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s) << tls << " " << then;
      peer.reset();
    }
  }
  // What is no reply ends it at once, too.
  serve({.certificate = &own, .reads_body = false, .stays = true, .answer = [](const Peer::Send& send) {
           send("SSH-2.0-x\r\n");
         }});
  EXPECT_EQ(why(ask({.url = "https://hooks.example.com/", .body = body})), OutboundErrc::reply_invalid);
}

TEST_F(OutboundClient, ARedirectIsTheAnswer) {
  for (const char* where : {"https://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd",
                            "https://hooks.example.com/other"}) {
    answers([where](const Peer::Send& send) {
      send("HTTP/1.1 302 Found\r\nLocation: " + std::string(where) + "\r\nContent-Length: 0\r\n\r\n");
    });
    const auto reply = ask();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 302);
    EXPECT_EQ(peer->connections(), 1);
  }
}

TEST_F(OutboundClient, TheCertificateMustBeForTheNameAndOfSomebodyBelieved) {
  const Certificate stranger_ca({.authority = true});
  const std::string names = "DNS:hooks.example.com";
  const Certificate other({.names = "DNS:other.example.com", .issuer = &ca}), self({.names = names}),
      strangers({.names = names, .issuer = &stranger_ca}),
      expired({.names = names, .issuer = &ca, .from_s = -7'200, .until_s = -3'600}),
      future({.names = names, .issuer = &ca, .from_s = 3'600, .until_s = 7'200}), nameless({.issuer = &ca});
  for (const Certificate* certificate : {&other, &self, &strangers, &expired, &future, &nameless}) {
    serve({.certificate = certificate});
    EXPECT_EQ(why(ask()), OutboundErrc::not_trusted);
    EXPECT_EQ(peer->request(), "") << "nothing was sent";
  }
  serve({.certificate = &own});
  EXPECT_TRUE(ask("https://a.wild.example.com/"));
  EXPECT_EQ(why(ask("https://a.b.wild.example.com/")), OutboundErrc::not_trusted);
  EXPECT_EQ(why(ask("https://wild.example.com/")), OutboundErrc::not_trusted);
  EXPECT_TRUE(ask("https://93.184.216.34/"));
  EXPECT_EQ(peer->sni(), "") << "addresses are no names";
  EXPECT_EQ(why(ask("https://93.184.216.35/")), OutboundErrc::not_trusted);
  options.ca_file.clear();  // the system's authorities do not know it
  EXPECT_EQ(why(ask()), OutboundErrc::not_trusted);
  options.ca_file = directory.path() + "/none.pem";
  std::string error;
  EXPECT_FALSE(Client::make(options, resolver, dialer, null_logger(), error));
  EXPECT_THAT(error, HasSubstr("none.pem"));
}

TEST_F(OutboundClient, OldTlsAndNoTlsAreNotSpoken) {
  serve({.certificate = &own, .tls_max = TLS1_1_VERSION});
  EXPECT_EQ(why(ask()), OutboundErrc::tls_failed);
  serve({.certificate = &own, .tls_max = TLS1_2_VERSION});
  EXPECT_TRUE(ask());
  options.total_timeout = 300ms;
  serve(Peer::Behaviour{});
  EXPECT_FALSE(ask());
  EXPECT_EQ(why(ask("http://hooks.example.com/")), OutboundErrc::scheme_not_allowed);
}

TEST_F(OutboundClient, WhoeverIsSlowIsLeft) {
  options.total_timeout = 300ms;
  const auto took = [this] {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(why(ask()), OutboundErrc::timed_out);
    return std::chrono::steady_clock::now() - begin;
  };
  const auto drip = [](std::string_view first, std::string_view again) {
    return [first, again](const Peer::Send& send) {
      for (bool there = send(first); there; there = send(again)) std::this_thread::sleep_for(10ms);
    };
  };
  answers(drip("HTTP/1.1 200 OK\r\n", "A: b\r\n"));
  EXPECT_LT(took(), 5s);
  answers(drip("HTTP/1.1 200 OK\r\n\r\n", "x"));
  EXPECT_LT(took(), 5s);
  answers(drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"));
  EXPECT_LT(took(), 5s);
  answers(drip("", ""));
  EXPECT_LT(took(), 5s);
  serve({.certificate = &own, .says_nothing = true});
  EXPECT_LT(took(), 5s) << "not even a handshake";
  Peer::Behaviour plain;
  plain.answer = drip("H", "H");
  serve(std::move(plain));
  EXPECT_FALSE(ask());
}

TEST_F(OutboundClient, WhatHasNoEndIsLeft) {
  options.body_bytes_max = 100'000;
  const std::string much(10'000, 'x');
  const auto endless = [](std::string first, std::string again) {
    return [first, again](const Peer::Send& send) {
      for (bool there = send(first); there;) there = send(again);
    };
  };
  answers(endless("HTTP/1.1 200 OK\r\n\r\n", much));
  EXPECT_EQ(why(ask()), OutboundErrc::body_too_large);
  answers(endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "2710\r\n" + much + "\r\n"));
  EXPECT_EQ(why(ask()), OutboundErrc::body_too_large);
  answers(endless("HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n", much));
  EXPECT_EQ(why(ask()), OutboundErrc::body_too_large);
  answers(endless("HTTP/1.1 200 OK\r\n", "A: " + much + "\r\n"));
  EXPECT_EQ(why(ask()), OutboundErrc::head_too_large);
  answers(endless("", "HTTP/1.1 100 Continue\r\n\r\n"));
  EXPECT_EQ(why(ask()), OutboundErrc::reply_invalid);
  answers(endless("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", much));  // more than it said
  EXPECT_EQ(ask()->body.size(), 10'000u);
}

TEST_F(OutboundClient, AHandshakeThatEndsWithAWordIsNone) {
  options.total_timeout = 500ms;
  // An alert in the middle of it: close_notify, which is no error where a reply ends.
  serve({.certificate = &own, .instead_of_tls = std::string("\x15\x03\x03\x00\x02\x01\x00", 7)});
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(why(ask()), OutboundErrc::tls_failed);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_F(OutboundClient, WhatWasCutOffIsNotWhole) {
  answers([](const Peer::Send& send) { send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello"); });
  EXPECT_EQ(why(ask()), OutboundErrc::cut_off);
  answers([](const Peer::Send& send) { send("HTTP/1.1 200 OK\r\n\r\nhello"); });
  EXPECT_EQ(ask()->body, "hello");
  // The same without the word of TLS that this was all: somebody between the two may have ended it.
  serve({.certificate = &own, .ends_with_a_word = false, .answer = [](const Peer::Send& send) {
           send("HTTP/1.1 200 OK\r\n\r\nhello");
         }});
  EXPECT_EQ(why(ask()), OutboundErrc::cut_off);
  answers([](const Peer::Send&) {});
  EXPECT_EQ(why(ask()), OutboundErrc::cut_off);
}

TEST_F(OutboundClient, NothingIsSentBesideTheRequest) {
  serve({.certificate = &own});
  const std::string url = "https://hooks.example.com/";
  for (const Request& request : std::vector<Request>{
           {.method = "CONNECT", .url = url},
           {.method = "GET / HTTP/1.1\r\nX: y\r\n\r\nGET", .url = url},
           {.url = url, .headers = {{"X", "a\r\nHost: b"}}},
           {.url = url, .headers = {{"X", std::string("a\0b", 3)}}},
           {.url = url, .headers = {{"X: y\r\nZ", "a"}}},
           {.url = url, .headers = {{"", "a"}}},
           {.url = url, .headers = {{"host", "127.0.0.1"}}},
           {.url = url, .headers = {{"Content-Length", "0"}}},
           {.url = url, .headers = {{"transfer-encoding", "chunked"}}},
           {.url = url, .headers = {{"X", std::string(20'000, 'x')}}},
           {.url = url, .body = std::string((16 << 20) + 1, 'x')},
       })
    EXPECT_EQ(why(ask(request)), OutboundErrc::request_invalid);
  EXPECT_TRUE(resolver.asked.empty());
  EXPECT_TRUE(ask({.method = "GET", .url = url}));
  EXPECT_THAT(peer->request(), ::testing::Not(HasSubstr("Content-Length")));
}

// The whole way, with the operator's exception in place of the fakes.
TEST_F(OutboundClient, OverTheSystemsOwnResolverAndSockets) {
  ThreadExecutor threads("resolve", 1);
  const auto system = system_resolver(threads);
  const Certificate local({.names = "DNS:localhost,IP:127.0.0.1", .issuer = &ca});
  serve({.certificate = &local});
  const auto port = std::to_string(peer->port());
  const auto go = [&](const std::string& url) {
    std::string error;
    const auto client = Client::make(options, *system, system_dialer(), null_logger(), error);
    return why(client->request({.url = url}));
  };
  EXPECT_EQ(go("https://localhost:" + port + "/"), OutboundErrc::port_not_allowed);
  options.ports = {peer->port()};
  EXPECT_EQ(go("https://localhost:" + port + "/"), OutboundErrc::address_refused);
  EXPECT_EQ(go("https://127.0.0.1:" + port + "/"), OutboundErrc::address_refused);
  EXPECT_EQ(peer->connections(), 0);
  options.exceptions = {"localhost:" + port, "127.0.0.0/8"};
  EXPECT_EQ(go("https://localhost:" + port + "/"), ErrorCode());
  EXPECT_EQ(go("https://127.0.0.1:" + port + "/"), ErrorCode());
  EXPECT_EQ(go("https://127.0.0.2:" + port + "/"), OutboundErrc::connection_failed);
  options.exceptions = {"http://127.0.0.1:" + port};
  serve(Peer::Behaviour{});
  options.exceptions = {"http://127.0.0.1:" + std::to_string(peer->port())};
  EXPECT_EQ(go("http://127.0.0.1:" + std::to_string(peer->port()) + "/"), ErrorCode());
  EXPECT_EQ(go("https://no-such-name.invalid:" + port + "/"), OutboundErrc::name_not_found);
  threads.stop();
}

// getaddrinfo() that does not return holds its thread, and nobody else.
TEST(OutboundResolver, ALookUpThatHangsIsLeftAtTheDeadline) {
  struct Stuck final : Executor {
    void post(Task task) override { tasks.push_back(std::move(task)); }
    void post_after(std::chrono::nanoseconds, Task) override {}
    std::vector<Task> tasks;
  } stuck;
  auto resolver = system_resolver(stuck);
  for (int i = 0; i < 64; ++i)
    EXPECT_EQ(resolver->resolve("localhost", std::chrono::steady_clock::now() + 1ms).error(), OutboundErrc::timed_out);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(resolver->resolve("localhost", begin + 60s).error(), OutboundErrc::timed_out);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s) << "so many wait already";
  EXPECT_EQ(stuck.tasks.size(), 64u);
  resolver.reset();
  for (const Task& task : stuck.tasks) task();  // they come back when nobody waits any more
}

}  // namespace
}  // namespace tidemill::outbound

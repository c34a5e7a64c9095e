#include "engine/outbound/policy.h"

#include <gtest/gtest.h>

namespace tidemill::outbound {
namespace {

Policy policy_of(const Options& options = {}) {
  std::string error;
  auto policy = Policy::make(options, error);
  EXPECT_EQ(error, "");
  return std::move(*policy);
}

TEST(OutboundPolicy, AUrlIsReadInOneWay) {
  const Policy policy = policy_of();
  const auto to = policy.destination("https://Hooks.Example.COM/a/b?c=d%20e");
  ASSERT_TRUE(to);
  EXPECT_EQ(to->host, "hooks.example.com");
  EXPECT_EQ(to->port, 443);
  EXPECT_EQ(to->target, "/a/b?c=d%20e");
  EXPECT_EQ(to->authority(), "hooks.example.com");
  EXPECT_TRUE(to->tls);
  EXPECT_EQ(policy.destination("https://example.com")->target, "/");
  EXPECT_EQ(policy.destination("https://example.com?x=1")->target, "/?x=1");
  EXPECT_EQ(policy.destination("HTTPS://xn--bcher-kva.example/")->host, "xn--bcher-kva.example");
  EXPECT_EQ(policy.destination("https://[2606:4700::1111]/")->authority(), "[2606:4700::1111]");
  EXPECT_EQ(policy.destination("https://1.1.1.1:443/")->authority(), "1.1.1.1");
  EXPECT_EQ(policy.destination("https://127.0.0.1.example.com/x")->host, "127.0.0.1.example.com");
  EXPECT_EQ(policy.destination("https://1.2.3.4a.com/x")->target, "/x");
  EXPECT_FALSE(policy.destination("https://1.2.3.4a.com/x")->literal);
}

TEST(OutboundPolicy, WhatCouldBeReadInTwoWaysIsRefused) {
  const Policy policy = policy_of({.schemes = {"https", "http"}});
  for (const char* url :
       {"", "example.com", "//example.com/", "https:", "https://", "https:///x", "https:example.com",
        "https:/example.com", "https://user@example.com/", "https://user:pw@example.com/", "https://@example.com/",
        "https://1.1.1.1@127.0.0.1/", "https://example.com#@127.0.0.1/", "https://example.com/#x",
        "https://example.com\\@127.0.0.1/", "https://example.com /", " https://example.com/", "https://example.com/\n",
        "https://exa\tmple.com/", "https://example.com/a b", "https://ex%61mple.com/",
        "https://127.0.0.1%2f.example.com/", "https://example..com/", "https://.example.com/", "https://example.com./",
        "https://-a.com/", "https://a_b.com/",
        "https://b\xc3\xbc"
        "cher.example/",
        "https://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1/", "https://example.com:/x:y", "https://example.com:0/",
        "https://example.com:65536/", "https://example.com:-1/", "https://example.com:4 43/",
        // addresses in disguise
        "https://127.1/", "https://2130706433/", "https://0x7f.1/", "https://0x7f000001/", "https://0177.0.0.1/",
        "https://127.0.0.1./", "https://017700000001/", "https://127.0.0.0x1/", "https://1.2.3.4.5/",
        "https://256.1.1.1/", "https://[::1%25lo]/", "https://[fe80::1%25eth0]/", "https://[v1.x]/", "https://[::1/",
        "https://::1/", "https://[127.0.0.1]/"}) {
    const auto to = policy.destination(url);
    ASSERT_FALSE(to) << url;
    EXPECT_EQ(to.error(), OutboundErrc::url_invalid) << url;
  }
  EXPECT_EQ(policy.destination("https://example.com/" + std::string(2'048, 'a')).error(), OutboundErrc::url_invalid);
  EXPECT_EQ(policy.destination("https://" + std::string(64, 'a') + ".com/").error(), OutboundErrc::url_invalid);
}

TEST(OutboundPolicy, SchemesAndPortsAreAllowedOneByOne) {
  const Policy strict = policy_of();
  for (const char* url : {"http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://127.0.0.1:25/",
                          "javascript:alert(1)", "data:text/plain,x", "unix:/run/x", "dict://x:1/"})
    EXPECT_EQ(strict.destination(url).error(), OutboundErrc::scheme_not_allowed) << url;
  for (const char* url : {"https://example.com:22/", "https://example.com:6379/", "https://example.com:80/"})
    EXPECT_EQ(strict.destination(url).error(), OutboundErrc::port_not_allowed) << url;
  const Policy wider = policy_of({.schemes = {"https", "http"}, .ports = {443, 80, 8443}});
  EXPECT_EQ(wider.destination("http://example.com/")->port, 80);
  EXPECT_EQ(wider.destination("https://example.com:8443/")->authority(), "example.com:8443");
  EXPECT_EQ(strict.destination("https://localhost/").error(), OutboundErrc::address_refused);
  EXPECT_EQ(strict.destination("https://metadata/").error(), OutboundErrc::address_refused);
}

TEST(OutboundPolicy, ExceptionsAreWhatTheySayAndNoMore) {
  const Policy policy = policy_of({.exceptions = {"10.1.0.0/16", "Hooks.internal:8443", "http://10.2.0.1:8080",
                                                  "[fd00::1]:443", "localhost:9443"}});
  const auto refused = [&](const char* url, const char* address) {
    const auto to = policy.destination(url);
    EXPECT_TRUE(to) << url;
    return !to || !policy.refusal(*to, *parse_address(address)).empty();
  };
  EXPECT_FALSE(refused("https://a.example/", "10.1.2.3"));
  EXPECT_TRUE(refused("https://a.example/", "10.2.0.1"));
  EXPECT_TRUE(refused("https://a.example/", "::ffff:10.1.2.3"));
  EXPECT_FALSE(refused("https://hooks.internal:8443/x", "192.168.0.1"));
  EXPECT_TRUE(refused("https://hooks.internal/x", "192.168.0.1")) << "another port";
  EXPECT_FALSE(refused("http://10.2.0.1:8080/", "10.2.0.1"));
  EXPECT_FALSE(refused("https://[fd00:0::1]/", "fd00::1"));
  EXPECT_FALSE(refused("https://localhost:9443/", "127.0.0.1"));
  EXPECT_EQ(policy.destination("http://hooks.internal:8443/").error(), OutboundErrc::scheme_not_allowed);
  EXPECT_EQ(policy.destination("https://10.2.0.1:8080/").error(), OutboundErrc::port_not_allowed);
  EXPECT_EQ(policy.destination("https://a.hooks.internal:8443/").error(), OutboundErrc::port_not_allowed);
  for (const char* wrong : {"", "hooks.internal", "hooks.internal:", "hooks.internal:x", "hooks.internal:0",
                            "10.1.2.3/16", "ftp://a.example:1", "127.1:80", "https://:443", "*:443"}) {
    std::string error;
    EXPECT_FALSE(Policy::make({.exceptions = {wrong}}, error)) << wrong;
    EXPECT_NE(error.find("neither a network"), std::string::npos) << error;
  }
  std::string error;
  EXPECT_FALSE(Policy::make({.schemes = {"ftp"}}, error));
}

}  // namespace
}  // namespace tidemill::outbound

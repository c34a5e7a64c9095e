// llhttp's own cases, where they are at hand: what its strict mode refuses, ours refuses; what both take, both cut into
// the same requests with bodies of the same lengths; each whole, a byte at a time, and behind a good request. Where
// ours is stricter, the case is named here with its reason.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/api/llhttp_cases.h"

namespace tidemill {
namespace {

using llhttp::Foreign;
using llhttp::Verdict;

// Whole; and it must be the same a byte at a time, and behind a good request.
Verdict parse(const std::string& bytes) {
  const Verdict whole = llhttp::parse(bytes, bytes.size());
  const Verdict bytewise = llhttp::parse(bytes, 1);
  EXPECT_EQ(bytewise.bodies, whole.bodies) << "a byte at a time";
  EXPECT_EQ(bytewise.refusal, whole.refusal) << "a byte at a time";
  const std::string good = "POST /before HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  for (const std::size_t piece : {good.size() + bytes.size(), good.size() - 1, std::size_t{1}}) {
    Verdict behind = llhttp::parse(good + bytes, piece);
    EXPECT_FALSE(behind.bodies.empty()) << "the good request before it was not taken";
    if (behind.bodies.empty()) continue;
    EXPECT_EQ(behind.bodies.front(), 3u);
    behind.bodies.erase(behind.bodies.begin());
    EXPECT_EQ(behind.bodies, whole.bodies) << "behind a good request, in pieces of " << piece;
    EXPECT_EQ(behind.refusal, whole.refusal) << "behind a good request, in pieces of " << piece;
  }
  return whole;
}

// What we refuse, and llhttp does not.
const std::map<std::string, std::string> kOnlyOurs{
    {"Restarting when keep-alive is explicitly", "host_missing"},  // in its second request
    {"Should parse multiple events", "host_missing"},              // the same
    {"CONNECT request", "target_invalid"},
    {"CONNECT request with CAPS", "target_invalid"},
    {"CONNECT with body", "target_invalid"},
    {"Underscore in hostname", "target_invalid"},  // a CONNECT
    {"M-SEARCH request", "target_invalid"},        // an asterisk
    {"SOURCE request with ICE", "bad_request"},    // other protocols
    {"OPTIONS request with RTSP", "bad_request"},
    {"ANNOUNCE request with RTSP", "bad_request"},
    {"No HTTP version", "target_invalid"},
    {"POST with `chunked` as last transfer-encoding", "bad_framing"},  // we unpack none but chunked
    {"POST with `chunked` as last transfer-encoding (multiple headers)", "bad_framing"},
    {"Fragment in URI", "target_invalid"},
    {"`host:port` and basic auth", "target_invalid"},  // a user in a target
};

TEST(Llhttp, NothingIsTakenThatItRefusesAndTheRestIsCutAlike) {
  std::size_t seen = 0;
  std::set<std::string> stricter;
  const auto cases = llhttp::all_cases();
  if (!cases) GTEST_SKIP() << "llhttp's cases are not at hand";
  for (const Foreign& c : *cases) {
    if (c.skips_body || (c.type != "request" && c.type != "request-finish")) continue;
    if (llhttp::kOnlyMethod.contains(c.name)) continue;
    SCOPED_TRACE(c.file + ": " + c.name);
    ++seen;
    if (c.refused) {
      const Verdict v = parse(c.bytes + llhttp::kEnough);
      EXPECT_EQ(v.bodies, c.bodies);
      EXPECT_FALSE(v.refusal.empty());
      continue;
    }
    const Verdict v = parse(c.bytes);
    const auto ours = kOnlyOurs.find(c.name);
    if (ours == kOnlyOurs.end()) {
      EXPECT_EQ(v.bodies, c.bodies) << v.refusal;
    } else if (v.bodies != c.bodies) {
      EXPECT_EQ(v.refusal, ours->second);
      stricter.insert(c.name);
    }
  }
  EXPECT_EQ(stricter.size(), kOnlyOurs.size()) << "one of them is not refused any more";
  EXPECT_GT(seen, 100u);
}

}  // namespace
}  // namespace tidemill

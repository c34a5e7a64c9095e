// `tidemill view watch`: what it prints of a server's events, and that it goes on where it was.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "tests/tools/cli_runner.h"
#include "tools/cli/commands.h"
#include "tools/cli/http/events.h"
#include "tools/cli/output.h"

namespace tidemill::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Events, AreCutWhereverThePiecesEnd) {
  const std::string text =
      ": hello\n\nid: 7\nevent: row\ndata: {\"a\":\r\ndata:1}\r\n\r\ndata: x\n\nid:\nevent: gone\ndata: y\n\nid: 9\n";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    Events events;
    std::vector<std::string> seen;
    for (std::size_t at = 0; at < text.size(); at += size)
      EXPECT_TRUE(events.add(std::string_view(text).substr(at, size), [&](const auto& name, const auto& data) {
        seen.push_back(name + "=" + data + " " + events.id());
        return true;
      }));
    EXPECT_THAT(seen, ElementsAre("row={\"a\":\n1} 7", "=x 7", "gone=y ")) << size;
    EXPECT_EQ(events.id(), "");  // 9 was not a whole event
    events.clear();
    (void)events.add("data: z\n\n", [](const auto&, const auto&) { return true; });
    EXPECT_EQ(events.id(), "");
  }
}

TEST(RunningTable, AColumnIsAsWideAsWhatCame) {
  RunningTable table({{}, {"name"}, {"n", true}});
  EXPECT_EQ(table.add({{{"+"}, {"a"}, {"5", true}}, {{"+"}, {"bcdef"}, {"12", true}}}, 0),
            "   name    n\n-  -----  --\n+  a       5\n+  bcdef  12\n");
  EXPECT_EQ(table.add({{{"-"}, {"a"}}}, 0), "-  a\n");
  EXPECT_EQ(table.add({{{"+"}, {"b"}, {"1000", true}}}, 0), "+  b      1000\n");
}

class ViewWatch : public CannedServer {
 protected:
  // The view is always there; its changes are the next reply.
  Reply answer(const Request& r) override {
    if (r.target == "/v1/views/v")
      return {.body = R"({"columns":[{"name":"k","type":"text","key":true},{"name":"n","type":"integer"}]})"};
    if (changes_.empty()) return {.status = 404, .body = R"({"title":"There is no view of that name."})"};
    Reply reply = changes_.front();
    changes_.pop_front();
    return reply;
  }
  static Reply events(const std::string& text) {
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", text.size());
    return {.raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (size + text) + "\r\n", .close = true};
  }
  int run(std::vector<std::string> words) {
    words.insert(words.begin(), {"view", "watch", "v"});
    return CannedServer::run(words);
  }
  // Of the requests for changes: their cursors.
  std::vector<std::string> cursors() {
    std::vector<std::string> out;
    for (const Request& r : requests_)
      if (r.target != "/v1/views/v")
        out.push_back(r.headers.count("last-event-id") ? r.headers.at("last-event-id") : "");
    return out;
  }

  std::deque<Reply> changes_;
};

const std::string kCopy =
    "event: snapshot\ndata: {}\n\nevent: row\ndata: {\"key\":[\"a\"],\"row\":{\"k\":\"a\",\"n\":1.50}}\n\n"
    "event: row\ndata: {\"key\":[\"bb\"],\"row\":{\"k\":\"bb\",\"n\":12}}\n\n";
const std::string kCurrent = "id: c1\nevent: current\ndata: {\"as_of\":{\"sequence\":2}}\n\n";

TEST_F(ViewWatch, PrintsALineForEachRowAndGoesOnAfterABreak) {
  changes_ = {events(kCopy + kCurrent + "event: row\ndata: {\"key\":[\"bb\"],\"row\":{\"k\":\"bb\",\"n\":13}}\n\n"),
              {.drop = true},
              {.status = 503, .body = "{\"title\":\"It is catching up.\"}", .headers = {{"Retry-After", "0"}}},
              events("event: row\ndata: {\"key\":[\"bb\"],\"row\":{\"k\":\"bb\",\"n\":13}}\n\n"
                     "event: delete\ndata: {\"key\":[\"a\"]}\n\nid: c2\nevent: current\ndata: {\"as_of\":{}}\n\n")};
  EXPECT_EQ(run({}), kWrongUse);  // in the end it was dropped
  EXPECT_EQ(out_,
            "   k     n\n"
            "-  --  ---\n"
            "+  a   1.5\n"
            "+  bb   12\n"
            "+  bb   13\n"
            "+  bb   13\n"
            "-  a\n");
  EXPECT_THAT(cursors(), ElementsAre("", "c1", "c1", "c1", "c2"));
  std::size_t breaks = 0;  // the first was longer, and is said once
  for (std::size_t at = 0; (at = err_.find("waiting for it", at)) != std::string::npos; ++at) ++breaks;
  EXPECT_EQ(breaks, 2u) << err_;
  EXPECT_THAT(err_, HasSubstr("There is no view of that name"));
}

TEST_F(ViewWatch, MachinesGetEachEventAsTheServerSpellsIt) {
  changes_ = {events(kCopy + kCurrent + "event: must-refetch\nid:\ndata: {\"reason\":\"It went.\"}\n\n"),
              events("event: snapshot\ndata: {}\n\n")};
  EXPECT_EQ(run({"--json"}), kWrongUse);
  EXPECT_EQ(out_,
            "{\"event\":\"snapshot\"}\n"
            "{\"event\":\"row\",\"key\":[\"a\"],\"row\":{\"k\":\"a\",\"n\":1.50}}\n"
            "{\"event\":\"row\",\"key\":[\"bb\"],\"row\":{\"k\":\"bb\",\"n\":12}}\n"
            "{\"event\":\"current\",\"cursor\":\"c1\",\"as_of\":{\"sequence\":2}}\n"
            "{\"event\":\"must-refetch\",\"reason\":\"It went.\"}\n"
            "{\"event\":\"snapshot\"}\n");
  EXPECT_THAT(cursors(), ElementsAre("", "", ""));
  EXPECT_THAT(err_, HasSubstr("tidemill view watch: begins again: It went.\n"));
}

TEST_F(ViewWatch, AsksForWhatWasAskedFor) {
  EXPECT_EQ(run({"a,b", "--where", "n > 1 AND k = 'x&y'", "--cursor", "c9"}), kWrongUse);
  EXPECT_EQ(requests_.back().target, "/v1/views/v/changes?key=a%2Cb&where=n%20%3E%201%20AND%20k%20%3D%20%27x%26y%27");
  EXPECT_EQ(requests_.back().headers.at("accept"), "text/event-stream");
  EXPECT_THAT(cursors(), ElementsAre("c9"));
  EXPECT_EQ(run({"--prefix", "1", "--from", "2", "--to", "[3]"}), kWrongUse);
  EXPECT_EQ(requests_.back().target, "/v1/views/v/changes?prefix=1&from=2&to=%5B3%5D");
  EXPECT_EQ(run({"a", "--prefix", "1"}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("--prefix"));
}

TEST_F(ViewWatch, WhatCannotGetBetterEndsIt) {
  changes_ = {{.status = 400, .body = R"({"title":"A parameter.","detail":"`where`, line 1, column 1: no"})"}};
  EXPECT_EQ(run({"--where", "x"}), kWrongUse);
  EXPECT_EQ(err_, "tidemill view watch: A parameter. `where`, line 1, column 1: no (HTTP 400)\n");
  changes_ = {events("event: error\ndata: {\"code\":\"query_timeout\",\"status\":503,\"title\":\"Too long.\"}\n\n")};
  EXPECT_EQ(run({"--where", "x"}), kWrongUse);
  EXPECT_EQ(err_, "tidemill view watch: Too long. (HTTP 503)\n");
  changes_ = {{.drop = true}};
  EXPECT_EQ(run({}), kNotReached);
  EXPECT_THAT(out_, IsEmpty());
}

}  // namespace
}  // namespace tidemill::cli

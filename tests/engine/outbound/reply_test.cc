#include "engine/outbound/reply.h"

#include <gtest/gtest.h>

namespace tidemill::outbound {
namespace {

constexpr std::size_t kHead = 1'000, kBody = 2'000;

// What comes of these bytes and an end, cut into pieces of that size.
Result<Reply> read(std::string_view bytes, std::size_t piece, bool head_only = false) {
  ReplyReader reader(kHead, kBody, head_only);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    const auto whole = reader.feed(bytes.substr(0, piece));
    if (!whole) return whole.error();
    if (*whole) return reader.take();
  }
  RETURN_IF_ERROR(reader.end());
  return reader.take();
}

void each_way(const std::string& bytes, const std::function<void(const Result<Reply>&)>& check,
              bool head_only = false) {
  for (const std::size_t piece : {bytes.size(), std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{100}}) {
    SCOPED_TRACE(piece);
    check(read(bytes, std::max<std::size_t>(piece, 1), head_only));
  }
}

TEST(OutboundReply, IsReadHoweverItIsFramed) {
  const std::pair<std::string, std::string> replies[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", "hello"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", "hello"},
      {"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", "hello"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: a\r\n\r\n", "hello"},
      {"HTTP/1.0 200 OK\r\n\r\nhello", "hello"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
       "5\r\n\r\nhello",
       "hello"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
  };
  for (const auto& [bytes, body] : replies) {
    SCOPED_TRACE(bytes);
    each_way(bytes, [&body = body](const Result<Reply>& reply) {
      ASSERT_TRUE(reply) << reply.error().message();
      EXPECT_EQ(reply->status, 200);
      EXPECT_EQ(reply->body, body);
      for (const auto& [name, value] : reply->headers) EXPECT_NE(name, "X-Trailer");
    });
  }
  each_way("HTTP/1.1 204 None\r\n\r\n", [](const Result<Reply>& reply) { EXPECT_EQ(reply->status, 204); });
  each_way("HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
           [](const Result<Reply>& reply) {
             EXPECT_EQ(reply->status, 301);
             EXPECT_EQ(reply->headers.at(0).second, "http://127.0.0.1/");
           });
  each_way(
      "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n", [](const Result<Reply>& reply) { EXPECT_TRUE(reply); },
      true);
}

TEST(OutboundReply, LiesAndExcessesAreNamed) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  std::string interim;
  for (int i = 0; i < 20; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
  std::string fields;
  for (int i = 0; i < 101; ++i) fields += "A:1\r\n";
  std::string chunks;
  for (int i = 0; i < 300; ++i) chunks += "a\r\n0123456789\r\n";
  const std::pair<std::string, OutboundErrc> replies[] = {
      {"", OutboundErrc::cut_off},
      {"HTTP/1.1 200", OutboundErrc::cut_off},
      {ok + "Content-Length: 5\r\n\r\nhell", OutboundErrc::cut_off},
      {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", OutboundErrc::cut_off},
      {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", OutboundErrc::cut_off},
      {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", OutboundErrc::cut_off},
      {"SSH-2.0-OpenSSH_9.2\r\n", OutboundErrc::reply_invalid},
      {"HTTP/2.0 200 OK\r\n\r\n", OutboundErrc::reply_invalid},
      {"HTTP/1.1 20 OK\r\n\r\n", OutboundErrc::reply_invalid},
      {"HTTP/1.1 099 OK\r\n\r\n", OutboundErrc::reply_invalid},
      {"HTTP/1.1 600 OK\r\n\r\n", OutboundErrc::reply_invalid},
      {"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", OutboundErrc::reply_invalid},
      {interim, OutboundErrc::reply_invalid},
      {ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", OutboundErrc::reply_invalid},
      {ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", OutboundErrc::reply_invalid},
      {ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nab", OutboundErrc::reply_invalid},
      {ok + "Transfer-Encoding: gzip\r\n\r\nab", OutboundErrc::reply_invalid},
      {ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", OutboundErrc::reply_invalid},
      {ok + "Content-Length: -1\r\n\r\nab", OutboundErrc::reply_invalid},
      {ok + "Content-Length: 0x2\r\n\r\nab", OutboundErrc::reply_invalid},
      {ok + "Bad Name: 2\r\n\r\nab", OutboundErrc::reply_invalid},
      {ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", OutboundErrc::reply_invalid},
      {ok + "Content-Length: 99999999999\r\n\r\n", OutboundErrc::body_too_large},
      {ok + "Content-Length: 2001\r\n\r\n", OutboundErrc::body_too_large},
      {ok + "\r\n" + std::string(2'001, 'x'), OutboundErrc::body_too_large},
      {ok + "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", OutboundErrc::body_too_large},
      {ok + "Transfer-Encoding: chunked\r\n\r\n" + chunks, OutboundErrc::body_too_large},
      {ok + "X: " + std::string(2'000, 'x'), OutboundErrc::head_too_large},
      {ok + fields + "\r\n", OutboundErrc::head_too_large},
      {"HHHHHHHHHH HTTP/1.1\r\n\r\n", OutboundErrc::reply_invalid},
      {ok + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(2'000, 'x'), OutboundErrc::head_too_large},
      {ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + std::string(2'000, 'x'), OutboundErrc::head_too_large},
  };
  for (const auto& [bytes, why] : replies) {
    SCOPED_TRACE(bytes.substr(0, 120));
    each_way(bytes, [why = why](const Result<Reply>& reply) {
      ASSERT_FALSE(reply);
      EXPECT_EQ(reply.error(), why) << reply.error().message();
    });
  }
}

}  // namespace
}  // namespace tidemill::outbound

// The examples of docs/formats/*.md, byte for byte, so that page and code cannot part: each page's ```hex block is read
// from the page itself. A line is an offset and the bytes there; what no line covers is zero.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "storage/log/commit_reader.h"
#include "storage/log/commit_writer.h"
#include "storage/log/index_file.h"
#include "storage/log/mark_file.h"
#include "storage/log/request_snapshot.h"
#include "storage/log/segment_format.h"
#include "storage/log/start_file.h"
#include "tests/storage/log/log_world.h"
#include "tests/support/source_tree.h"

namespace tidemill {
namespace {

std::string dump(std::span<const std::byte> bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 16) {
    const auto row = bytes.subspan(at, std::min<std::size_t>(16, bytes.size() - at));
    if (std::all_of(row.begin(), row.end(), [](std::byte b) { return b == std::byte{0}; })) continue;
    char text[16];
    std::snprintf(text, sizeof text, "%06x", static_cast<unsigned>(at));
    out += text;
    for (const std::byte b : row) {
      std::snprintf(text, sizeof text, " %02x", static_cast<unsigned>(b));
      out += text;
    }
    out += "\n";
  }
  return out;
}

// The n-th hex block of a page.
std::string example(const std::string& page, int n = 0) {
  std::ifstream in(source_tree() + "/docs/formats/" + page);
  std::stringstream text;
  text << in.rdbuf();
  const std::string all = text.str();
  std::size_t at = 0;
  for (int i = 0; i <= n; ++i) {
    at = all.find("```hex\n", at);
    if (at == std::string::npos) return {};
    at += 7;
  }
  return all.substr(at, all.find("```", at) - at);
}

constexpr WallTime kTime{std::chrono::milliseconds(1'323'434'000'000)};  // 2011-12-09T12:33:20Z

struct Example {
  TestRequest request;
  CommitWriter writer;
  EncodedCommit commit;

  Example() {
    request.texts = {R"({"InvoiceNo":"536365","Quantity":6})", "hi"};
    NewRecord a;
    a.key = "536365";
    a.hash = {0x0123456789abcdef, 0x1122334455667788};
    a.arrival = kTime - std::chrono::milliseconds(3);
    a.data = request.texts[0];
    NewRecord b;
    b.key = "k";
    b.hash = {0xf000000000000000, 1};
    b.explicit_hash = true;
    b.content = ContentType::bytes;
    b.arrival = kTime;
    b.headers = "h";
    b.data = request.texts[1];
    request.records = {a, b};
    request.append.records = request.records;
    request.rejected = {{2, 7}};
    request.append.rejected = request.rejected;
    RequestIdentity id;
    for (std::size_t i = 0; i < 16; ++i) id.key_hash[i] = static_cast<std::byte>(0xa0 + i);
    id.body_hash = 0xb0b0b0b0b0b0b0b0;
    request.append.identity = id;
    CommitWriter::Context c;
    c.salt = 0x5a17;
    c.incarnation = Incarnation(0x1ca7);
    c.epoch = Epoch(3);
    c.first = Sequence(42);
    c.wall = kTime;
    c.running_max = kTime + std::chrono::seconds(1);
    commit = writer.encode(&request.append, c);
  }
};

TEST(GoldenFormat, Commit) {
  Example e;
  EXPECT_EQ(dump(e.commit.bytes), example("segment.md", 1));
  EXPECT_TRUE(read_commit(e.commit.bytes, 0x5a17, Incarnation(0x1ca7)));
}

TEST(GoldenFormat, LogStart) {
  LogStart start;
  start.generation = 4;
  start.incarnation = Incarnation(0x1ca7);
  start.start = Sequence(42);
  start.segment = SegmentId(7);
  std::vector<std::byte> block(kBlockBytes);
  write_start_slot(start, block);
  EXPECT_EQ(dump(block), example("log-start.md", 0));
  EXPECT_EQ(read_start_slot(block), start);
  for (std::size_t bit = 0; bit < block.size() * 8; bit += 7) {
    block[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_FALSE(read_start_slot(block)) << "bit " << bit;
    block[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
  }
}

TEST(GoldenFormat, SegmentHeader) {
  SegmentHeader h;
  h.id = SegmentId(7);
  h.salt = 0x5a17;
  h.incarnation = Incarnation(0x1ca7);
  h.epoch = Epoch(3);
  h.bytes = 1 << 20;
  h.log_start = Sequence(1);
  h.first = Sequence(42);
  h.created = kTime;
  h.running_max = kTime - std::chrono::seconds(1);
  h.requests_before = 5;
  h.predecessor = {SegmentId(6), ByteOffset(0x9000), Sequence(41), 0x1122334455667788};
  h.initial_bytes = 4096;
  h.initial_last = Sequence(43);
  h.epochs = {{Epoch(1), Sequence(1)}, {Epoch(3), Sequence(44)}};
  std::vector<std::byte> bytes(kSegmentHeaderBytes);
  write_segment_header(h, bytes);
  EXPECT_EQ(dump(bytes), example("segment.md", 0));
  for (std::size_t copy = 0; copy < 2; ++copy) {
    const auto back = read_segment_header(std::span<const std::byte>(bytes).subspan(copy * kBlockBytes, kBlockBytes));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->id, h.id);
    EXPECT_EQ(back->predecessor, h.predecessor);
    EXPECT_EQ(back->epochs, h.epochs);
    EXPECT_EQ(back->initial_last, h.initial_last);
    EXPECT_EQ(back->running_max, h.running_max);
    EXPECT_EQ(back->requests_before, h.requests_before);
  }
  EXPECT_EQ(segment_file_name({h.id, h.first}), "00000000000000000007-00000000000000000042.seg");
  EXPECT_EQ(parse_segment_file_name("00000000000000000007-00000000000000000042.seg"), (SegmentName{h.id, h.first}));
  EXPECT_FALSE(parse_segment_file_name("00000000000000000007-0000000000000000004x.seg"));
  EXPECT_FALSE(parse_segment_file_name("00000000000000000000-00000000000000000042.seg"));
}

TEST(GoldenFormat, DurableMark) {
  DurableMark m;
  m.generation = 9;
  m.incarnation = Incarnation(0x1ca7);
  m.epoch = Epoch(3);
  m.segment = SegmentId(7);
  m.end = ByteOffset(0x3000);
  m.last = Sequence(43);
  m.checksum = 0x1122334455667788;
  m.notes[0] = Sequence(40);
  m.notes[7] = Sequence(0);
  std::vector<std::byte> block(kBlockBytes);
  write_mark_slot(m, block);
  EXPECT_EQ(dump(block), example("durable-mark.md"));
  EXPECT_EQ(read_mark_slot(block), m);
}

TEST(GoldenFormat, Index) {
  const std::vector<IndexEntry> entries{{Sequence(42), 2, 0x8001, ByteOffset(8192), kTime},
                                        {Sequence(44), 1, 0x0010, ByteOffset(12288), kTime + std::chrono::seconds(1)}};
  EXPECT_EQ(dump(make_index(entries, 0x5a17, ByteOffset(16384))), example("index.md"));
}

TEST(GoldenFormat, Requests) {
  SimEnv sim;
  Example e;
  {
    SnapshotWriter writer(sim.files, "/");
    ASSERT_TRUE(writer.begin({Incarnation(0x1ca7), SegmentId(7), ByteOffset(0x3000), 6}));
    ASSERT_TRUE(writer.add({StoredRequest{*e.request.append.identity, Sequence(42), 2, e.request.rejected}}));
    ASSERT_TRUE(writer.finish());
  }
  const std::string content = *sim.files.content("/requests");
  EXPECT_EQ(dump(std::as_bytes(std::span(content))), example("requests.md"));
  RequestWindow window(10);
  const auto point = read_snapshot(sim.files, "/", Incarnation(0x1ca7), window, 10);
  ASSERT_TRUE(point);
  EXPECT_EQ(point->segment, SegmentId(7));
  ASSERT_TRUE(window.find(*e.request.append.identity));
  EXPECT_EQ(window.find(*e.request.append.identity)->first, Sequence(42));
}

}  // namespace
}  // namespace tidemill

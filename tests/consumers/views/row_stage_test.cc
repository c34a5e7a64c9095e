#include "consumers/views/row_stage.h"

#include <gtest/gtest.h>

#include "consumers/views/sqlite.h"
#include "tests/consumers/views/memory_view.h"

namespace tidemill::views {
namespace {

// The cells of one field over some records, as text with their type.
std::vector<std::string> cells(const std::string& field, const Records& records) {
  FieldSet fields;
  std::uint32_t slot = fields.add(field);
  ParsedBatch batch(fields, {});
  batch.parse(records.all());
  std::vector<std::string> out;
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    Cell c = batch.cell(i, slot);
    static constexpr const char* kTypes[] = {"null", "i", "r", "t", "j"};
    out.push_back(std::string(kTypes[static_cast<int>(c.type())]) + (c.is_null() ? "" : ":" + text({to_value(c)})));
  }
  return out;
}

TEST(ParsedBatch, ValuesOfAllKinds) {
  Records r;
  for (const char* v : {"1",
                        "-7",
                        "1.5",
                        "2.0",
                        "-0.0",
                        "1e2",
                        "true",
                        "false",
                        "null",
                        R"("x")",
                        R"("a\"\u00e9\n")",
                        R"("")",
                        "9223372036854775807",
                        "-9223372036854775808",
                        "9223372036854775808",
                        "18446744073709551615",
                        "1e300",
                        "9007199254740993.0",
                        "[1,2]",
                        R"({"b":[]})",
                        "{}"}) {
    r.add(std::string("{\"z\":[{}],\"a\":") + v + ",\"y\":1}");
  }
  EXPECT_EQ(cells("a", r), (std::vector<std::string>{"i:1",
                                                     "i:-7",
                                                     "r:1.5",
                                                     "i:2",
                                                     "i:0",
                                                     "i:100",
                                                     "i:1",
                                                     "i:0",
                                                     "null",
                                                     "t:x",
                                                     "t:a\"\xC3\xA9\n",
                                                     "t:",
                                                     "i:9223372036854775807",
                                                     "i:-9223372036854775808",
                                                     "t:9223372036854775808",
                                                     "t:18446744073709551615",
                                                     "r:1e+300",
                                                     "i:9007199254740992",
                                                     "j:[1,2]",
                                                     R"(j:{"b":[]})",
                                                     "j:{}"}));
}

TEST(ParsedBatch, FieldsAreFoundInAnyOrder) {
  Records r;
  r.add(R"({"a":1,"b":2,"c":3})")
      .add(R"({"c":4,"a":5})")
      .add(R"({"b":6,"x":0,"a":7})")
      .add("{}")
      .add(R"({"aa":1,"a":8})")
      .add(R"({"\u0061":9})")
      .add(R"({"a\u0061":1,"a":10})")
      .add(R"({"A":1})");
  EXPECT_EQ(cells("a", r), (std::vector<std::string>{"i:1", "i:5", "i:7", "null", "i:8", "i:9", "i:10", "null"}));
}

TEST(ParsedBatch, BytesAreJsonIfTheyParseAsAnObject) {
  Records r;
  for (const char* v : {R"({"a":1})", R"(  { "a" : 2 }  )", R"({"a":3)", R"({"a":4}})", R"({"a":5,"b":tru})", "[1]",
                        "\"a\"", "", "\xFF\xFE"})
    r.add(v, ContentType::bytes);
  EXPECT_EQ(cells("a", r),
            (std::vector<std::string>{"i:1", "i:2", "null", "null", "null", "null", "null", "null", "null"}));
  EXPECT_EQ(cells("_sequence", r)[8], "i:9");
  EXPECT_EQ(cells("data", r)[2], "null");
}

TEST(ParsedBatch, LongNamesAndManyRecords) {
  std::string name(300, 'n');
  Records r;
  for (int i = 0; i < 3'000; ++i)
    r.add("{\"" + name + "\":\"" + std::string(static_cast<std::size_t>(i % 700), 'v') + "\"}");
  r.add("{\"x\":1}");
  auto got = cells(name, r);
  EXPECT_EQ(got[699].size(), 2u + 699u);
  EXPECT_EQ(got[2'999].size(), 2u + 2'999u % 700);
  EXPECT_EQ(got[3'000], "null");
}

TEST(RowStage, OneBadRecordDoesNotStopTheRest) {
  Records r;
  for (const char* v : {R"("x")", "1", R"("y")", R"("z")", "2", R"("w")"})
    r.add(std::string("{\"k\":1,\"n\":") + v + "}");
  MemoryView view("SELECT k, sum(number(n)) AS s, count(*) AS c FROM t GROUP BY k");
  view.apply(r.all());
  EXPECT_EQ(texts(view.rows()), std::vector<std::string>{"1|3|2"});
  EXPECT_EQ(view.parked,
            (std::vector<std::string>{
                "1: number() was given text that is not a number", "3: number() was given text that is not a number",
                "4: number() was given text that is not a number", "6: number() was given text that is not a number"}));
}

TEST(RowStage, ARecordIsParkedWholeOrNotAtAll) {
  Records r;
  r.add(R"({"k":1,"a":1,"b":1})").add(R"({"k":1,"a":5,"b":"text"})").add(R"({"k":2,"a":5,"b":"text"})");
  MemoryView view(
      "SELECT k, count(*) AS c, sum(a) AS a, count(DISTINCT a) AS d, sum(b) FILTER (WHERE k = 1) AS b FROM t GROUP BY "
      "k");
  view.apply(r.all());
  EXPECT_EQ(texts(view.rows()), (std::vector<std::string>{"1|1|1|1|1", "2|1|5|1|NULL"}));
  EXPECT_EQ(
      view.parked,
      std::vector<std::string>{
          "2: sum(b) FILTER (WHERE k = 1): text where a number is wanted; number(x) reads numbers that came as text"});
}

TEST(RowStage, JsonOperators) {
  Records r;
  r.add(R"({"k":1,"o":{"a":[1,2],"b":"x"}})");
  EXPECT_EQ(
      rows_of("SELECT k, last(o -> '$.a') AS a, last(o ->> '$.b') AS b, last(json_extract(data, '$.o.a[1]')) AS c, "
              "last(json_type(o)) AS t FROM t GROUP BY k",
              r),
      std::vector<std::string>{"1|[1,2]|x|2|object"});
}

TEST(RowStage, ErrorsInWhereAndJson) {
  Records r;
  r.add(R"({"k":1,"j":"{\"a\":1}"})").add(R"({"k":1,"j":"{broken"})").add(R"({"k":1,"j":"{\"a\":3}"})");
  MemoryView view("SELECT k, sum(json_extract(j, '$.a')) AS s FROM t WHERE json_extract(j, '$.a') > 0 GROUP BY k");
  view.apply(r.all());
  EXPECT_EQ(texts(view.rows()), std::vector<std::string>{"1|4"});
  EXPECT_EQ(view.parked, std::vector<std::string>{"2: malformed JSON"});
}

TEST(RowStage, BlobsAndInfinitiesArePutAside) {
  Records r;
  r.add(R"({"k":1,"v":1e308})").add(R"({"k":1,"v":1})");
  MemoryView infinite("SELECT k, sum(v * 10) AS s FROM t GROUP BY k");
  infinite.apply(r.all());
  EXPECT_EQ(infinite.parked, std::vector<std::string>{"1: sum(v * 10): an infinite number"});
  MemoryView blob("SELECT k, max(CAST(v AS BLOB)) AS s FROM t GROUP BY k");
  blob.apply(r.all());
  EXPECT_EQ(blob.parked.size(), 2u);
  EXPECT_EQ(blob.size(), 0u);
}

TEST(RowStage, KeysHaveALimit) {
  Records r;
  r.add("{\"k\":\"" + std::string(20'000, 'x') + "\"}").add("{\"k\":\"y\"}");
  MemoryView key("SELECT k, count(*) FROM t GROUP BY k");
  key.apply(r.all());
  EXPECT_EQ(texts(key.rows()), std::vector<std::string>{"y|1"});
  EXPECT_EQ(key.parked, std::vector<std::string>{"1: the group key has more than 16 KiB"});
  MemoryView distinct("SELECT count(DISTINCT k) AS n, max(length(k)) AS l FROM t");
  distinct.apply(r.all());
  EXPECT_EQ(texts(distinct.rows()), std::vector<std::string>{"1|1"});
}

TEST(RowStage, StagesShareOneBatch) {
  Definition a = must_split("SELECT x, count(*) FROM t GROUP BY x"),
             b = must_split("SELECT y, sum(x) FROM t GROUP BY y");
  FieldSet fields;
  auto first = std::move(std::get<0>(RowStage::prepare(a, fields)));
  auto second = std::move(std::get<0>(RowStage::prepare(b, fields)));
  EXPECT_EQ(fields.size(), 2u);
  Records r;
  r.add(R"({"x":1,"y":2})").add(R"({"x":3,"y":2})").add(R"({"x":5,"y":2})");
  ParsedBatch batch(fields, {});
  batch.parse(r.all());
  struct Count final : RowSink {
    std::string seen;
    void row(std::uint32_t record, Order order, std::span<const Cell> groups,
             std::span<const Cell> arguments) override {
      seen += std::to_string(record) + "/" + std::to_string(order.sequence) + "/" +
              std::to_string(groups[0].integer()) + "/" + std::to_string(arguments.size()) + " ";
    }
    void failed(std::uint32_t, std::string_view) override {}
  } sink;
  ASSERT_TRUE(first->run(batch, sink).has_value());
  ASSERT_TRUE(second->run(batch, 1, 1, sink).has_value());
  EXPECT_EQ(sink.seen, "0/1/1/0 1/2/3/0 2/3/5/0 1/2/2/1 ");
}

TEST(RowStage, TheHeaderKnowsFirstLastAndCount) {
  Records r;
  for (int i = 0; i < 9; ++i) r.add("{\"k\":" + std::to_string(i % 3) + "}");
  MemoryView view("SELECT k, count(*) AS n FROM t WHERE _sequence <> 4 GROUP BY k");
  for (std::size_t i = 0; i < 9; ++i) view.apply(r.cut(i, 1));
  RowHeader h = view.header({Value(std::int64_t{0})});
  EXPECT_EQ(h.first, 1u);
  EXPECT_EQ(h.last, 7u);
  EXPECT_EQ(h.count, 2u);
}

}  // namespace
}  // namespace tidemill::views

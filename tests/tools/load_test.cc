// What a load makes of a file, its settings and its stream: what it sends, and what it refuses.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "tests/tools/load_world.h"

namespace tidemill::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_F(LoadTest, TypedAsTheStreamDeclares) {
  const std::string path =
      file("a.csv", "InvoiceNo,Quantity,UnitPrice,Note\r\n0536,6,2.55,\"a \"\"b\"\"\"\r\n0536,-1,0,\r\n");
  EXPECT_EQ(run(options(path)), kOk) << err_;
  EXPECT_THAT(records_, testing::ElementsAre(R"({"InvoiceNo":"0536","Quantity":6,"UnitPrice":2.55,"Note":"a \"b\""})",
                                             R"({"InvoiceNo":"0536","Quantity":-1,"UnitPrice":0,"Note":null})"));
  EXPECT_THAT(out_, HasSubstr("2 rows of " + path + " loaded into 'retail'"));
  EXPECT_FALSE(std::filesystem::exists(path + ".progress"));
}

TEST_F(LoadTest, AllRowsOnceAndEachKeyInOrderDownOneConnection) {
  EXPECT_EQ(run(options(sample(30'000))), kOk) << err_;
  expect_sample_once(30'000);
  EXPECT_EQ(connections_of_lane_.size(), 4u);
  EXPECT_EQ(posts_, 8 * 4) << "adjacent invoice numbers are spread over all lanes";
  for (const auto& [lane, connections] : connections_of_lane_) EXPECT_EQ(connections.size(), 1u) << lane;
}

TEST_F(LoadTest, ASecondRunAddsNothingWhateverTheConnections) {
  const std::string path = sample(10'000);
  EXPECT_EQ(run(options(path)), kOk);
  LoadOptions o = options(path);
  o.connections = 1;
  EXPECT_EQ(run(o), kOk);
  EXPECT_THAT(out_, HasSubstr("already loaded"));
  expect_sample_once(10'000);
  o.again = true;
  EXPECT_EQ(run(o), kOk);
  EXPECT_THAT(out_, Not(HasSubstr("already loaded")));
  expect_sample_once(10'000, 2);
}

TEST_F(LoadTest, RejectedRowsAreNamedAndKept) {
  const std::string path =
      file("a.csv",
           "InvoiceNo,Quantity,UnitPrice,Note\n1,1,1,\n2,2,2,BAD\n3,three,3,\n4,4,4\n5,5,5,\"two\nlines\"\n"
           "6,6,6,x,y\n7,7,7,\xE9 BAD\n");
  LoadOptions o = options(path);
  o.rejects = directory_ / "rejects.csv";
  EXPECT_EQ(run(o), kPartly);
  EXPECT_EQ(records_.size(), 2u);
  for (const char* what : {"line 3: it is bad", "line 4: Column 'Quantity' is 'three'", "line 5: The row has 3 fields",
                           "line 8: The row has 5 fields", "line 9: it is bad"})
    EXPECT_THAT(err_, HasSubstr(what));
  EXPECT_EQ(contents(o.rejects),
            "InvoiceNo,Quantity,UnitPrice,Note\n2,2,2,BAD\n3,three,3,\n4,4,4\n6,6,6,x,y\n7,7,7,\xE9 BAD\n")
      << "in the order of the file, its own bytes";
  EXPECT_THAT(out_, HasSubstr("5 rows rejected"));
  // Once more: the same rows are rejected, nothing is added.
  EXPECT_EQ(run(o), kPartly);
  EXPECT_EQ(records_.size(), 2u);
}

TEST_F(LoadTest, AllRejectedIsNoFailure) {
  EXPECT_EQ(run(options(file("a.csv", "InvoiceNo,Note\n1,BAD\n"))), kPartly) << err_;
  EXPECT_THAT(err_, HasSubstr("line 2: it is bad"));
}

TEST_F(LoadTest, OtherSettingsForALoadedFileAreRefused) {
  const std::string path = file("a.csv", "InvoiceNo,Quantity\n1,1\n");
  EXPECT_EQ(run(options(path)), kOk);
  LoadOptions o = options(path);
  o.text_columns = {"Quantity"};
  EXPECT_EQ(run(o), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("--again loads them once more"));
  EXPECT_EQ(records_.size(), 1u);
}

TEST_F(LoadTest, NothingToGoOnWithAfterARefusal) {
  const std::string path = file("a.csv", "InvoiceNo,Quantity\n1,1\n");
  EXPECT_EQ(run(options(path)), kOk);
  LoadOptions o = options(path);
  o.text_columns = {"Quantity"};
  EXPECT_EQ(run(o), kWrongUse);
  EXPECT_THAT(err_, Not(HasSubstr("--resume")));
  EXPECT_FALSE(std::filesystem::exists(path + ".progress"));
}

TEST_F(LoadTest, TheRejectsMustNotBeTheFileItself) {
  const std::string text = "InvoiceNo\n1\n";
  const std::string path = file("a.csv", text);
  LoadOptions o = options(path);
  o.rejects = directory_ / "link.csv";
  std::filesystem::create_symlink(path, o.rejects);
  EXPECT_EQ(run(o), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("would be written over"));
  EXPECT_EQ(contents(path), text);
}

TEST_F(LoadTest, AUrlWithAPathOfAStreamKnowsItsTypes) {
  LoadOptions o = options(file("a.csv", "InvoiceNo,Quantity\n7,1\n"));
  o.remote.url += "/v1/streams/retail/records";
  o.stream = "other";
  EXPECT_EQ(run(o), kOk) << err_;
  EXPECT_THAT(records_, testing::ElementsAre(R"({"InvoiceNo":"7","Quantity":1})")) << "the invoice's number is text";
  EXPECT_THAT(out_, HasSubstr("into 'retail'"));
}

TEST_F(LoadTest, WrongDelimiterAndWrongStreamAreNamed) {
  LoadOptions o = options(file("a.csv", "InvoiceNo;Quantity\n7;1\n"));
  EXPECT_EQ(run(o), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("(--delimiter ';'?)"));
  HttpStub empty([](const Request&) { return Reply{.status = 404, .body = R"({"title":"No."})"}; });
  o.remote.url = empty.url();
  EXPECT_EQ(run(o), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("there is no stream 'retail' at 127.0.0.1:"));
}

TEST_F(LoadTest, FindsTypesWhereTheStreamDeclaresNone) {
  definition_ = R"({"name":"retail","partition_key":"id"})";
  LoadOptions o = options(file("a.csv", "id,n,code,mixed,none,zip\n1,1.5,007,1,,1\n2,,008,x,,2\n"));
  o.text_columns = {"zip"};
  EXPECT_EQ(run(o), kOk) << err_;
  std::sort(records_.begin(), records_.end());
  EXPECT_THAT(records_, testing::ElementsAre(R"({"id":1,"n":1.5,"code":"007","mixed":"1","none":null,"zip":"1"})",
                                             R"({"id":2,"n":null,"code":"008","mixed":"x","none":null,"zip":"2"})"));
}

TEST_F(LoadTest, FindsTheEncoding) {
  EXPECT_EQ(run(options(file("a.csv",
                             "InvoiceNo,Note\n1,\xA3"
                             "5 caf\xE9\n"))),
            kOk);
  EXPECT_EQ(run(options(file("b.csv", "\xEF\xBB\xBFInvoiceNo,Note\n1,£5 café\n"))), kOk);
  ASSERT_EQ(records_.size(), 2u);
  EXPECT_EQ(records_[0], R"({"InvoiceNo":"1","Note":"£5 café"})");
  EXPECT_EQ(records_[0], records_[1]);
  EXPECT_EQ(run(options(file("c.csv", std::string("\xFF\xFEI\0n\0", 6)))), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("UTF-16"));
}

TEST_F(LoadTest, APipeMustBeToldItsEncoding) {
  const std::string path = sample(5'000);
  const int saved = ::dup(STDIN_FILENO);
  LoadOptions o = options("-");
  EXPECT_EQ(run(o), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("--encoding"));
  o.encoding = "utf-8";
  for (int i = 0; i < 2; ++i) {
    ASSERT_NE(std::freopen(path.c_str(), "rb", stdin), nullptr);
    EXPECT_EQ(run(o), kOk) << err_;
  }
  EXPECT_THAT(out_, HasSubstr("already loaded"));
  expect_sample_once(5'000);
  ::dup2(saved, STDIN_FILENO);
  ::close(saved);
}

TEST_F(LoadTest, AUrlWithAPathIsUsedAsItStands) {
  std::string target;
  set_before([&](int, const Request& r) -> std::optional<Reply> {
    target = r.target;
    EXPECT_EQ(r.headers.at("authorization"), "Bearer secret");
    return Reply{.status = 202};
  });
  LoadOptions o = options(file("a.csv", "a,b\n1,x\n"));
  o.remote.url += "/ingest?source=me";
  o.remote.key_file = file("key", "secret\n");
  EXPECT_EQ(run(o), kOk) << err_;
  EXPECT_EQ(target, "/ingest?source=me");
}

TEST_F(LoadTest, WrongUse) {
  const struct {
    const char* text;
    const char* error;
  } files[] = {{"", "The CSV is empty"},
               {"InvoiceNo,a,a\n1,2,3\n", "names 'a' twice"},
               {"InvoiceNo,,a\n1,2,3\n", "Column 2 has no name"},
               {"InvoiceNo;a\n1;2\n", "has no column 'InvoiceNo'"}};
  for (const auto& f : files) {
    EXPECT_EQ(run(options(file("a.csv", f.text))), kWrongUse) << f.text;
    EXPECT_THAT(err_, HasSubstr(f.error));
  }
  EXPECT_EQ(run(options(directory_ / "nothing.csv")), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("No such file"));
  EXPECT_EQ(run(options(directory_.path())), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("is a directory"));

  const std::string path = file("a.csv", "InvoiceNo\n1\n");
  LoadOptions o = options(path);
  o.encoding = "ebcdic";
  EXPECT_EQ(run(o), kWrongUse);
  o = options(path);
  o.text_columns = {"nope"};
  EXPECT_EQ(run(o), kWrongUse);
  o = options(path);
  o.remote.url = "ftp://x";
  EXPECT_EQ(run(o), kWrongUse);
  set_before([](int, const Request&) {
    return Reply{.status = 413, .body = R"({"title":"The body is too large.","detail":"Send less."})"};
  });
  EXPECT_EQ(run(options(path)), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("The body is too large. Send less. (HTTP 413)"));
  definition_ = R"({"name":"retail"})";
  EXPECT_EQ(run(options(path)), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("has no partition key"));
  EXPECT_TRUE(records_.empty());
}

}  // namespace
}  // namespace tidemill::cli

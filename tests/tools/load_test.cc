// The load client against a server inside the test that keeps what it got, remembers idempotency keys as the real one
// does, and misbehaves as told.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/tools/http_stub.h"
#include "tools/cli/commands.h"
#include "tools/cli/load/progress.h"
#include "tools/cli/sample/generator.h"

namespace tidemill::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using Reply = HttpStub::Reply;
using Request = HttpStub::Request;

class LoadTest : public testing::Test {
 protected:
  LoadTest() {
    // Before any thread: the load takes SIGINT up by waiting for it.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    char name[] = "/tmp/tidemill_load_XXXXXX";
    directory_ = ::mkdtemp(name);
    stub_ = std::make_unique<HttpStub>([this](const Request& r) { return handle(r); });
  }
  ~LoadTest() override {
    stub_.reset();
    std::filesystem::remove_all(directory_);
  }

  Reply handle(const Request& r) {
    const std::lock_guard lock(mutex_);
    if (r.method == "GET" && r.target == "/v1/streams/retail") {
      auto json = nlohmann::json::parse(definition_);
      json["last_sequence"] = records_.size() + skipped_;
      return {.body = json.dump()};
    }
    // Nothing else: the key may be one that only writes.
    if (r.method == "GET") return {.status = 403, .body = R"({"code":"forbidden","title":"The key may not do this."})"};
    ++posts_;
    if (before_)
      if (auto reply = before_(posts_, r)) return *reply;
    Reply reply = append(r);
    if (after_)
      if (auto other = after_(posts_, r)) return *other;
    return reply;
  }

  Reply append(const Request& r) {
    EXPECT_EQ(r.headers.at("content-type"), "application/x-ndjson");
    const std::string& key = r.headers.at("idempotency-key");
    nlohmann::json answer;
    if (const auto known = keys_.find(key); known != keys_.end()) {
      if (known->second.first != r.body)
        return {.status = 422, .body = R"({"code":"key_reused","detail":"other body"})"};
      answer = known->second.second;
      answer["replayed"] = true;
      return {.status = answer["rejected"].empty() ? 200 : 207, .body = answer.dump()};
    }
    answer["rejected"] = nlohmann::json::array();
    std::istringstream lines(r.body);
    std::string line;
    std::uint64_t index = 0, accepted = 0;
    for (; std::getline(lines, line); ++index) {
      if (line.find("BAD") != std::string::npos) {
        answer["rejected"].push_back({{"index", index}, {"code", "invalid"}, {"message", "it is bad"}});
        continue;
      }
      records_.push_back(line);
      ++accepted;
    }
    answer["accepted"] = accepted;
    answer["replayed"] = false;
    answer["last_sequence"] = records_.size() + skipped_;
    keys_[key] = {r.body, answer};
    connections_of_lane_[key.substr(key.rfind('-'))].insert(r.connection);
    const int status = answer["rejected"].empty() ? 200 : accepted == 0 ? 400 : 207;
    return {.status = status, .body = answer.dump()};
  }

  std::string file(const std::string& name, const std::string& text) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  // A file of a shop's sales; many blocks' worth.
  std::string sample(std::uint64_t rows) {
    SampleGenerator generator(1);
    std::string text(SampleGenerator::header());
    for (std::uint64_t i = 0; i < rows; ++i) generator.append_row(text);
    return file("sample.csv", text);
  }
  static std::string contents(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

  LoadOptions options(const std::string& path) {
    LoadOptions o;
    o.remote.url = stub_->url();
    o.file = path;
    o.retry_for = "20s";
    return o;
  }
  int run(const LoadOptions& o) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = load(o);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }
  // All lines of the sample are in once, and those of one invoice in the order of the file.
  void expect_sample_once(std::uint64_t rows, std::uint64_t times = 1) {
    SampleGenerator generator(1);
    std::map<std::string, std::vector<std::string>> expected, got;
    std::string row;
    for (std::uint64_t t = 0; t < times; ++t) {
      SampleGenerator again(1);
      for (std::uint64_t i = 0; i < rows; ++i) {
        row.clear();
        again.append_row(row);
        const std::string invoice = row.substr(0, row.find(','));
        expected[invoice].push_back(
            row.substr(invoice.size() + 1, row.find(',', invoice.size() + 1) - invoice.size() - 1));
      }
    }
    for (const std::string& r : records_) {
      const auto json = nlohmann::json::parse(r);
      got[json["InvoiceNo"]].push_back(json["StockCode"]);
    }
    EXPECT_EQ(records_.size(), rows * times);
    EXPECT_TRUE(got == expected);
  }

  std::string directory_;
  std::unique_ptr<HttpStub> stub_;
  std::mutex mutex_;
  std::string definition_ =
      R"({"name":"retail","partition_key":"InvoiceNo","fields":{"Quantity":"integer","UnitPrice":"number"},"idempotency_keys":50000})";
  using Deed = std::function<std::optional<Reply>(int, const Request&)>;
  // With the lock: threads of the stub may still be about when a load has ended.
  void set_before(Deed deed) {
    const std::lock_guard lock(mutex_);
    before_ = std::move(deed);
  }
  void set_after(Deed deed) {
    const std::lock_guard lock(mutex_);
    after_ = std::move(deed);
  }
  Deed before_, after_;  // instead of taking it / of the answer
  int posts_ = 0;
  std::uint64_t skipped_ = 0;  // sequences that others took
  std::vector<std::string> records_;
  std::map<std::string, std::pair<std::string, nlohmann::json>> keys_;
  std::map<std::string, std::set<int>> connections_of_lane_;
  std::string out_, err_;
};

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

TEST_F(LoadTest, LostAnswersAndBusyServersCostNothing) {
  set_before([](int n, const Request&) -> std::optional<Reply> {
    if (n % 7 == 1) return Reply{.status = 429, .headers = {{"Retry-After", "0"}}};
    if (n % 7 == 3) return Reply{.status = 503, .body = R"({"outcome":"unknown"})"};
    if (n % 7 == 5) return Reply{.drop = true};
    return std::nullopt;
  });
  set_after([](int n, const Request&) -> std::optional<Reply> {
    if (n % 5 == 0) return Reply{.drop = true};  // taken, but nobody was told
    return std::nullopt;
  });
  EXPECT_EQ(run(options(sample(20'000))), kOk) << err_;
  expect_sample_once(20'000);
  EXPECT_THAT(err_, HasSubstr("trying on"));
}

TEST_F(LoadTest, AUsedUpQuotaIsFinal) {
  set_before([](int n, const Request&) -> std::optional<Reply> {
    if (n <= 5) return std::nullopt;
    return Reply{
        .status = 429,
        .body = R"({"code":"quota_exceeded","title":"A quota is used up.","detail":"It is 5 records a month."})",
        .headers = {{"Retry-After", "2000000"}}};
  });
  LoadOptions o = options(sample(20'000));
  o.retry_for = "60s";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(run(o), kWrongUse);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30)) << "nothing waits for the next month";
  EXPECT_THAT(err_, HasSubstr("A quota is used up. It is 5 records a month. (HTTP 429); Retry-After: in 24d"));
  EXPECT_THAT(err_, HasSubstr("--resume")) << "what is in is in";
  EXPECT_THAT(err_, Not(HasSubstr("trying on")));
  EXPECT_FALSE(records_.empty());
}

TEST_F(LoadTest, WaitsNoLongerThanItMay) {
  LoadOptions o = options(sample(100));
  const auto answer = [this](const char* code, const char* retry_after) {
    set_before([=](int, const Request&) -> std::optional<Reply> {
      return Reply{.status = 429,
                   .body = std::string(R"({"code":")") + code + R"(","title":"Slowly.","detail":"It is 1 a second."})",
                   .headers = {{"Retry-After", retry_after}}};
    });
  };
  o.retry_for = "1s";
  answer("rate_limited", "1");  // again and again
  EXPECT_EQ(run(o), kNotReached);
  EXPECT_THAT(err_, HasSubstr("Slowly. It is 1 a second. (HTTP 429); trying on"));
  EXPECT_THAT(err_, HasSubstr("nothing has been taken for 1s (--retry-for)"));
  o.retry_for = "20s";
  answer("rate_limited", "3600");
  EXPECT_EQ(run(o), kNotReached);
  EXPECT_THAT(err_, HasSubstr("it asks to wait 60m, longer than --retry-for 20s"));
  answer("connection_limit", "3600");
  EXPECT_EQ(run(o), kNotReached);
  EXPECT_THAT(err_, HasSubstr("--connections"));
}

TEST_F(LoadTest, RejectedRowsAreNamedAndKept) {
  const std::string path =
      file("a.csv",
           "InvoiceNo,Quantity,UnitPrice,Note\n1,1,1,\n2,2,2,BAD\n3,three,3,\n4,4,4\n5,5,5,\"two\nlines\"\n"
           "6,6,6,x,y\n7,7,7,\xE9 BAD\n");
  LoadOptions o = options(path);
  o.rejects = directory_ + "/rejects.csv";
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
  o.rejects = directory_ + "/link.csv";
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

TEST_F(LoadTest, InterruptedWhileAPipeIsSilent) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int before = ::dup(STDIN_FILENO);
  ::dup2(ends[0], STDIN_FILENO);
  ASSERT_EQ(::write(ends[1], "InvoiceNo\n1", 11), 11);
  LoadOptions o = options("-");
  o.encoding = "utf-8";
  ::kill(::getpid(), SIGINT);  // taken up as soon as the load waits for it
  EXPECT_EQ(run(o), kInterrupted) << "nobody ever writes on, and nobody closes";
  EXPECT_THAT(err_, HasSubstr("interrupted"));
  ::dup2(before, STDIN_FILENO);
  for (const int fd : {before, ends[0], ends[1]}) ::close(fd);
}

TEST_F(LoadTest, ServerThatIsNotThere) {
  const std::string path = file("a.csv", "InvoiceNo\n1\n");
  LoadOptions o = options(path);
  o.retry_for = "0s";
  stub_.reset();
  EXPECT_EQ(run(o), kNotReached);
  EXPECT_THAT(err_, HasSubstr("Connection refused"));
}

TEST_F(LoadTest, ServerThatGoesAwayForGood) {
  const std::string path = sample(10'000);
  LoadOptions o = options(path);
  o.retry_for = "0s";
  set_before([](int n, const Request&) -> std::optional<Reply> {
    if (n > 5) return Reply{.drop = true};
    return std::nullopt;
  });
  EXPECT_EQ(run(o), kNotReached);
  EXPECT_THAT(err_, HasSubstr("--resume"));
  set_before({});
  o.resume = true;
  EXPECT_EQ(run(o), kOk) << err_;
  expect_sample_once(10'000);
}

TEST_F(LoadTest, InterruptedAndResumed) {
  const std::string path = sample(60'000);
  const auto full = contents(path);
  set_before([](int n, const Request&) -> std::optional<Reply> {
    if (n == 30) ::kill(::getpid(), SIGINT);
    return std::nullopt;
  });
  EXPECT_EQ(run(options(path)), kInterrupted);
  EXPECT_LT(records_.size(), 60'000u);
  std::string error;
  const auto progress = Progress::read(path + ".progress", error);
  ASSERT_TRUE(progress) << error;
  EXPECT_GT(progress->rows, 0u);
  EXPECT_LE(progress->rows, records_.size());
  set_before({});
  const int posts_before = posts_;

  // Another file under the same name is refused, and so is one that may have been forgotten.
  LoadOptions o = options(path);
  o.resume = true;
  file("sample.csv", full + "1,1,1,1,1,1,1,1\r\n");
  EXPECT_EQ(run(o), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("has changed"));
  o.force = true;  // even so not where no row begins
  file("sample.csv", full.substr(0, progress->offset - 1) + "x" + full.substr(progress->offset));
  EXPECT_EQ(run(o), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("no beginning of a row"));
  o.force = false;
  file("sample.csv", full);
  o.delimiter = ";";
  EXPECT_EQ(run(o), kWrongUse);
  o.delimiter = ",";
  skipped_ = 100'000;  // more than the 50,000 keys that the stream remembers
  if (!progress->in_flight.empty()) {
    EXPECT_EQ(run(o), kWrongUse);
    EXPECT_THAT(err_, HasSubstr("--force"));
  }
  skipped_ = 0;
  EXPECT_EQ(posts_, posts_before) << "nothing of that was sent";

  EXPECT_EQ(run(o), kOk) << err_;
  expect_sample_once(60'000);
  EXPECT_LT(posts_ - posts_before, 60) << "it does not begin at the beginning";
  EXPECT_FALSE(std::filesystem::exists(path + ".progress"));
}

TEST_F(LoadTest, AFileThatGrewIsResumedByForce) {
  const std::string path = sample(60'000);
  set_before([](int n, const Request&) -> std::optional<Reply> {
    if (n == 30) ::kill(::getpid(), SIGINT);
    return std::nullopt;
  });
  EXPECT_EQ(run(options(path)), kInterrupted);
  set_before({});
  file("sample.csv", contents(path) + "last,1,1,1,1,1,1,1\r\n");
  LoadOptions o = options(path);
  o.resume = o.force = true;
  EXPECT_EQ(run(o), kOk) << err_;
  EXPECT_GE(records_.size(), 60'001u);
  EXPECT_LT(records_.size(), 100'000u) << "it does not begin at the beginning";
  EXPECT_EQ(std::count_if(records_.begin(), records_.end(),
                          [](const std::string& r) { return r.find("\"last\"") != r.npos; }),
            1);
}

// The header is read once, also where nothing was final when the load ended.
TEST_F(LoadTest, ResumedBeforeTheFirstBlockWasFinal) {
  const std::string path = sample(10'000);
  LoadOptions o = options(path);
  o.retry_for = "0s";
  set_before([](int, const Request&) -> std::optional<Reply> { return Reply{.drop = true}; });
  EXPECT_EQ(run(o), kNotReached);
  std::string error;
  const auto progress = Progress::read(path + ".progress", error);
  ASSERT_TRUE(progress) << error;
  ASSERT_EQ(progress->rows, 0u);
  set_before({});
  o.resume = true;
  EXPECT_EQ(run(o), kOk) << err_;
  expect_sample_once(10'000);
}

TEST_F(LoadTest, ResumeWithoutAProgressFileBeginsAtTheBeginning) {
  LoadOptions o = options(sample(3'000));
  o.resume = true;
  EXPECT_EQ(run(o), kOk);
  EXPECT_THAT(err_, HasSubstr("from the beginning"));
  expect_sample_once(3'000);
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
  EXPECT_EQ(run(options(directory_ + "/nothing.csv")), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("No such file"));
  EXPECT_EQ(run(options(directory_)), kWrongUse);
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

TEST(LoadProgress, ReadsBackWhatItWrote) {
  Progress p;
  p.file_size = 1;
  p.file_hash = "h";
  p.target = "t\"";
  p.settings = "s";
  p.nonce = "n";
  p.block = 2;
  p.rows = 3;
  p.line = 4;
  p.offset = 5;
  p.accepted = 6;
  p.rejected = 7;
  p.in_flight = {"a", "b"};
  p.last_sequence = 8;
  const auto q = Progress::from_json(p.to_json());
  ASSERT_TRUE(q);
  EXPECT_EQ(q->to_json(), p.to_json());
  EXPECT_FALSE(Progress::from_json("{}"));
  EXPECT_FALSE(Progress::from_json("half of i"));
  EXPECT_FALSE(Progress::from_json("{\"version\":2}"));
}

TEST(LoadRetry, GivesUpAfterItsTimeAndForgetsAnOutageThatIsOver) {
  using namespace std::chrono;
  Retry retry(seconds(10));
  steady_clock::time_point now{};
  milliseconds waited{0};
  int tries = 0;
  while (const auto pause = retry.failed(now)) {
    now += *pause;
    waited += *pause;
    ASSERT_LT(++tries, 100);
  }
  EXPECT_EQ(waited, seconds(10)) << "one last try at the very end";
  retry.answered();
  EXPECT_EQ(retry.failed(now), milliseconds(100));
  EXPECT_EQ(Retry(seconds(10)).failed(now, hours(1)), seconds(10)) << "no wait goes beyond the limit";
  EXPECT_EQ(Retry::retry_after("3", milliseconds(1)), seconds(3));
  EXPECT_EQ(Retry::retry_after("99999", milliseconds(1)), seconds(60));
  EXPECT_EQ(Retry::retry_after("Wed, 21 Oct 2015", milliseconds(7)), milliseconds(7));
}

TEST(LoadRetry, WaitsAsLongAsItIsToldWithinItsLimit) {
  using namespace std::chrono;
  Retry retry(seconds(10));
  const steady_clock::time_point begin{hours(1)};
  EXPECT_EQ(retry.told_to_wait(begin, seconds(11)), std::nullopt);
  EXPECT_EQ(retry.told_to_wait(begin, seconds(6)), seconds(6));
  EXPECT_EQ(retry.told_to_wait(begin + seconds(6), seconds(6)), std::nullopt) << "12 s in all";
  retry.others_were_answered(begin + seconds(5));
  EXPECT_EQ(retry.told_to_wait(begin + seconds(6), seconds(6)), seconds(6));
  retry.answered();
  EXPECT_EQ(retry.told_to_wait(begin + seconds(60), seconds(10)), seconds(10));
}

TEST(LoadTracker, ABlockIsOverWhenAllBeforeItAre) {
  Tracker tracker({});
  for (std::uint64_t b = 0; b < 3; ++b) {
    BlockOfRows block;
    block.number = b;
    block.rows_end = (b + 1) * 10;
    block.offset_end = (b + 1) * 100;
    block.rejected.push_back({b * 10 + 5, "local", ""});
    for (std::uint32_t lane : {0u, 1u}) {
      Batch batch;
      batch.block = b;
      batch.lane = lane;
      batch.idempotency_key = std::to_string(b) + "-" + std::to_string(lane);
      block.batches.push_back(batch);
    }
    tracker.sent(block);
  }
  const auto answer = [&](std::uint64_t b, std::uint32_t lane) {
    BatchResult r;
    r.block = b;
    r.lane = lane;
    r.accepted = 4;
    r.rejected.push_back({b * 10 + 2, "server", ""});
    tracker.answered(r);
  };
  answer(1, 0);
  answer(1, 1);
  answer(0, 0);
  EXPECT_EQ(tracker.progress().rows, 0u);
  EXPECT_EQ(tracker.progress().in_flight.size(), 6u);
  EXPECT_TRUE(tracker.take_rejected().empty());
  answer(0, 1);
  EXPECT_EQ(tracker.progress().rows, 20u);
  EXPECT_EQ(tracker.progress().block, 2u);
  EXPECT_EQ(tracker.progress().in_flight, (std::vector<std::string>{"2-0", "2-1"}));
  std::vector<std::uint64_t> lines;
  for (const auto& row : tracker.take_rejected()) lines.push_back(row.line);
  EXPECT_EQ(lines, (std::vector<std::uint64_t>{2, 2, 5, 12, 12, 15}));
}

}  // namespace
}  // namespace tidemill::cli

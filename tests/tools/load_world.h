#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/support/temp_dir.h"
#include "tests/tools/cli_runner.h"
#include "tools/cli/commands.h"
#include "tools/cli/sample/generator.h"

namespace tidemill::cli {

// The load client against a server inside the test that keeps what it got, remembers idempotency keys as the real one
// does, and misbehaves as told.
class LoadTest : public CliRunner {
 protected:
  using Reply = HttpStub::Reply;
  using Request = HttpStub::Request;

  LoadTest() {
    // Before any thread: the load takes SIGINT up by waiting for it.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    stub_ = std::make_unique<HttpStub>([this](const Request& r) { return handle(r); });
  }
  ~LoadTest() override { stub_.reset(); }

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
    const std::string path = directory_ / name;
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
    return printed([&] { return load(o); });
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

  const TempDir directory_;
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
  std::size_t stored() {
    const std::lock_guard lock(mutex_);
    return records_.size();
  }
  int posts() {
    const std::lock_guard lock(mutex_);
    return posts_;
  }
  Deed before_, after_;  // instead of taking it / of the answer
  int posts_ = 0;
  std::uint64_t skipped_ = 0;  // sequences that others took
  std::vector<std::string> records_;
  std::map<std::string, std::pair<std::string, nlohmann::json>> keys_;
  std::map<std::string, std::set<int>> connections_of_lane_;
};

}  // namespace tidemill::cli

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/tools/http_stub.h"
#include "tools/cli/cli.h"

namespace tidemill::cli {

// Command lines of the program inside this process, and what the last of them printed.
class CliRunner : public testing::Test {
 protected:
  // `tidemill WORDS...`; its exit code.
  int run(std::vector<std::string> words) {
    words.insert(words.begin(), "tidemill");
    words.insert(words.end(), behind_each_.begin(), behind_each_.end());
    std::vector<char*> argv;
    for (std::string& w : words) argv.push_back(w.data());
    return printed([&] { return cli::run(static_cast<int>(argv.size()), argv.data()); });
  }
  int run_with_input(const std::string& input, const std::vector<std::string>& words) {
    std::istringstream in(input);
    std::streambuf* before = std::cin.rdbuf(in.rdbuf());
    std::cin.clear();
    const int code = run(words);
    std::cin.rdbuf(before);
    return code;
  }
  // What is called without a command line.
  int printed(const std::function<int()>& call) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = call();
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }

  std::vector<std::string> behind_each_;
  std::string out_, err_;
};

// Command lines against a server inside the test, which keeps what it is asked. It gives the replies of the test, by
// method and target; to all else 404.
class CannedServer : public CliRunner {
 protected:
  using Reply = HttpStub::Reply;
  using Request = HttpStub::Request;

  void SetUp() override {
    stub_ = std::make_unique<HttpStub>([this](const Request& r) {
      const std::lock_guard lock(mutex_);
      requests_.push_back(r);
      return answer(r);
    });
    behind_each_ = {"--url", stub_->url()};
  }
  // Before anything of a derived fixture goes: the stub's threads may still use it.
  void TearDown() override { stub_.reset(); }

  // On a thread of the stub, with the lock.
  virtual Reply answer(const Request& r) {
    if (const auto it = replies_.find(r.method + " " + r.target); it != replies_.end()) return it->second;
    return {.status = 404, .body = R"({"title":"There is nothing.","detail":"Look elsewhere.","code":"not_found"})"};
  }
  const Request& last() const { return requests_.back(); }

  std::mutex mutex_;
  std::map<std::string, Reply> replies_;
  std::vector<Request> requests_;
  std::unique_ptr<HttpStub> stub_;
};

}  // namespace tidemill::cli

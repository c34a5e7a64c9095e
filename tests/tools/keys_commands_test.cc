// What the commands about keys, limits and the audit trail make of their arguments, against a server that counts what
// comes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "engine/keys/key_text.h"
#include "storage/seam/posix_file_system.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/cli_runner.h"
#include "tools/cli/commands.h"

namespace tidemill::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class KeysCommands : public CannedServer {
 protected:
  // Whatever is asked for behind the path.
  Reply answer(const Request& r) override {
    Request path = r;
    path.target.resize(std::min(path.target.size(), path.target.find('?')));
    return CannedServer::answer(path);
  }
};

TEST_F(KeysCommands, AKeyInPlaceOfItsIdIsNeitherSentNorShown) {
  const KeyId id{0x1234567890abcdef};
  const SecretText made = make_key_text(id, system_random());
  const std::string key(made.view());
  const std::string secret = key.substr(key.rfind('_') + 1);
  std::string mistyped = key;
  mistyped.back() = mistyped.back() == '0' ? '1' : '0';
  const std::vector<std::vector<std::string>> commands{
      {"keys", "revoke"},
      {"keys", "rotate"},
      {"keys", "bind", "--certificate", "none.pem"},
      {"keys", "unbind", "--certificate", "none.pem"},
      {"limits", "set", "--requests", "1/s", "--key"},
      {"limits", "show", "--key"},
      {"limits", "remove", "--key"},
      {"audit", "--key"},
  };
  for (const auto& command : commands) {
    for (const std::string& text : {key, mistyped, secret}) {
      std::vector<std::string> words = command;
      words.push_back(text);
      EXPECT_EQ(run(words), kWrongUse) << command[1];
      EXPECT_THAT(err_, Not(HasSubstr(secret.substr(0, 20)))) << err_;
      if (text == key) {
        EXPECT_THAT(err_, HasSubstr("that is the key itself; its id is " + to_text(id))) << command[1];
      }
    }
  }
  EXPECT_TRUE(requests_.empty()) << requests_[0].target;
  EXPECT_EQ(run({"keys", "revoke", access_key_of(id)}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("that is an access key id; the key's id is " + to_text(id)));
  EXPECT_EQ(run({"keys", "revoke", "till-3"}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("'till-3' is not the id of a key"));
  // Where it does not belong at all.
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"keys", "revoke", to_text(id), key}, {"keys", "list", "--key-file", key}}) {
    EXPECT_EQ(run(words), kWrongUse);
    EXPECT_THAT(err_, HasSubstr("tm_" + to_text(id) + "_..."));
    EXPECT_THAT(err_, Not(HasSubstr(secret)));
  }
}

TEST_F(KeysCommands, AnAuditThatFindsNothingSaysOfWhat) {
  replies_["GET /v1/audit"] = {.body = R"({"events":[],"lost":[],"next":null})"};
  EXPECT_EQ(run({"audit"}), kOk);
  EXPECT_EQ(err_, "no events\n");
  const std::string id = to_text(KeyId{7});
  replies_["GET /v1/keys/" + id] = {.body = "{}"};
  EXPECT_EQ(run({"audit", "--key", id, "--action", "auth.*", "--until", "2026-01-31T00:00:00Z"}), kOk);
  EXPECT_EQ(err_, "no events of action auth.* of key " + id + " until 2026-01-31T00:00:00.000Z\n");
  replies_["GET /v1/keys/" + id].status = 403;  // who may not see keys
  EXPECT_EQ(run({"audit", "--key", id}), kOk);
  replies_["GET /v1/keys/" + id].status = 404;
  for (const char* json : {"--limit=10", "--json"}) {
    EXPECT_EQ(run({"audit", "--key", id, json}), kWrongUse);
    EXPECT_EQ(err_, "tidemill audit: there is no key " + id + "; `tidemill keys list` shows them\n");
  }
}

TEST_F(KeysCommands, AListOfNothingSaysSo) {
  replies_["GET /v1/keys"] = {.body = R"({"keys":[],"next":null})"};
  replies_["GET /v1/streams"] = {.body = R"({"streams":[]})"};
  replies_["GET /v1/views"] = {.body = R"({"views":[]})"};
  for (const auto& [words, said] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"keys", "list"}, "no keys\n"}, {{"stream"}, "no streams\n"}, {{"view"}, "no views\n"}}) {
    EXPECT_EQ(run(words), kOk) << err_;
    EXPECT_EQ(out_, "");
    EXPECT_EQ(err_, said);
  }
}

TEST_F(KeysCommands, ADamagedSystemStreamIsNotCalledADamagedMarker) {
  const TempDir directory;
  const std::string data = directory.path() + "/data";
  ASSERT_EQ(run({"keys", "create", "operator", "--admin", "--data", data}), kOk) << err_;
  // The only event: what is not valid at the end could be a torn tail, so there is a second one behind it.
  ASSERT_EQ(run({"keys", "create", "other", "--admin", "--data", data}), kOk) << err_;
  for (const auto& file : std::filesystem::directory_iterator(data + "/streams/0")) {
    if (file.path().extension() != ".seg") continue;
    std::ifstream in(file.path(), std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), {});
    const auto at = bytes.find("\"operator\"");
    if (at == bytes.npos) continue;
    bytes[at + 1] = 'O';
    std::ofstream(file.path(), std::ios::binary) << bytes;
  }
  EXPECT_EQ(run({"keys", "list", "--data", data}), kWrongUse);
  EXPECT_THAT(err_,
              HasSubstr("the logs of " + data + " are damaged: `tidemill verify --data " + data + "` says where"));
  std::ofstream(data + "/TIDEMILL") << "nonsense";
  EXPECT_EQ(run({"keys", "list", "--data", data}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr(data + "/TIDEMILL is missing or damaged"));
  std::filesystem::remove(data + "/TIDEMILL");
  EXPECT_EQ(run({"keys", "list", "--data", data}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr(data + "/TIDEMILL is missing or damaged"));
}

TEST_F(KeysCommands, ADirectoryInUseIsSaidOnce) {
  const TempDir directory;
  const std::string data = directory.path() + "/data";
  ASSERT_EQ(run({"keys", "create", "operator", "--admin", "--data", data}), kOk) << err_;
  PosixFileSystem files;
  const auto lock = files.lock(data + "/lock");
  ASSERT_TRUE(lock);
  EXPECT_EQ(run({"keys", "list", "--data", data}), kWrongUse);
  EXPECT_EQ(err_, "tidemill keys list: a server uses " + data + ": go through it with --url, or stop it first\n");
}

TEST_F(KeysCommands, ADayIsATime) {
  replies_["GET /v1/audit"] = {.body = R"({"events":[],"lost":[],"next":null})"};
  EXPECT_EQ(run({"audit", "--from", "2026-01-30", "--until", "2026-01-31"}), kOk) << err_;
  EXPECT_THAT(requests_.back().target, HasSubstr("from=2026-01-30T00%3A00%3A00.000Z"));
  EXPECT_THAT(requests_.back().target, HasSubstr("until=2026-01-31T00%3A00%3A00.000Z"));
  EXPECT_EQ(run({"audit", "--from", "2026-02-30"}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("not '2026-02-30'"));
  replies_["POST /v1/keys"] = {.status = 201, .body = R"({"id":"0000000000007","key":"k"})"};
  EXPECT_EQ(run({"keys", "create", "k", "--admin", "--expires", "2100-01-31"}), kOk) << err_;
  EXPECT_THAT(requests_.back().body, HasSubstr(R"("expires":"2100-01-31T00:00:00.000Z")"));
  const TempDir directory;
  EXPECT_EQ(run({"keys", "create", "k", "--admin", "--expires", "2020-01-31", "--data", directory.path()}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("`expires` 2020-01-31T00:00:00.000Z is past"));
  EXPECT_EQ(run({"keys", "create", "k", "--admin", "--expires", "31.1.2027"}), kWrongUse);
  EXPECT_THAT(err_, HasSubstr("such as 2027-01-31 or 2027-01-31T08:00:00Z, before 2106; not '31.1.2027'"));
}

TEST_F(KeysCommands, ASizeWithHalfAUnitIsToldBoth) {
  const auto refused = [&](const char* flag, const char* value) {
    EXPECT_EQ(run({"limits", "set", "--tenant", "acme", flag, value}), kWrongUse) << value;
    return err_;
  };
  EXPECT_THAT(refused("--day-bytes", "10G"), HasSubstr("not '10G'; say 10GB (of 1000) or 10GiB (of 1024)\n"));
  EXPECT_THAT(refused("--bytes", "1G/s"), HasSubstr("not '1G/s'; say 1GB (of 1000) or 1GiB (of 1024)\n"));
  EXPECT_THAT(refused("--bytes", "1MiB/s:8k"), HasSubstr("say 8kB (of 1000) or 8KiB (of 1024)\n"));
  EXPECT_THAT(refused("--disk", "2T"), HasSubstr("not '2T'; say 2TiB\n"));
  EXPECT_THAT(refused("--disk", "G"), HasSubstr("not 'G'\n"));
  EXPECT_THAT(refused("--day-records", "1m"), HasSubstr("a number, such as 5000, 20k or 2M, or none; not '1m'\n"));
  EXPECT_TRUE(requests_.empty());
}

}  // namespace
}  // namespace tidemill::cli

// The warning of a private key that others may read.
#include "tools/cli/serve/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "storage/seam/clock.h"
#include "storage/seam/posix_file_system.h"
#include "tests/support/capture_logger.h"
#include "tests/support/temp_dir.h"

namespace tidemill::cli {
namespace {

constexpr const char* kWarning = "others than the server may read its private key";

TEST(PrivateKey, IsItsOwnersOrRootsAndAGroups) {
  constexpr unsigned kUser = 1000, kOther = 1001, kRoot = 0;
  for (const unsigned mode : {0600u, 0400u, 0700u, 0100600u}) EXPECT_FALSE(key_is_exposed(mode, kUser, kUser)) << mode;
  for (const unsigned mode : {0640u, 0604u, 0644u, 0620u, 0602u, 0660u, 0777u})
    EXPECT_TRUE(key_is_exposed(mode, kUser, kUser)) << mode;
  for (const unsigned user : {kUser, kRoot}) {
    for (const unsigned mode : {0600u, 0640u, 0440u, 0400u}) EXPECT_FALSE(key_is_exposed(mode, kRoot, user)) << mode;
    for (const unsigned mode : {0644u, 0660u, 0604u, 0444u, 0650u})
      EXPECT_TRUE(key_is_exposed(mode, kRoot, user)) << mode;
  }
  EXPECT_TRUE(key_is_exposed(0640, kOther, kUser)) << "who owns it may read it";
}

struct PrivateKeyFile : ::testing::Test {
  PrivateKeyFile() {
    std::string error;
    const auto material = http::self_signed("localhost", error);
    EXPECT_EQ(error, "");
    config.tls_cert = directory.path() + "/own.pem";
    config.tls_key = directory.path() + "/own.key";
    std::ofstream(config.tls_cert) << material.certificate;
    std::ofstream(config.tls_key) << material.key;
  }
  void mode(unsigned bits) { ASSERT_EQ(::chmod(config.tls_key.c_str(), bits), 0); }

  TempDir directory;
  PosixFileSystem files;
  CaptureLogger logger;
  Config config;
  Certificate certificate{files, system_clock(), logger};
};

TEST_F(PrivateKeyFile, IsWarnedOfAtTheStartAndAtAReload) {
  mode(0644);
  ASSERT_TRUE(certificate.begin(config, false, "localhost").tls) << "it is served all the same";
  ASSERT_EQ(logger.count(kWarning), 1u);
  EXPECT_EQ(logger.count("warning: " + std::string(kWarning)), 1u);
  EXPECT_EQ(logger.count("key=" + config.tls_key + " mode=0644 remedy=chmod 600 " + config.tls_key), 1u);
  certificate.look(false);
  EXPECT_EQ(logger.count(kWarning), 1u) << "every 10 seconds";
  certificate.look(true);
  EXPECT_EQ(logger.count(kWarning), 2u);
  mode(0600);
  certificate.look(true);
  EXPECT_EQ(logger.count(kWarning), 2u);
}

TEST_F(PrivateKeyFile, IsWarnedOfWhenAnotherIsTaken) {
  mode(0600);
  ASSERT_TRUE(certificate.begin(config, false, "localhost").tls);
  EXPECT_EQ(logger.count(kWarning), 0u);
  std::string error;
  const auto other = http::self_signed("localhost", error);
  std::ofstream(config.tls_cert) << other.certificate;
  std::ofstream(config.tls_key) << other.key;
  mode(0604);
  ASSERT_EQ(certificate.look(false).change, Certificate::Change::taken);
  EXPECT_EQ(logger.count(kWarning), 1u);
  EXPECT_EQ(logger.count("mode=0604"), 1u);
}

}  // namespace
}  // namespace tidemill::cli

#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/keys/keys.h"

namespace tidemill {

// A key with these scopes, made as whoever runs the server makes one.
inline Keys::Issued issue(Keys& keys, const std::vector<std::string>& scopes, std::string tenant = "default",
                          std::optional<WallTime> expires = {}) {
  WantedKey wanted;
  wanted.name = "test";
  wanted.tenant = std::move(tenant);
  for (const std::string& scope : scopes) wanted.scopes.push_back(*parse_scope(scope));
  wanted.expires = expires;
  auto issued = keys.create(wanted, {});
  EXPECT_TRUE(issued);
  return std::move(issued).value();
}

// As it is sent.
inline std::string text_of(const Keys::Issued& issued) {
  return std::string(issued.secret.view());
}

// The header that sends it; none for no key.
inline std::string bearer(const std::string& key) {
  return key.empty() ? std::string() : "Authorization: Bearer " + key + "\r\n";
}
inline std::string bearer(const Keys::Issued& issued) {
  return bearer(text_of(issued));
}

}  // namespace tidemill

#pragma once

#include <optional>
#include <string>

namespace tidemill {

// The folder of test data that is not in the repository: TIDEMILL_TEST_DATA, or ../shared/data beside the source tree.
// `name` is a path in it (online-retail). nullopt where it is missing, which is said aloud on standard error once a
// name: the test then uses generated data or GTEST_SKIPs.
std::optional<std::string> test_data(const std::string& name);

}  // namespace tidemill

#pragma once

#include <string>

namespace tidemill {

// Where the source tree is that this program was built from: tests hold pages of docs/ against the code. In a file of
// its own, so that the compiler's cache serves the others wherever the tree is.
const std::string& source_tree();

}  // namespace tidemill

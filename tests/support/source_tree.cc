#include "tests/support/source_tree.h"

namespace tidemill {

const std::string& source_tree() {
  static const std::string tree = TIDEMILL_SOURCE_DIR;
  return tree;
}

}  // namespace tidemill

#pragma once

#include <functional>
#include <string>

#include "storage/base/ids.h"

namespace tidemill {

// One thing that a verification has to say of a file. docs/cli.md lists the kinds.
struct Finding {
  enum class Grade {
    damage,  // bytes that count are not what was written, or two things that must agree do not
    note,    // harmless: what a crash leaves behind, or something derived that is made again when it is needed
  };
  Grade grade = Grade::damage;
  std::string kind;  // a word that never changes
  std::string file;
  ByteOffset offset;  // where in it; of the whole thing that is wrong (a commit, a line), not of the very byte
  Sequence first;     // records that cannot be had because of it; 0: none
  Sequence last;
  std::string text;  // a sentence
};
using FindingSink = std::function<void(const Finding&)>;

}  // namespace tidemill

#pragma once

#include <string_view>

namespace tidemill {

// Finds where the elements of a JSON array end without judging them: it only knows strings, brackets and commas. Over a
// valid array it is exact; over a broken one it goes as far as the brackets tell. 64 bytes at a time (about 4 GB/s).
class ArrayScanner {
 public:
  // `body` begins with the opening bracket.
  explicit ArrayScanner(std::string_view body) : at_(body.data() + 1), end_(body.data() + body.size()) {}

  enum class Step {
    element,  // `element` is the next one, without the white space around it; empty between two commas
    end,      // the closing bracket, and nothing but white space after it
    broken,   // the array ends without its bracket, or something comes after it
  };
  Step next(std::string_view& element);

 private:
  void skip_space();
  const char* scan_container(const char* from) const;  // after its last bracket, or nullptr
  const char* scan_to_comma(const char* from) const;   // at a comma or bracket of the array itself, or nullptr

  const char* at_;
  const char* end_;
  bool first_ = true;
};

}  // namespace tidemill

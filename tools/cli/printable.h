#pragma once

#include <string>
#include <string_view>

namespace tidemill::cli {

// What another program has said, fit for a terminal: control characters (of ASCII, and U+0080 to U+009F), those that
// turn the direction of text (U+061C, U+200E to U+200F, U+2028 to U+202E, U+2066 to U+2069) and what is no UTF-8 become
// blanks. They could move the cursor, set the title or the clipboard, or make text look like another. Pure.
std::string printable(std::string_view text);
// The same, but for line feeds: of messages that are several lines.
std::string printable_lines(std::string_view text);

}  // namespace tidemill::cli

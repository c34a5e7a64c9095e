#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidemill {

// Appends `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD, so the result is always
// valid JSON.
void append_json_string(std::string& out, std::string_view text);

// Appends bytes that are not JSON as they are shown wherever JSON is: {"_base64":"..."}.
void append_bytes_json(std::string& out, std::string_view bytes);

// Writes JSON text piece by piece into a string it is given; puts the commas. For events, manifests and small answers,
// not a document model: the caller pairs begin and end, and gives a name before each value of an object.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& name(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(std::uint64_t number);
  JsonWriter& value(std::int64_t number);
  JsonWriter& value(std::uint32_t number) { return value(std::uint64_t{number}); }
  JsonWriter& value(std::int32_t number) { return value(std::int64_t{number}); }
  JsonWriter& value(double number);  // the shortest spelling that reads back the same; null if it is not finite
  JsonWriter& value(bool b) { return raw(b ? "true" : "false"); }
  JsonWriter& null() { return raw("null"); }
  JsonWriter& raw(std::string_view json);  // a value that is JSON text already

  template <class T>
  JsonWriter& field(std::string_view n, const T& v) {
    return name(n).value(v);
  }

 private:
  JsonWriter& open(char c);
  JsonWriter& close(char c);
  void separate();

  std::string& out_;
  bool comma_ = false;  // a value stands before in this object or array
};

}  // namespace tidemill

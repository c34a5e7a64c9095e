#include "api/json_body.h"

#include <vector>

namespace tidemill {
namespace {

using Json = nlohmann::json;

// Builds the value from the events. Not the library's own callback: after each `{}` within an array it goes through the
// whole array (Json::parse with a callback, 3.11), which takes minutes for a few megabytes.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(JsonBody::Depth depth) : depth_(depth) {}

  Json root;
  std::string fault;

  bool null() override { return scalar(nullptr); }
  bool boolean(bool value) override { return scalar(value); }
  bool number_integer(number_integer_t value) override { return scalar(value); }
  bool number_unsigned(number_unsigned_t value) override { return scalar(value); }
  bool number_float(number_float_t value, const string_t&) override { return scalar(value); }
  bool string(string_t& value) override { return scalar(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // JSON has none

  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (level_ > depth_.kept) return true;
    const auto [member, fresh] = open_.back()->emplace(std::move(name), nullptr);
    if (!fresh) {
      fault = quoted(member.key()) + " comes twice; send it once.";
      return false;
    }
    member_ = &*member;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  // Where it stays: an array's elements move as it grows, but none of them is open then.
  Json* place(Json value) {
    if (open_.empty()) return &(root = std::move(value));
    if (open_.back()->is_object()) return &(*member_ = std::move(value));
    open_.back()->push_back(std::move(value));
    return &open_.back()->back();
  }
  bool scalar(Json value) {
    if (level_ <= depth_.kept) place(std::move(value));
    return true;
  }
  bool open(Json value) {
    if (level_ == depth_.most) {
      fault = "The body is nested deeper than " + std::to_string(depth_.most) + " levels.";
      return false;
    }
    Json* const placed = level_ <= depth_.kept ? place(std::move(value)) : nullptr;
    if (++level_ <= depth_.kept) open_.push_back(placed);
    return true;
  }
  bool close() {
    if (level_-- <= depth_.kept) open_.pop_back();
    return true;
  }

  const JsonBody::Depth depth_;
  std::size_t level_ = 0;    // how many are open, those that are read over too
  std::vector<Json*> open_;  // those that are kept, from the outermost in
  Json* member_ = nullptr;   // of the innermost object, whose name was read last
};

}  // namespace

JsonBody JsonBody::parse(std::string_view text, Depth depth) {
  JsonBody body;
  Builder builder(depth);
  if (Json::sax_parse(text.begin(), text.end(), &builder)) {
    body.json_ = std::move(builder.root);
  } else {
    body.fault_ = std::move(builder.fault);
  }
  return body;
}

std::string quoted(const std::string& name) {
  constexpr std::size_t kShown = 60;
  const std::string text = Json(name.substr(0, kShown)).dump(-1, ' ', false, Json::error_handler_t::replace);
  return "`" + text.substr(1, text.size() - 2) + (name.size() > kShown ? "...`" : "`");
}

}  // namespace tidemill

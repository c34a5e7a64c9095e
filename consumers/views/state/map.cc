#include "consumers/views/state/aggregates.h"

namespace tidemill::views {
namespace {

// map(key, value): a JSON object, for each key the last value by (sequence, ordinal); pairs in which either is NULL are
// passed over. The value is JSON text already (split wraps it). The row keeps how many pairs came (varint); each key is
// a member below it: its text as key; sequence (8 bytes), ordinal (4), both big-endian, and the JSON text as value, so
// that of two values the one with the greater bytes is the later.
//
// All keys are kept, as count(DISTINCT x) keeps all values; an object that is read has the first `limit` of them.
constexpr std::size_t kKeyBytesMax = 16 << 10;  // it becomes a key of the store

class Map final : public TypedAggregate<std::uint64_t> {
 public:
  explicit Map(std::uint64_t limit) : limit_(limit) {}

  const char* refuse(std::span<const Cell> arguments) const override {
    Cell key = arguments[0];
    if (key.is_text() && key.text().size() > kKeyBytesMax) return "a key of more than 16 KiB cannot be kept";
    if (const char* infinite = key.is_text() ? nullptr : refuse_number(key)) return infinite;
    return arguments[1].is_number() ? "a number where JSON text is wanted" : nullptr;
  }
  void add(void* state, std::span<const Cell> arguments, Order order, MemberSink& members) const override {
    if (arguments[0].is_null() || arguments[1].is_null()) return;
    ++of(state);
    std::string key;
    if (arguments[0].is_text()) {
      key = arguments[0].text();
    } else {
      append_json(arguments[0], key);
    }
    std::string value;
    put_order(order, value);
    value += arguments[1].text();
    members.member(key, value);
  }
  void merge(void* into, const void* from) const override { of(into) += of(from); }
  Members members() const override { return Members::latest; }
  void encode(const void* state, std::string& out) const override { put_varint(of(state), out); }
  bool decode(std::string_view& in, void* state) const override { return get_varint(in, of(state)); }
  Result<Value> value(const void* state, std::uint32_t aggregate, const MemberSource& members) const override {
    Json out;
    out.text = "{";
    std::uint64_t n = 0;
    if (of(state) != 0) {
      auto visited = members.visit(aggregate, [&](std::string_view key, std::string_view value) {
        if (n != 0) out.text += ',';
        append_json(Cell::text(key), out.text);
        out.text += ':';
        out.text += value.substr(std::min(value.size(), kOrderBytes));
        return ++n < limit_;
      });
      if (!visited) return visited.error();
    }
    out.text += '}';
    return Value(std::move(out));
  }

 private:
  const std::uint64_t limit_;
};

}  // namespace

std::unique_ptr<const Aggregate> make_map(const AggregateCall& call) {
  return std::make_unique<Map>(call.limit);
}

}  // namespace tidemill::views

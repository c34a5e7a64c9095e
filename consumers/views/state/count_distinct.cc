#include "consumers/views/state/aggregates.h"

namespace tidemill::views {
namespace {

// count(DISTINCT x), exact. The row keeps how many there are (varint); each value is a member below it: its cell as
// key, nothing as value. Text and JSON of the same bytes are the same value, as they are for SQL.
constexpr std::size_t kTextMax = 16 << 10;  // it becomes a key of the store

class CountDistinct final : public TypedAggregate<std::uint64_t> {
 public:
  const char* refuse(std::span<const Cell> arguments) const override {
    bool long_text = arguments[0].is_text() && arguments[0].text().size() > kTextMax;
    return long_text ? "a value of more than 16 KiB cannot be told apart" : nullptr;
  }
  void add(void* state, std::span<const Cell> arguments, Order, MemberSink& members) const override {
    Cell x = arguments[0];
    if (x.is_null()) return;
    if (x.type() == CellType::json) x = Cell::text(x.text());
    std::string key;
    put_cell(x, key);
    if (members.member(key, {})) ++of(state);
  }
  void merge(void* into, const void* from) const override { of(into) += of(from); }
  Members members() const override { return Members::set; }
  void take_back(void* delta, std::uint64_t n) const override { of(delta) -= n; }
  void encode(const void* state, std::string& out) const override { put_varint(of(state), out); }
  bool decode(std::string_view& in, void* state) const override { return get_varint(in, of(state)); }
  Result<Value> value(const void* state, std::uint32_t, const MemberSource&) const override {
    return Value(static_cast<std::int64_t>(of(state)));
  }
};

}  // namespace

std::unique_ptr<const Aggregate> make_count_distinct(const AggregateCall&) {
  return std::make_unique<CountDistinct>();
}

}  // namespace tidemill::views

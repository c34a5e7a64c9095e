#include "consumers/views/state/aggregates.h"

namespace tidemill::views {
namespace {

// count(*): rows; count(x): rows whose x is not NULL. varint.
class Count final : public TypedAggregate<std::uint64_t> {
 public:
  const char* refuse(std::span<const Cell>) const override { return nullptr; }
  void add(void* state, std::span<const Cell> arguments, Order, MemberSink&) const override {
    if (arguments.empty() || !arguments[0].is_null()) ++of(state);
  }
  void merge(void* into, const void* from) const override { of(into) += of(from); }
  void encode(const void* state, std::string& out) const override { put_varint(of(state), out); }
  bool decode(std::string_view& in, void* state) const override { return get_varint(in, of(state)); }
  Result<Value> value(const void* state, std::uint32_t, const MemberSource&) const override {
    return Value(static_cast<std::int64_t>(of(state)));
  }
};

}  // namespace

std::unique_ptr<const Aggregate> make_count(const AggregateCall&) {
  return std::make_unique<Count>();
}

}  // namespace tidemill::views

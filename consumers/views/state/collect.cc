#include "consumers/views/state/aggregates.h"

namespace tidemill::views {
namespace {

// collect(x): a JSON array of the last `limit` values that are not NULL, in order of (sequence, ordinal). The argument
// is JSON text already (split wraps it). The row keeps how many values there were, kept or not (varint); each that is
// kept is a member below it: sequence (8 bytes) and ordinal (4) big-endian as key, the JSON text as value.
//
// Which ones are kept depends on their order alone: the last `limit` of the union are the last `limit` of the lasts.
class Collect final : public TypedAggregate<std::uint64_t> {
 public:
  explicit Collect(std::uint64_t limit) : limit_(limit) {}

  const char* refuse(std::span<const Cell> arguments) const override {
    if (arguments[0].is_number()) return "a number where JSON text is wanted";
    return nullptr;
  }
  void add(void* state, std::span<const Cell> arguments, Order order, MemberSink& members) const override {
    if (arguments[0].is_null()) return;
    ++of(state);
    std::string key;
    put_order(order, key);
    members.member(key, arguments[0].text());
  }
  void merge(void* into, const void* from) const override { of(into) += of(from); }
  Members members() const override { return Members::appended; }
  std::uint64_t kept_max() const override { return limit_; }
  std::uint64_t room(const void* state) const override { return of(state) < limit_ ? limit_ - of(state) : 0; }
  void encode(const void* state, std::string& out) const override { put_varint(of(state), out); }
  bool decode(std::string_view& in, void* state) const override { return get_varint(in, of(state)); }
  Result<Value> value(const void* state, std::uint32_t aggregate, const MemberSource& members) const override {
    Json out;
    out.text = "[";
    if (of(state) != 0) {
      auto visited = members.visit(aggregate, [&](std::string_view, std::string_view value) {
        if (out.text.size() > 1) out.text += ',';
        out.text += value;
        return true;
      });
      if (!visited) return visited.error();
    }
    out.text += ']';
    return Value(std::move(out));
  }

 private:
  std::uint64_t limit_;
};

}  // namespace

std::unique_ptr<const Aggregate> make_collect(const AggregateCall& call) {
  return std::make_unique<Collect>(call.limit);
}

}  // namespace tidemill::views

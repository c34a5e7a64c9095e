#include "consumers/views/state/aggregates.h"
#include "consumers/views/state/distinct_sketch.h"
#include "storage/base/hash.h"

namespace tidemill::views {
namespace {

// approx_count_distinct(x): all in the row, whatever the number of values. Text and JSON of the same bytes are the same
// value, as for count(DISTINCT x). The hash is part of the format: XXH3 of the cell.
class ApproxCountDistinct final : public TypedAggregate<DistinctSketch> {
 public:
  const char* refuse(std::span<const Cell>) const override { return nullptr; }
  std::size_t heap(const void* state) const override { return of(state).heap(); }
  void add(void* state, std::span<const Cell> arguments, Order, MemberSink&) const override {
    Cell x = arguments[0];
    if (x.is_null()) return;
    if (x.type() == CellType::json) x = Cell::text(x.text());
    std::string bytes;
    put_cell(x, bytes);
    of(state).add(xxh3(bytes));
  }
  void merge(void* into, const void* from) const override { of(into).merge(of(from)); }
  void encode(const void* state, std::string& out) const override { of(state).encode(out); }
  bool decode(std::string_view& in, void* state) const override { return of(state).decode(in); }
  Result<Value> value(const void* state, std::uint32_t, const MemberSource&) const override {
    return Value(static_cast<std::int64_t>(of(state).estimate()));
  }
};

}  // namespace

std::unique_ptr<const Aggregate> make_approx_count_distinct(const AggregateCall&) {
  return std::make_unique<ApproxCountDistinct>();
}

}  // namespace tidemill::views

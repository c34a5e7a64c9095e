#pragma once

#include "consumers/views/state/aggregates.h"

namespace tidemill::views {

// What arg_min and arg_max keep: the extreme `by`, where it came from, and x there. Rows where either is NULL are
// passed over; of equals the earliest counts. Cell of `by` (NULL while there is none), varint sequence, varint ordinal,
// cell of x.
struct ArgumentCell {
  OwnedCell by;  // NULL: none yet
  Order order;
  OwnedCell x;
};

// `kSign`: -1 looks for the least, 1 for the greatest.
template <int kSign>
class ArgExtreme final : public TypedAggregate<ArgumentCell> {
  using Base = TypedAggregate<ArgumentCell>;

 public:
  const char* refuse(std::span<const Cell>) const override { return nullptr; }
  std::size_t heap(const void* state) const override { return Base::of(state).by.heap() + Base::of(state).x.heap(); }
  void add(void* state, std::span<const Cell> arguments, Order order, MemberSink&) const override {
    if (!arguments[0].is_null() && !arguments[1].is_null()) consider(state, arguments[1], order, arguments[0]);
  }
  void merge(void* into, const void* from) const override {
    const ArgumentCell& other = Base::of(from);
    if (!other.by.get().is_null()) consider(into, other.by.get(), other.order, other.x.get());
  }
  void encode(const void* state, std::string& out) const override {
    const ArgumentCell& s = Base::of(state);
    put_cell(s.by.get(), out);
    if (s.by.get().is_null()) return;
    put_varint(s.order.sequence, out);
    put_varint(s.order.ordinal, out);
    put_cell(s.x.get(), out);
  }
  bool decode(std::string_view& in, void* state) const override {
    ArgumentCell& s = Base::of(state);
    std::uint64_t ordinal = 0;
    Cell by, x;
    if (!get_cell(in, by) || by.type() == CellType::json) return false;
    s.by.set(by);
    if (by.is_null()) return true;
    if (!get_varint(in, s.order.sequence) || !get_varint(in, ordinal) || ordinal > ~0u) return false;
    if (!get_cell(in, x) || x.is_null() || x.type() == CellType::json) return false;
    s.order.ordinal = static_cast<std::uint32_t>(ordinal);
    s.x.set(x);
    return true;
  }
  Result<Value> value(const void* state, std::uint32_t, const MemberSource&) const override {
    return to_value(Base::of(state).x.get());
  }

 private:
  static Cell as_text(Cell x) { return x.type() == CellType::json ? Cell::text(x.text()) : x; }
  static void consider(void* state, Cell by, Order order, Cell x) {
    ArgumentCell& s = Base::of(state);
    by = as_text(by);
    if (Cell held = s.by.get(); !held.is_null()) {
      int difference = compare(by, held) * kSign;
      if (difference < 0 || (difference == 0 && order > s.order)) return;
    }
    s.by.set(by);
    s.order = order;
    s.x.set(as_text(x));
  }
};

}  // namespace tidemill::views

#pragma once

#include "consumers/views/state/aggregates.h"

namespace tidemill::views {

// What first and last keep: a cell and where it came from. NULLs are passed over. varint sequence, varint ordinal,
// cell; a lone zero while there is none.
struct OrderedCell {
  Order order;  // sequence 0: none yet
  OwnedCell cell;
};

// `kSign`: -1 keeps the earliest, 1 the latest.
template <int kSign>
class Ordered final : public TypedAggregate<OrderedCell> {
  using Base = TypedAggregate<OrderedCell>;

 public:
  const char* refuse(std::span<const Cell>) const override { return nullptr; }
  std::size_t heap(const void* state) const override { return Base::of(state).cell.heap(); }
  void add(void* state, std::span<const Cell> arguments, Order order, MemberSink&) const override {
    if (!arguments[0].is_null()) consider(state, arguments[0], order);
  }
  void merge(void* into, const void* from) const override {
    const OrderedCell& other = Base::of(from);
    if (other.order.sequence != 0) consider(into, other.cell.get(), other.order);
  }
  void encode(const void* state, std::string& out) const override {
    const OrderedCell& s = Base::of(state);
    put_varint(s.order.sequence, out);
    if (s.order.sequence == 0) return;
    put_varint(s.order.ordinal, out);
    put_cell(s.cell.get(), out);
  }
  bool decode(std::string_view& in, void* state) const override {
    OrderedCell& s = Base::of(state);
    std::uint64_t ordinal = 0;
    Cell cell;
    if (!get_varint(in, s.order.sequence)) return false;
    if (s.order.sequence == 0) return true;
    if (!get_varint(in, ordinal) || ordinal > ~0u || !get_cell(in, cell) || cell.is_null()) return false;
    if (cell.type() == CellType::json) return false;
    s.order.ordinal = static_cast<std::uint32_t>(ordinal);
    s.cell.set(cell);
    return true;
  }
  Result<Value> value(const void* state, std::uint32_t, const MemberSource&) const override {
    return to_value(Base::of(state).cell.get());
  }

 private:
  static void consider(void* state, Cell x, Order order) {
    OrderedCell& s = Base::of(state);
    if (s.order.sequence != 0 && (kSign > 0 ? order < s.order : s.order < order)) return;
    s.order = order;
    s.cell.set(x.type() == CellType::json ? Cell::text(x.text()) : x);
  }
};

}  // namespace tidemill::views

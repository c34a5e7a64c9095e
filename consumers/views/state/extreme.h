#pragma once

#include "consumers/views/state/aggregates.h"

namespace tidemill::views {

// What min and max keep: one cell, NULL until there is a value. SQL's order over all types: numbers before text.
// `kSign`: -1 keeps the least, 1 the greatest.
template <int kSign>
class Extreme final : public TypedAggregate<OwnedCell> {
  using Base = TypedAggregate<OwnedCell>;

 public:
  const char* refuse(std::span<const Cell>) const override { return nullptr; }
  std::size_t heap(const void* state) const override { return Base::of(state).heap(); }
  void add(void* state, std::span<const Cell> arguments, Order, MemberSink&) const override {
    consider(state, arguments[0]);
  }
  void merge(void* into, const void* from) const override { consider(into, Base::of(from).get()); }
  void encode(const void* state, std::string& out) const override { put_cell(Base::of(state).get(), out); }
  bool decode(std::string_view& in, void* state) const override {
    Cell cell;
    if (!get_cell(in, cell) || cell.type() == CellType::json) return false;
    Base::of(state).set(cell);
    return true;
  }
  Result<Value> value(const void* state, std::uint32_t, const MemberSource&) const override {
    return to_value(Base::of(state).get());
  }

 private:
  static void consider(void* state, Cell x) {
    if (x.is_null()) return;
    if (x.type() == CellType::json) x = Cell::text(x.text());  // one value, one encoding
    Cell held = Base::of(state).get();
    if (held.is_null() || compare(x, held) * kSign > 0) Base::of(state).set(x);
  }
};

}  // namespace tidemill::views

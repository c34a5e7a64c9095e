#include "consumers/views/parts.h"

#include <algorithm>

#include "consumers/views/words.h"

namespace tidemill::views {
namespace {

using Kind = Part::Kind;

// A place where a whole expression begins (ends): the tokens of a+b there are a+b, which they are not in 2*a+b.
bool begins_expression(const Parts& p, std::size_t i) {
  if (i == 0) return true;
  const Part& before = p[i - 1];
  if (before.kind == Kind::symbol) return before.text == "(" || before.text == ",";
  return before.kind == Kind::keyword && (before.text == "WHEN" || before.text == "THEN" || before.text == "ELSE");
}
bool ends_expression(const Parts& p, std::size_t i) {
  if (i == p.size()) return true;
  const Part& after = p[i];
  if (after.kind == Kind::symbol) return after.text == ")" || after.text == ",";
  return after.kind == Kind::keyword &&
         (after.text == "WHEN" || after.text == "THEN" || after.text == "ELSE" || after.text == "END");
}

}  // namespace

bool encloses(std::span<const Part> p, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < p.size(); ++i) {
    if (p[i].is("(")) ++depth;
    if (p[i].is(")") && --depth == 0) return i == p.size() - 1;
  }
  return false;
}

Parts without_outer_parentheses(Parts p) {
  while (p.size() > 2 && p[0].is("(") && encloses(p, 0)) p = Parts(p.begin() + 1, p.end() - 1);
  return p;
}

bool is_primary(const Parts& p) {
  return p.size() == 1 || (p[0].kind == Kind::function && encloses(p, 1));
}

Parts exchange(const Parts& parts, const Parts& term, std::uint32_t stored) {
  Parts out;
  for (std::size_t i = 0; i < parts.size();) {
    std::size_t end = i + term.size();
    bool here = end <= parts.size() &&
                std::equal(term.begin(), term.end(), parts.begin() + static_cast<std::ptrdiff_t>(i)) &&
                (is_primary(term) || (begins_expression(parts, i) && ends_expression(parts, end)));
    if (here) {
      out.push_back({Kind::stored, "", parts[i].offset, stored});
      i = end;
    } else {
      out.push_back(parts[i++]);
    }
  }
  return out;
}

std::string infer_type(std::span<const Part> parts, const std::function<std::string(const Part&)>& column_type) {
  // Outer parentheses say nothing.
  while (parts.size() > 2 && parts[0].is("(") && encloses(parts, 0)) parts = parts.subspan(1, parts.size() - 2);
  if (parts.empty()) return "any";
  if (parts.size() == 1) {
    const Part& p = parts[0];
    if (p.kind == Kind::column || p.kind == Kind::lookup) return column_type(p);
    if (p.kind == Kind::element) return p.text == "type" ? "text" : "any";
    if (p.kind == Kind::literal) {
      if (p.text[0] == '\'') return "text";
      if (p.text == "NULL") return "any";
      return p.text.find_first_of(".eE") == std::string::npos || p.text[0] == 'T' || p.text[0] == 'F' ? "integer"
                                                                                                      : "real";
    }
    return "any";
  }
  if (parts[0].kind == Kind::function && encloses(parts, 1)) return std::string(function_type(parts[0].text));
  // Operators outside of parentheses: a comparison or logic gives 0 or 1, `||` text, arithmetic a number.
  bool arithmetic = false, integers = true;
  int depth = 0;
  for (const Part& p : parts) {
    if (p.is("(")) ++depth;
    if (p.is(")")) --depth;
    if ((p.kind == Kind::column || p.kind == Kind::lookup) && column_type(p) != "integer") integers = false;
    if (p.kind == Kind::literal && p.text.find_first_not_of("0123456789") != std::string::npos) integers = false;
    if (p.kind == Kind::function || p.kind == Kind::aggregate || p.kind == Kind::stored || p.kind == Kind::element)
      integers = false;
    if (depth > 0) continue;
    if (p.kind == Kind::keyword) {
      static constexpr std::string_view kLogic[] = {"AND",  "OR",   "NOT",     "IS",     "IN",
                                                    "LIKE", "GLOB", "BETWEEN", "ISNULL", "NOTNULL"};
      if (std::find(std::begin(kLogic), std::end(kLogic), p.text) != std::end(kLogic)) return "integer";
      return "any";
    }
    if (p.kind != Kind::symbol) continue;
    static constexpr std::string_view kComparisons[] = {"=", "==", "<", "<=", ">", ">=", "<>", "!="};
    if (std::find(std::begin(kComparisons), std::end(kComparisons), p.text) != std::end(kComparisons)) return "integer";
    if (p.is("||")) return "text";
    if (p.is("->") || p.is("->>")) return "any";
    if (p.is("+") || p.is("-") || p.is("*") || p.is("/") || p.is("%")) arithmetic = true;
  }
  if (arithmetic) return integers ? "integer" : "real";
  return "any";
}

void Rendered::add(const Part& part, std::string_view text) {
  origins_.emplace_back(sql_.size(), part.offset);
  sql_ += text;
  sql_ += ' ';
}

std::size_t Rendered::origin(int offset) const {
  std::size_t out = 0;
  for (auto [here, there] : origins_) {
    if (static_cast<int>(here) <= offset) out = there;
  }
  return out;
}

}  // namespace tidemill::views

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidemill::cli {

// Invents the sales of a shop, as CSV with the columns of the UCI Online Retail data: invoices of several lines,
// cancellations of what was really sold, sales without a customer, customers that move to another country, quotes and
// commas in descriptions, letters beyond ASCII, blanks at the end, identical rows. UTF-8, CR LF.
//
// The same rows for the same seed on every machine and for ever (a test holds the bytes): whole numbers only, no
// library's distributions. Fewer rows are the beginning of more rows.
class SampleGenerator {
 public:
  explicit SampleGenerator(std::uint64_t seed);

  static std::string_view header();
  void append_row(std::string& out);

 private:
  struct Product {
    std::string code;
    std::string description;  // as a CSV field
    std::uint32_t pence;
  };
  struct Line {
    std::uint32_t product;
    std::int32_t quantity;
    std::uint32_t pence;
  };
  struct Sale {
    std::uint32_t invoice;
    std::uint32_t customer;  // 0: none
    std::uint32_t country;
    Line line;
  };

  std::uint64_t random();
  std::uint32_t below(std::uint32_t n);  // 0 .. n-1
  bool one_in(std::uint32_t n) { return below(n) == 0; }
  std::uint32_t skewed(std::uint32_t n);  // small numbers far more often
  void make_products();
  void next_invoice();
  void advance_clock();

  std::uint64_t state_;
  std::vector<Product> products_;
  std::vector<Sale> sold_;  // some of what may come back
  std::uint32_t next_number_ = 536'365;
  std::uint64_t minute_;  // since 1970

  bool cancelled_ = false;
  Sale sale_{};
  std::uint32_t lines_left_ = 0;
  bool repeat_ = false;  // the next row is this one again
};

}  // namespace tidemill::cli

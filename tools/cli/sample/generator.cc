#include "tools/cli/sample/generator.h"

#include <array>
#include <chrono>
#include <string_view>

namespace tidemill::cli {
namespace {

constexpr std::uint32_t kProducts = 1'500;
constexpr std::uint32_t kCustomers = 2'000;
constexpr std::uint32_t kFirstCustomer = 12'346;

constexpr std::array<std::string_view, 24> kAdjectives{
    "WHITE",   "RED RETROSPOT", "VINTAGE", "JUMBO", "PINK POLKADOT", "BLUE",      "FRENCH", "SET OF 6",
    "HANGING", "GLASS",         "WOODEN",  "ZINC",  "REGENCY",       "ASSORTED",  "SMALL",  "LARGE",
    "CREAM",   "CRÈME BRÛLÉE",  "PAPER",   "METAL", "ANTIQUE",       "CHRISTMAS", "GARDEN", "KNITTED"};
constexpr std::array<std::string_view, 32> kNouns{"HEART T-LIGHT HOLDER",
                                                  "LANTERN",
                                                  "STORAGE BAG",
                                                  "UNION FLAG BUNTING",
                                                  "MUG",
                                                  "LUNCH BOX",
                                                  "CAKE STAND",
                                                  "TEA TOWEL",
                                                  "HOT WATER BOTTLE",
                                                  "DOORMAT",
                                                  "ALARM CLOCK",
                                                  "PHOTO FRAME",
                                                  "NAPKINS",
                                                  "CANDLE",
                                                  "CUSHION COVER",
                                                  "WICKER BASKET",
                                                  "BIRD ORNAMENT",
                                                  "PENCIL CASE",
                                                  "SPACEBOY PLATE",
                                                  "COFFEE TIN",
                                                  "PARTY BUNTING",
                                                  "CAFÉ SIGN",
                                                  "RABBIT NIGHT LIGHT",
                                                  "TRINKET BOX",
                                                  "GIFT WRAP",
                                                  "JAM MAKING SET",
                                                  "DRAWER KNOB",
                                                  "UMBRELLA",
                                                  "SWEETHEART CHAIR",
                                                  "FELT COASTER",
                                                  "CHALK BOARD",
                                                  "RECIPE BOX"};
// As CSV fields: with a doubled quote, a comma, a pound sign, other alphabets' letters.
constexpr std::array<std::string_view, 8> kOdd{
    "\"12\"\" RULER \"\"SCHOOL DAYS\"\"\"", "\"HEART OF WICKER, SMALL\"", "£5 GIFT VOUCHER",
    "\"SIGN, \"\"NO ENTRY\"\"\"",           "NAÏVE ART PRINT 30×40",      "„ÄPFEL & BIRNEN“ TIN",
    "MATRYOSHKA “МАТРЁШКА” DOLL",           "\"BOX, SET OF 3, NESTED\""};
struct Country {
  std::string_view name;
  std::uint32_t weight;
};
constexpr std::array<Country, 12> kCountries{{{"United Kingdom", 880},
                                              {"Germany", 20},
                                              {"France", 18},
                                              {"EIRE", 16},
                                              {"Spain", 6},
                                              {"Netherlands", 5},
                                              {"Belgium", 4},
                                              {"Switzerland", 4},
                                              {"Portugal", 3},
                                              {"Australia", 2},
                                              {"Côte d'Ivoire", 1},
                                              {"Unspecified", 1}}};

std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

void append_number(std::string& out, std::int64_t n) {
  out += std::to_string(n);
}

}  // namespace

SampleGenerator::SampleGenerator(std::uint64_t seed) : state_(mix(seed + 0x9E3779B97F4A7C15ull)) {
  using namespace std::chrono;
  minute_ = static_cast<std::uint64_t>(
      duration_cast<minutes>(sys_days(year(2010) / 12 / 1).time_since_epoch()).count() + 8 * 60 + 26);
  make_products();
}

std::string_view SampleGenerator::header() {
  return "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\r\n";
}

std::uint64_t SampleGenerator::random() {  // splitmix64
  state_ += 0x9E3779B97F4A7C15ull;
  return mix(state_);
}

std::uint32_t SampleGenerator::below(std::uint32_t n) {
  return static_cast<std::uint32_t>((random() >> 32) * n >> 32);
}

std::uint32_t SampleGenerator::skewed(std::uint32_t n) {
  const std::uint64_t a = below(n);
  return static_cast<std::uint32_t>(a * (below(n) + 1) / n);
}

void SampleGenerator::make_products() {
  for (std::uint32_t i = 0; i < kProducts; ++i) {
    Product p;
    p.code = std::to_string(10'002 + i * 53);
    // Some codes differ only in case, as in the real data.
    if (i % 7 == 3) p.code += static_cast<char>('A' + i % 5);
    if (i % 211 == 5) p.code += "b";
    if (i % 60 == 13) {
      p.description = kOdd[i / 60 % kOdd.size()];
    } else {
      p.description = kAdjectives[below(kAdjectives.size())];
      p.description += ' ';
      p.description += kNouns[below(kNouns.size())];
      if (one_in(5)) p.description += ' ';
    }
    if (one_in(200)) p.description.clear();
    p.pence = 19 + skewed(1'500);
    if (i == 17) p.pence = 0;
    products_.push_back(std::move(p));
  }
}

// Open from eight to eight, but on Saturdays; the next invoice is a few minutes later.
void SampleGenerator::advance_clock() {
  minute_ += below(7);
  while (true) {
    const std::uint64_t of_day = minute_ % 1'440;
    const std::uint64_t weekday = (minute_ / 1'440 + 4) % 7;  // 1970-01-01 was a Thursday
    if (of_day >= 8 * 60 && of_day < 20 * 60 && weekday != 6) return;
    minute_ = (minute_ / 1'440 + (of_day >= 20 * 60 || weekday == 6 ? 1 : 0)) * 1'440 + 8 * 60 + below(30);
  }
}

void SampleGenerator::next_invoice() {
  advance_clock();
  cancelled_ = !sold_.empty() && one_in(8);
  if (cancelled_) {
    sale_ = sold_[below(static_cast<std::uint32_t>(sold_.size()))];
    sale_.line.quantity = -(1 + static_cast<std::int32_t>(below(static_cast<std::uint32_t>(sale_.line.quantity))));
    lines_left_ = 1 + below(3);
  } else {
    const std::uint32_t who = skewed(kCustomers);
    sale_.customer = one_in(7) ? 0 : kFirstCustomer + who * 3;
    // A customer's country follows from the number; one in 500 sales goes elsewhere.
    std::uint32_t point = static_cast<std::uint32_t>(mix(one_in(500) ? random() : who) % 960);
    sale_.country = 0;
    while (point >= kCountries[sale_.country].weight) point -= kCountries[sale_.country++].weight;
    lines_left_ = 1 + skewed(60);
    if (one_in(300)) lines_left_ += 200 + below(400);
  }
  sale_.invoice = next_number_;
  next_number_ += 1 + below(3);
}

void SampleGenerator::append_row(std::string& out) {
  if (repeat_) {
    repeat_ = false;
  } else {
    if (lines_left_ == 0) next_invoice();
    --lines_left_;
    if (!cancelled_) {
      Line& line = sale_.line;
      line.product = skewed(kProducts);
      line.quantity = 1 + static_cast<std::int32_t>(skewed(24));
      if (one_in(20)) line.quantity *= 12;
      line.pence = products_[line.product].pence;
      if (sale_.customer == 0) line.pence = line.pence * 2;  // across the counter
      if (one_in(10)) {
        if (sold_.size() < 1'000) {
          sold_.push_back(sale_);
        } else {
          sold_[below(1'000)] = sale_;
        }
      }
    } else if (sale_.line.quantity < -1 && lines_left_ > 0) {
      sale_.line.quantity += 1;
    }
    repeat_ = one_in(100);
  }
  const Product& product = products_[sale_.line.product];
  if (cancelled_) out += 'C';
  append_number(out, sale_.invoice);
  out += ',';
  out += product.code;
  out += ',';
  out += product.description;
  out += ',';
  append_number(out, sale_.line.quantity);
  out += ',';
  using namespace std::chrono;
  const sys_time<minutes> time{minutes(minute_)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  append_number(out, static_cast<unsigned>(date.month()));
  out += '/';
  append_number(out, static_cast<unsigned>(date.day()));
  out += '/';
  append_number(out, static_cast<int>(date.year()));
  out += ' ';
  append_number(out, (time - day).count() / 60);
  out += ':';
  const auto minute = (time - day).count() % 60;
  if (minute < 10) out += '0';
  append_number(out, minute);
  out += ',';
  append_number(out, sale_.line.pence / 100);
  if (const std::uint32_t rest = sale_.line.pence % 100; rest != 0) {
    out += '.';
    out += static_cast<char>('0' + rest / 10);
    if (rest % 10 != 0) out += static_cast<char>('0' + rest % 10);
  }
  out += ',';
  if (sale_.customer != 0) append_number(out, sale_.customer);
  out += ',';
  out += kCountries[sale_.country].name;
  out += "\r\n";
}

}  // namespace tidemill::cli

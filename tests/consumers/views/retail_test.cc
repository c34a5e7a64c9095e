// The shipped views over the Online Retail data, every customer and invoice against the expected results; and over a
// generated set of the same shape, whose expected results are worked out here the plain way.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <random>
#include <set>

#include "engine/csv/objects.h"
#include "tests/consumers/views/memory_view.h"
#include "tests/support/test_data.h"

namespace tidemill::views {
namespace {

std::string read_xz(const std::string& path) {
  std::string out;
  FILE* pipe = popen(("xz -dc '" + path + "'").c_str(), "r");
  if (pipe == nullptr) return out;
  char buffer[1 << 16];
  while (std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
  pclose(pipe);
  return out;
}

using Line = std::map<std::string, std::string>;
std::vector<Line> read_tsv(const std::string& text) {
  auto cut = [](std::string_view s, char at) {
    std::vector<std::string> out(1);
    for (char c : s) {
      if (c == at) {
        out.emplace_back();
      } else {
        out.back() += c;
      }
    }
    return out;
  };
  std::vector<Line> out;
  auto lines = cut(text, '\n');
  auto names = cut(lines[0], '\t');
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    auto fields = cut(lines[i], '\t');
    Line line;
    for (std::size_t k = 0; k < names.size(); ++k) line[names[k]] = k < fields.size() ? fields[k] : "";
    out.push_back(std::move(line));
  }
  return out;
}

// "2011-01-18 10:01:00" as the views write it.
std::string iso(std::string time) {
  time[10] = 'T';
  return time;
}
// 4310000 thousandths as a double with 15 digits.
std::string pounds(const std::string& milli) {
  char digits[40];
  std::snprintf(digits, sizeof digits, "%.15g", std::stod(milli) / 1000);
  return digits;
}

const SplitOptions kRetail{{{"Quantity", FieldType::integer}, {"UnitPrice", FieldType::number}}};

Records records_from(std::string_view csv, csv::Encoding encoding) {
  Records out;
  csv::ObjectReader reader({}, encoding, {{"Quantity", FieldType::integer}, {"UnitPrice", FieldType::number}});
  for (std::string json; reader.next(csv, true, json) == csv::ObjectReader::Outcome::object; json.clear())
    out.add(json);
  return out;
}

struct Views {
  MemoryView customers{*builtin_sql("customers"), kRetail};
  MemoryView invoices{*builtin_sql("invoices"), kRetail};
  void apply(const Records& records, std::size_t batch) {
    for (std::size_t i = 0; i < records.size(); i += batch) {
      auto cut = records.cut(i, std::min(batch, records.size() - i));
      customers.apply(cut);
      invoices.apply(cut);
    }
  }
};

std::string part(const Row& row, std::size_t first, std::size_t n) {
  return text(
      Row(row.begin() + static_cast<std::ptrdiff_t>(first), row.begin() + static_cast<std::ptrdiff_t>(first + n)));
}

TEST(Builtin, ColumnsAreThoseOfTheIssue) {
  auto names = [](const char* view) {
    std::string out;
    for (const Column& c : must_split(*builtin_sql(view), kRetail).output())
      out += c.name + ":" + c.type + (c.key ? "* " : " ");
    return out;
  };
  EXPECT_EQ(names("customers"),
            "customer_id:text* country:any invoices:integer cancelled_invoices:integer lines:integer units:integer "
            "revenue:real first_purchase:text last_purchase:text ");
  EXPECT_EQ(names("invoices"),
            "invoice_no:text* customer_id:text country:any invoice_date:text lines:integer units:integer total:real "
            "cancelled:integer items:json ");
  for (auto name : builtin_names()) {
    Definition d = must_split(*builtin_sql(name), kRetail);
    EXPECT_EQ(d.name, name);
    EXPECT_EQ(d.stream, "retail");
    EXPECT_TRUE(d.warnings.empty()) << d.warnings[0];
    EXPECT_TRUE(d.deterministic);
  }
  EXPECT_FALSE(builtin_sql("nothing").has_value());
}

TEST(Builtin, RealDataGivesTheExpectedRows) {
  auto folder = test_data("online-retail");
  if (!folder) GTEST_SKIP() << "no test data";
  Records records = records_from(read_xz(*folder + "/OnlineRetail.csv.xz"), csv::Encoding::windows_1252);
  ASSERT_EQ(records.size(), 541'909u);
  Views views;
  views.apply(records, 5'000);
  EXPECT_TRUE(views.customers.parked.empty());
  EXPECT_TRUE(views.invoices.parked.empty());

  auto customers = read_tsv(read_xz(*folder + "/oracle/customers.tsv.xz"));
  ASSERT_EQ(customers.size(), 4'372u);
  EXPECT_EQ(views.customers.size(), customers.size());
  for (const Line& want : customers) {
    Row row = views.customers.row({want.at("customer_id")});
    ASSERT_EQ(row.size(), 9u) << want.at("customer_id");
    EXPECT_EQ(part(row, 2, 7), want.at("invoices") + "|" + want.at("cancelled_invoices") + "|" + want.at("rows") + "|" +
                                   want.at("quantity") + "|" + pounds(want.at("amount_milli_gbp")) + "|" +
                                   iso(want.at("first")) + "|" + iso(want.at("last")))
        << want.at("customer_id");
    // The oracle lists all countries; the view has the last by sequence.
    EXPECT_NE(want.at("countries").find(text({row[1]})), std::string::npos) << text(row);
    EXPECT_EQ(views.customers.header({want.at("customer_id")}).count, std::stoull(want.at("rows")));
  }

  auto invoices = read_tsv(read_xz(*folder + "/oracle/invoices.tsv.xz"));
  ASSERT_EQ(invoices.size(), 25'900u);
  EXPECT_EQ(views.invoices.size(), invoices.size());
  for (const Line& want : invoices) {
    const std::string& no = want.at("invoice_no");
    Row row = views.invoices.row({no});
    ASSERT_EQ(row.size(), 9u) << no;
    std::string customer = want.at("customer_id").empty() ? "NULL" : want.at("customer_id");
    EXPECT_EQ(part(row, 0, 8), no + "|" + customer + "|" + want.at("country") + "|" + iso(want.at("first")) + "|" +
                                   want.at("rows") + "|" + want.at("quantity") + "|" +
                                   pounds(want.at("amount_milli_gbp")) + "|" + (no[0] == 'C' ? "1" : "0"));
    const std::string& items = std::get<Json>(row[8]).text;
    std::size_t n = 0;
    for (std::size_t at = 0; (at = items.find("{\"StockCode\":", at)) != std::string::npos; ++at) ++n;
    EXPECT_EQ(std::to_string(n), want.at("rows")) << no;
  }
  EXPECT_EQ(text({views.invoices.row({Value("536366")})[8]}),
            R"([{"StockCode":"22633","Description":"HAND WARMER UNION JACK","Quantity":6,"UnitPrice":1.85},)"
            R"({"StockCode":"22632","Description":"HAND WARMER RED POLKA DOT","Quantity":6,"UnitPrice":1.85}])");
}

// Rows of the same shape: invoices of one to five lines, some cancelled, some without a customer, some with two times.
struct Generated {
  Records records;
  std::map<std::string, std::string> customers, invoices;  // key -> the row as text
};
Generated generate(std::uint32_t seed, int invoice_count) {
  struct Sum {
    std::string country, first, last, items, customer;
    std::set<std::string> invoices, cancelled;
    long lines = 0, units = 0, milli = 0;
  };
  std::mt19937 random(seed);
  auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  auto shown = [](long milli) { return pounds(std::to_string(milli)); };
  Generated out;
  std::map<std::string, Sum> customers, invoices;
  for (int i = 0; i < invoice_count; ++i) {
    bool cancelled = pick(7) == 0;
    std::string no = (cancelled ? "C" : "") + std::to_string(536'000 + i);
    std::string customer = pick(4) == 0 ? "" : std::to_string(12'000 + pick(50));
    int day = 1 + pick(28), minute = pick(59);
    for (int line = 1 + pick(5); line > 0; --line) {
      long quantity = (1 + pick(30)) * (cancelled ? -1 : 1), price = pick(9000) * 10 + 5;
      if (pick(20) == 0) ++minute;
      std::string country = pick(2) == 0 ? "France" : "EIRE", code = std::to_string(20'000 + pick(99));
      char time[40], iso_time[40], price_text[40];
      std::snprintf(time, sizeof time, "3/%d/2011 8:%02d", day, minute % 60);
      std::snprintf(iso_time, sizeof iso_time, "2011-03-%02dT08:%02d:00", day, minute % 60);
      std::snprintf(price_text, sizeof price_text, "%ld.%03ld", price / 1000, price % 1000);
      std::string json = "{\"InvoiceNo\":\"" + no + "\",\"StockCode\":\"" + code +
                         "\",\"Description\":\" A \\\"B\\\" \",\"Quantity\":" + std::to_string(quantity) +
                         ",\"InvoiceDate\":\"" + time + "\",\"UnitPrice\":" + price_text +
                         ",\"CustomerID\":" + (customer.empty() ? "null" : "\"" + customer + "\"") + ",\"Country\":\"" +
                         country + "\"}";
      out.records.add(json);
      auto add = [&](Sum& s) {
        s.country = country;
        if (!customer.empty()) s.customer = customer;
        s.first = s.first.empty() ? iso_time : std::min<std::string>(s.first, iso_time);
        s.last = std::max<std::string>(s.last, iso_time);
        s.invoices.insert(no);
        if (cancelled) s.cancelled.insert(no);
        ++s.lines;
        s.units += quantity;
        s.milli += quantity * price;
        s.items += (s.items.empty() ? "" : ",") + std::string("{\"StockCode\":\"") + code +
                   "\",\"Description\":\" A \\\"B\\\" \",\"Quantity\":" + std::to_string(quantity) +
                   ",\"UnitPrice\":" + (price % 1000 == 0 ? std::to_string(price / 1000) : shown(price)) + "}";
      };
      if (!customer.empty()) add(customers[customer]);
      add(invoices[no]);
    }
  }
  for (const auto& [id, s] : customers) {
    out.customers[id] = id + "|" + s.country + "|" + std::to_string(s.invoices.size()) + "|" +
                        std::to_string(s.cancelled.size()) + "|" + std::to_string(s.lines) + "|" +
                        std::to_string(s.units) + "|" + shown(s.milli) + "|" + s.first + "|" + s.last;
  }
  for (const auto& [no, s] : invoices) {
    out.invoices[no] = no + "|" + (s.customer.empty() ? "NULL" : s.customer) + "|" + s.country + "|" + s.first + "|" +
                       std::to_string(s.lines) + "|" + std::to_string(s.units) + "|" + shown(s.milli) + "|" +
                       (no[0] == 'C' ? "1" : "0") + "|[" + s.items + "]";
  }
  return out;
}

TEST(Builtin, GeneratedDataGivesTheExpectedRows) {
  Generated g = generate(7, 800);
  Views views;
  views.apply(g.records, 100);
  auto values = [](const std::map<std::string, std::string>& m) {
    std::vector<std::string> out;
    for (const auto& [k, v] : m) out.push_back(v);
    return out;
  };
  EXPECT_EQ(texts(views.customers.rows()), values(g.customers));
  EXPECT_EQ(texts(views.invoices.rows()), values(g.invoices));
}

TEST(Builtin, BatchCutsAndMergesGiveTheSameBytes) {
  Generated g = generate(11, 300);
  Views whole;
  whole.apply(g.records, g.records.size());
  for (std::uint32_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    // Cuts of any size, folded by several views; those merged in any order.
    std::vector<std::unique_ptr<Views>> parts;
    for (std::size_t at = 0; at < g.records.size();) {
      std::size_t n = std::min<std::size_t>(1 + random() % (seed % 2 ? 7 : 150), g.records.size() - at);
      if (parts.empty() || random() % 4 == 0) parts.push_back(std::make_unique<Views>());
      parts.back()->customers.apply(g.records.cut(at, n));
      parts.back()->invoices.apply(g.records.cut(at, n));
      at += n;
      if (parts.size() > 6) {
        std::size_t i = random() % (parts.size() - 1);
        parts[i + 1]->customers.merge(parts[i]->customers);
        parts[i + 1]->invoices.merge(parts[i]->invoices);
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    std::shuffle(parts.begin(), parts.end(), random);
    for (std::size_t i = 1; i < parts.size(); ++i) {
      parts[0]->customers.merge(parts[i]->customers);
      parts[0]->invoices.merge(parts[i]->invoices);
    }
    EXPECT_EQ(parts[0]->customers.bytes(), whole.customers.bytes());
    EXPECT_EQ(parts[0]->invoices.bytes(), whole.invoices.bytes());
  }
}

}  // namespace
}  // namespace tidemill::views

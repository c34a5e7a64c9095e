// The floor of upkeep.cc: what the two built-in views keep, kept by a program written for that alone. The same records
// in the same batches, read by simdjson's On-Demand parser; rows in hash maps; sets and lists as keys of their own
// below their row; after each batch one write of the rows it touched and of the position, without a log, and nothing is
// kept in memory that upkeep.cc would have to fetch. What it does not do: exact sums (doubles here), text where a
// number belongs (it stops), and finding a row again that it has not in memory.
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "bench/views_bench/bench.h"

namespace bench {
namespace {

struct Customer {
  std::string country;
  std::unordered_set<std::string> invoices;
  std::uint64_t cancelled = 0, lines = 0;
  std::int64_t units = 0;
  double revenue = 0;
  std::int64_t first = INT64_MAX, last = INT64_MIN;
  bool touched = false;
};
struct Invoice {
  std::string customer, country;
  std::uint64_t lines = 0;
  std::int64_t units = 0;
  double total = 0;
  std::int64_t date = INT64_MAX;
  bool touched = false;
};
struct Line {
  std::string_view invoice, stock, description, date, customer, country;
  std::int64_t quantity = 0;
  double price = 0;
};

// 12/1/2010 8:26 as minutes of a calendar whose months have 31 days: all that min and max need.
std::int64_t minutes(std::string_view text) {
  std::int64_t part[5] = {};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (auto& value : part) {
    at = std::from_chars(at, end, value).ptr;
    if (at < end) ++at;
  }
  return (((part[2] * 12 + part[0]) * 31 + part[1]) * 24 + part[3]) * 60 + part[4];
}

template <class T>
void append(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

class Program {
 public:
  explicit Program(const std::string& directory) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(64 << 20, 4);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kLZ4Compression;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.write_buffer_size = (64 << 20) / 6;
    options.max_background_jobs = 2;
    rocksdb::DB* db = nullptr;
    if (!rocksdb::DB::Open(options, directory + "/by-hand", &db).ok()) stop("cannot open a database");
    db_.reset(db);
  }

  void add(const std::string& text) {
    auto document = parser_.iterate(text.data(), text.size(), text.capacity());
    Line line;
    for (auto field : document.get_object()) {
      const std::string_view name = field.unescaped_key();
      if (name == "Quantity") {
        line.quantity = field.value().get_int64();
      } else if (name == "UnitPrice") {
        line.price = field.value().get_double();
      } else if (std::string_view* member = text_of(line, name); member != nullptr) {
        auto value = field.value();
        if (!value.is_null()) *member = value.get_string();
      }
    }
    ++sequence_;
    const std::int64_t when = minutes(line.date);
    const double amount = static_cast<double>(line.quantity) * line.price;
    if (!line.customer.empty()) {
      Customer& c = find(customers_, line.customer, touched_customers_);
      if (c.invoices.emplace(line.invoice).second) {
        if (line.invoice.starts_with('C')) ++c.cancelled;
        key_.assign("c/").append(line.customer).append("/i/").append(line.invoice);
        batch_.Put(key_, "");
      }
      c.country = line.country;
      ++c.lines;
      c.units += line.quantity;
      c.revenue += amount;
      c.first = std::min(c.first, when);
      c.last = std::max(c.last, when);
    }
    Invoice& i = find(invoices_, line.invoice, touched_invoices_);
    i.customer = line.customer;
    i.country = line.country;
    ++i.lines;
    i.units += line.quantity;
    i.total += amount;
    i.date = std::min(i.date, when);
    key_.assign("i/").append(line.invoice).append("/l/");
    append(key_, __builtin_bswap64(sequence_));
    value_.assign("{\"StockCode\":\"");
    value_.append(line.stock).append("\",\"Description\":\"").append(line.description).append("\",\"Quantity\":");
    value_.append(std::to_string(line.quantity)).append(",\"UnitPrice\":");
    char number[32];
    value_.append(number, std::to_chars(number, number + sizeof number, line.price).ptr);
    value_ += '}';
    batch_.Put(key_, value_);
  }

  void commit() {
    for (auto* entry : touched_customers_) {
      Customer& c = entry->second;
      value_ = c.country;
      for (const std::uint64_t n : {c.invoices.size(), c.cancelled, c.lines}) append(value_, n);
      append(value_, c.units);
      append(value_, c.revenue);
      append(value_, c.first);
      append(value_, c.last);
      put("c/", entry->first);
      c.touched = false;
    }
    for (auto* entry : touched_invoices_) {
      Invoice& i = entry->second;
      value_ = i.customer + '\0' + i.country;
      append(value_, i.lines);
      append(value_, i.units);
      append(value_, i.total);
      append(value_, i.date);
      put("i/", entry->first);
      i.touched = false;
    }
    touched_customers_.clear();
    touched_invoices_.clear();
    value_.clear();
    append(value_, sequence_);
    batch_.Put("position", value_);
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    if (!db_->Write(options, &batch_).ok()) stop("a write failed");
    batch_.Clear();
  }

  void flush() {
    if (!db_->Flush(rocksdb::FlushOptions()).ok()) stop("a flush failed");
  }
  std::size_t customers() const { return customers_.size(); }
  std::size_t invoices() const { return invoices_.size(); }

 private:
  template <class T>
  using Rows = std::unordered_map<std::string, T>;

  static std::string_view* text_of(Line& line, std::string_view name) {
    if (name == "InvoiceNo") return &line.invoice;
    if (name == "StockCode") return &line.stock;
    if (name == "Description") return &line.description;
    if (name == "InvoiceDate") return &line.date;
    if (name == "CustomerID") return &line.customer;
    if (name == "Country") return &line.country;
    return nullptr;
  }
  template <class T>
  T& find(Rows<T>& rows, std::string_view key, std::vector<std::pair<const std::string, T>*>& touched) {
    auto& entry = *rows.try_emplace(std::string(key)).first;
    if (!entry.second.touched) touched.push_back(&entry);
    entry.second.touched = true;
    return entry.second;
  }
  void put(const char* space, const std::string& key) {
    key_.assign(space).append(key);
    batch_.Put(key_, value_);
  }

  simdjson::ondemand::parser parser_;
  Rows<Customer> customers_;
  Rows<Invoice> invoices_;
  std::vector<std::pair<const std::string, Customer>*> touched_customers_;
  std::vector<std::pair<const std::string, Invoice>*> touched_invoices_;
  rocksdb::WriteBatch batch_;
  std::unique_ptr<rocksdb::DB> db_;
  std::uint64_t sequence_ = 0;
  std::string key_, value_;
};

}  // namespace

int by_hand(const Arguments& arguments) {
  const std::size_t batch = std::max<std::uint64_t>(arguments.number("--batch", 10'000), 1);
  const std::size_t repeat = arguments.number("--repeat", 1);
  auto lines = lines_of(arguments.word(0), arguments);
  for (auto& line : lines) line.reserve(line.size() + simdjson::SIMDJSON_PADDING);
  Place place;
  Program program(place.directory);
  const double begin = cpu_seconds();
  const double wall = wall_seconds();
  for (std::size_t n = 0; n < repeat; ++n) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
      program.add(lines[i]);
      if ((i + 1) % batch == 0 || i + 1 == lines.size()) program.commit();
    }
  }
  program.flush();
  const double cpu = cpu_seconds() - begin;
  const double seconds = wall_seconds() - wall;
  const auto done = static_cast<double>(lines.size() * repeat);
  std::printf(
      "{\"records\":%.0f,\"shuffled\":%s,\"records_per_cpu_second\":%.0f,\"records_per_second\":%.0f,"
      "\"customers\":%zu,\"invoices\":%zu}\n",
      done, arguments.has("--shuffle") ? "true" : "false", done / cpu, done / seconds, program.customers(),
      program.invoices());
  return 0;
}

}  // namespace bench

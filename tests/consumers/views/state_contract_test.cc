// One contract for all aggregates: whatever the order and grouping of additions and merges, the same rows give the same
// bytes, members and value; and what an aggregate cannot take it refuses before anything was added.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "tests/consumers/views/memory_view.h"

namespace tidemill::views {

// For the names that ctest shows.
void PrintTo(const AggregateCall& c, std::ostream* out) {
  *out << c.function << (c.distinct ? "_distinct" : "") << (c.limit ? std::to_string(c.limit) : "");
}

namespace {

// A state and its members, in memory.
class Held final : public MemberSink, public MemberSource {
 public:
  Held(const Aggregate& aggregate, std::uint64_t limit)
      : aggregate_(aggregate), limit_(limit), memory_((aggregate.size() + 7) / 8) {
    aggregate_.init(memory_.data());
  }
  ~Held() override { aggregate_.destroy(memory_.data()); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  void add(std::span<const Cell> arguments, Order order) {
    if (aggregate_.refuse(arguments) == nullptr) aggregate_.add(memory_.data(), arguments, order, *this);
    cut();
  }
  void merge(Held& from) {
    if (aggregate_.members() == Members::set) {
      std::uint64_t known = 0;
      for (const auto& [key, value] : from.members_) known += members_.contains(key) ? 1 : 0;
      aggregate_.take_back(from.memory_.data(), known);
    }
    aggregate_.merge(memory_.data(), from.memory_.data());
    for (const auto& [key, value] : from.members_) member(key, value);
    cut();
  }
  std::string bytes() const {
    std::string out;
    aggregate_.encode(memory_.data(), out);
    for (const auto& [key, value] : members_) out += "\n" + key + "=" + value;
    return out;
  }
  std::string encoded() const {
    std::string out;
    aggregate_.encode(memory_.data(), out);
    return out;
  }
  bool decode(std::string_view& in) { return aggregate_.decode(in, memory_.data()); }
  std::string shown() const { return text({*aggregate_.value(memory_.data(), 0, *this)}); }

  bool member(std::string_view key, std::string_view value) override {
    auto [it, fresh] = members_.emplace(std::string(key), std::string(value));
    if (!fresh && aggregate_.members() == Members::latest) it->second = std::max(it->second, std::string(value));
    return fresh;
  }
  Result<void> visit(std::uint32_t, const MemberVisitor& visitor) const override {
    for (const auto& [key, value] : members_) {
      if (!visitor(key, value)) break;
    }
    return {};
  }

 private:
  void cut() {
    if (aggregate_.members() != Members::appended) return;
    while (members_.size() > limit_) members_.erase(members_.begin());
  }
  const Aggregate& aggregate_;
  std::uint64_t limit_;
  std::vector<std::uint64_t> memory_;
  std::map<std::string, std::string> members_;
};

AggregateCall call(std::string function, bool distinct = false, std::uint64_t limit = 0) {
  AggregateCall c;
  c.function = std::move(function);
  c.distinct = distinct;
  c.arguments = {0};
  if (c.function.starts_with("arg_") || c.function == "map") c.arguments.push_back(1);
  c.limit = limit;
  c.fraction = 0.3;
  return c;
}

std::string name_of(const AggregateCall& c) {
  return c.function + (c.distinct ? "_distinct" : "") + (c.limit ? std::to_string(c.limit) : "");
}

class Contract : public testing::TestWithParam<AggregateCall> {
 protected:
  std::unique_ptr<const Aggregate> aggregate = make_aggregate(GetParam());
  std::unique_ptr<Held> fresh() const { return std::make_unique<Held>(*aggregate, GetParam().limit); }
  std::vector<Cell> values(std::mt19937_64& random) {
    std::vector<Cell> out;
    for (std::size_t i = 0; i < GetParam().arguments.size(); ++i) out.push_back(value(random));
    return out;
  }

  // Values of all kinds, small ones often, so that they meet again.
  Cell value(std::mt19937_64& random) {
    switch (random() % 10) {
      case 0:
        return {};
      case 1:
        return Cell::integer(static_cast<std::int64_t>(random()));
      case 2:
        return canonical(
            Cell::real(std::ldexp(static_cast<double>(random() % 1000) - 500, static_cast<int>(random() % 200) - 100)));
      case 3:
        return canonical(Cell::real(static_cast<double>(static_cast<std::int64_t>(random() % 2000) - 1000) / 100));
      case 4:
      case 5:
        texts_.push_back(std::make_unique<std::string>(std::string(random() % 30, 'x') + std::to_string(random() % 4)));
        return Cell::text(*texts_.back());
      case 6:
        return Cell::text(R"({"a":1})", CellType::json);
      case 7:
        return Cell::text(R"({"a":1})");
      default:
        return Cell::integer(static_cast<std::int64_t>(random() % 7) - 3);
    }
  }
  std::vector<std::unique_ptr<std::string>> texts_;
};

TEST_P(Contract, OrderAndGroupingDoNotMatter) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    std::vector<std::pair<std::vector<Cell>, Order>> rows(random() % 60);
    for (std::size_t i = 0; i < rows.size(); ++i)
      rows[i] = {values(random), Order{1 + i / 2, static_cast<std::uint32_t>(i % 2)}};
    auto whole = fresh();
    for (auto& [x, order] : rows) whole->add(x, order);

    std::shuffle(rows.begin(), rows.end(), random);
    std::vector<std::unique_ptr<Held>> parts;
    for (std::size_t i = 0; i < 1 + random() % 6; ++i) parts.push_back(fresh());
    for (auto& [x, order] : rows) parts[random() % parts.size()]->add(x, order);
    while (parts.size() > 1) {
      std::size_t a = random() % parts.size(), b = random() % parts.size();
      if (a == b) continue;
      parts[a]->merge(*parts[b]);
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(b));
    }
    EXPECT_EQ(parts[0]->bytes(), whole->bytes());
    EXPECT_EQ(parts[0]->shown(), whole->shown());
  }
}

TEST_P(Contract, EncodingComesBackAndIsSelfDelimiting) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 100; ++round) {
    auto state = fresh();
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(round % 20); ++i)
      state->add(values(random), Order{i + 1, 0});
    std::string bytes = state->encoded();
    std::string longer = bytes + "rest";
    std::string_view in = longer;
    auto back = fresh();
    ASSERT_TRUE(back->decode(in));
    EXPECT_EQ(in, "rest");
    EXPECT_EQ(back->encoded(), bytes);
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      std::string_view cut = std::string_view(bytes).substr(0, n);
      EXPECT_FALSE(fresh()->decode(cut)) << n << " of " << bytes.size();
    }
  }
}

TEST_P(Contract, AnyBytesAreDecodedOrRefused) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random() % (round % 2 ? 256 : 6));
    std::string_view in = bytes;
    auto state = fresh();
    if (!state->decode(in)) continue;
    // What is taken is the one spelling of its value.
    EXPECT_EQ(state->encoded(), bytes.substr(0, bytes.size() - in.size()));
  }
}

TEST_P(Contract, RefusesWhatItCannotTake) {
  static const std::set<std::string> kNumbers = {"sum", "avg", "stddev", "var_pop", "quantile"};
  bool numbers = kNumbers.contains(GetParam().function);
  bool json = GetParam().function == "collect";
  auto refuses = [&](Cell x) {
    std::vector<Cell> arguments(GetParam().arguments.size(), Cell::text("1"));
    arguments[0] = x;
    return aggregate->refuse(arguments) != nullptr;
  };
  EXPECT_FALSE(refuses({}));
  EXPECT_EQ(refuses(Cell::integer(1)), json);
  EXPECT_EQ(refuses(Cell::text("x")), numbers);
  EXPECT_EQ(refuses(Cell::text("{}", CellType::json)), numbers);
  EXPECT_EQ(refuses(Cell::real(std::numeric_limits<double>::infinity())),
            numbers || json || GetParam().function == "map");
}

TEST_P(Contract, NullsChangeNothing) {
  auto state = fresh();
  std::string empty = state->bytes();
  for (std::size_t i = 0; i < GetParam().arguments.size(); ++i) {
    std::vector<Cell> arguments(GetParam().arguments.size(), Cell::text("1"));
    arguments[i] = {};
    state->add(arguments, Order{7, 0});
    EXPECT_EQ(state->bytes(), empty);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Contract,
                         testing::Values(call("count"), call("count", true), call("sum"), call("avg"), call("min"),
                                         call("max"), call("first"), call("last"), call("collect", false, 1'000),
                                         call("collect", false, 5), call("arg_min"), call("arg_max"), call("stddev"),
                                         call("var_pop"), call("approx_count_distinct"), call("quantile"),
                                         call("map", false, 1'000), call("map", false, 5)),
                         [](const auto& info) { return name_of(info.param); });

TEST(Aggregates, OfNothing) {
  Records r;
  r.add(R"({"k":1})");
  EXPECT_EQ(rows_of("SELECT count(v), count(DISTINCT v) AS d, sum(v), avg(v), min(v), max(v), first(v), last(v), "
                    "collect(v) FROM t GROUP BY k",
                    r),
            std::vector<std::string>{"0|0|NULL|NULL|NULL|NULL|NULL|NULL|[]"});
}

TEST(Aggregates, ValuesOfAllTypes) {
  Records r;
  r.add(R"({"v":2})")
      .add(R"({"v":"b"})")
      .add(R"({"v":null})")
      .add(R"({"v":1.5})")
      .add(R"({"v":2.0})")
      .add(R"({"v":true})")
      .add(R"({"v":{"x":[1]}})")
      .add(R"({"v":"b"})");
  EXPECT_EQ(
      rows_of("SELECT count(*), count(v), count(DISTINCT v) AS d, min(v), max(v), first(v), last(v), collect(v) FROM t",
              r),
      std::vector<std::string>{R"(8|7|5|1|{"x":[1]}|2|b|[2,"b",1.5,2,1,{"x":[1]},"b"])"});
}

TEST(Aggregates, CollectKeepsTheLastOfItsLimit) {
  Records r;
  for (int i = 1; i <= 10'050; ++i) r.add("{\"v\":" + std::to_string(i) + "}");
  MemoryView view(
      "SELECT json_array_length(collect(v)) AS n, count(v) AS c, json_extract(collect(v), '$[0]', '$[9999]') AS l, "
      "collect(v, 2) AS two FROM t");
  view.apply(r.cut(0, 9'990));
  view.apply(r.cut(9'990, 60));
  EXPECT_EQ(texts(view.rows()), std::vector<std::string>{"10000|10050|[51,10050]|[10049,10050]"});
}

TEST(Aggregates, CollectedListsAreJsonToFunctionsAround) {
  Records r;
  r.add(R"({"v":1})").add(R"({"v":"a\"b\n\u0001é"})");
  EXPECT_EQ(
      rows_of("SELECT json_object('n', count(*), 'list', collect(v)) AS j, collect(json_array(v, 1.0/3)) AS l FROM t",
              r),
      std::vector<std::string>{
          R"({"n":2,"list":[1,"a\"b\n\u0001é"]}|[[1,0.333333333333333],["a\"b\n\u0001é",0.333333333333333]])"});
}

}  // namespace
}  // namespace tidemill::views

#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "consumers/views/views.h"
#include "engine/engine.h"
#include "tests/support/real_env.h"

namespace tidemill::views {

// An engine and its views on a real disk with real threads, spoken to in a small language.
class ViewsWorld {
 public:
  ViewsWorld() { options.data = real.directory.path() + "/data"; }
  ~ViewsWorld() { close(); }

  void open() {
    auto opened = Engine::open(real.env, options);
    ASSERT_TRUE(opened) << opened.error().message();
    engine = std::move(*opened);
    auto made = AllViews::open(real.env, *engine, {engine->directory().views(), 48u << 20});
    ASSERT_TRUE(made) << made.error().message();
    all = std::move(*made);
    views = all->of(kDefaultTenant);
  }
  void close() {
    if (!engine) return;
    EXPECT_TRUE(engine->groups().close());
    if (all) {
      EXPECT_TRUE(all->close());
    }
    EXPECT_TRUE(engine->close());
    views.reset();
    all.reset();
    engine.reset();
  }
  void reopen() {
    close();
    open();
  }

  Stream& stream(const std::string& name = "retail") {
    if (auto there = engine->find(in_default(name))) return *there;
    StreamDefinition definition;
    definition.name = name;
    definition.partition_key = "InvoiceNo";
    definition.fields = {{"Quantity", FieldType::integer}, {"UnitPrice", FieldType::number}};
    auto made = engine->create(std::move(definition), 4);
    EXPECT_TRUE(made) << made.error().message();
    return **made;
  }

  // Appends in one request and waits until it is durable. The partition key is "k" followed by the record's place.
  Sequence put(Stream& to, const std::vector<std::string>& data, std::optional<WallTime> arrival = std::nullopt) {
    struct Sink final : AppendSink {
      std::shared_ptr<Signal> done;
      void appended(Append*) noexcept override { done->set(); }
    } sink;
    sink.done = real.background.make_signal();
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < data.size(); ++i) keys.push_back("k" + std::to_string(i));
    std::vector<NewRecord> records;
    for (std::size_t i = 0; i < data.size(); ++i) {
      NewRecord r;
      r.key = keys[i];
      r.hash = hash_key(r.key);
      r.data = data[i];
      r.arrival = arrival.value_or(real.env.clock.wall());
      records.push_back(r);
    }
    Append append;
    append.records = records;
    append.sink = &sink;
    to.log().append(&append);
    sink.done->wait();
    EXPECT_FALSE(append.error) << append.error.message();
    return Sequence(append.first.value() + data.size() - 1);
  }

  void wait(const std::string& view, Sequence shown) {
    const auto signal = real.background.make_signal();
    const auto handle = views->when_applied(view, Position::through(shown), [signal] { signal->set(); });
    signal->wait();
  }
  // As text, "|" between the columns; "-" where there is no row.
  std::string row(const std::string& view, const Row& key) {
    auto got = views->get(view, key);
    EXPECT_TRUE(got) << got.error().message();
    if (!*got || !(*got)->row) return "-";
    return text(*(*got)->row);
  }
  std::vector<std::string> rows(const std::string& view, RangeOptions range = {}) {
    std::vector<std::string> out;
    auto got = views->range(view, range);
    EXPECT_TRUE(got && *got);
    for (const Row& r : (*got)->rows) out.push_back(text(r));
    return out;
  }
  static std::string text(const Row& row) {
    std::string out;
    for (const Value& v : row) {
      if (!out.empty()) out += '|';
      if (const auto* i = std::get_if<std::int64_t>(&v)) out += std::to_string(*i);
      if (const auto* d = std::get_if<double>(&v)) out += std::to_string(*d);
      if (const auto* s = std::get_if<std::string>(&v)) out += *s;
      if (const auto* j = std::get_if<Json>(&v)) out += j->text;
      if (std::holds_alternative<std::monostate>(v)) out += "NULL";
    }
    return out;
  }

  RealEnv real;
  Engine::Options options;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<AllViews> all;
  std::shared_ptr<Views> views;  // of the default tenant
};

}  // namespace tidemill::views

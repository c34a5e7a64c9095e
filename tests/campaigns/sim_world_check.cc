// What must hold in a SimWorld, whatever happened to its disk.
#include <algorithm>
#include <set>

#include "tests/campaigns/sim_world.h"
#include "tests/engine/file_consumer.h"

namespace tidemill {
namespace {

using namespace std::chrono_literals;

}  // namespace

bool SimWorld::caught_up() const {
  for (const GroupStatus& group : engine->groups().list()) {
    if (!group.last_error.empty() || group.lag_records != 0) return false;
    if (group.applied < Position::through(group.durable)) return false;
  }
  return !views || views->ready();
}

void SimWorld::check() {
  const bool well = sim.executor.run_until([&] { return caught_up(); });
  if (!well) {
    for (const GroupStatus& group : engine->groups().list()) {
      ADD_FAILURE() << group.name << " does not catch up: " << group.lag_records << " behind, " << group.last_error;
    }
    return;
  }
  pass(62s);  // files are complete by age, with nobody sending anything
  settle();
  watch_start();
  ASSERT_NO_FATAL_FAILURE(look());  // published_ holds all that is in the log, from here on
  ASSERT_NO_FATAL_FAILURE(check_log());
  ASSERT_NO_FATAL_FAILURE(check_requests());
  ASSERT_NO_FATAL_FAILURE(check_archive());
  ASSERT_NO_FATAL_FAILURE(check_tally());
  if (views) {
    ASSERT_NO_FATAL_FAILURE(check_view());
    ASSERT_NO_FATAL_FAILURE(check_points());
  }
  ASSERT_NO_FATAL_FAILURE(check_times());
  ASSERT_NO_FATAL_FAILURE(check_shards());
  for (const auto& [name, there] : others_) {
    if (doubtful_.contains(name)) continue;
    ASSERT_EQ(engine->find(in_default(name)) != nullptr, there) << "stream " << name;
  }
}

void SimWorld::check_log() {
  ASSERT_TRUE(log().status().damage.empty());
  const Sequence start = log().start();
  Sequence expected = start;
  for (Sequence at = start; at <= log().durable();) {
    const auto batch = log().read(at, {});
    ASSERT_TRUE(batch) << batch.error().message();
    ASSERT_TRUE(batch->lost.empty());
    for (const Record& r : batch->records) {
      ASSERT_EQ(r.sequence, expected);
      expected = next(expected);
      const auto it = published_.find(r.sequence.value());
      ASSERT_TRUE(it != published_.end() && it->second == r.data) << "record " << r.sequence.value();
    }
    at = batch->next;
  }
  ASSERT_EQ(expected, next(log().durable()));
  if (!published_.empty()) {
    ASSERT_LE(published_.rbegin()->first, log().durable().value()) << "was published and is gone";
  }
  if (all_is_kept()) {
    ASSERT_EQ(published_.size(), log().durable().value()) << "removed before every group had seen it";
  }
  if (start <= Sequence(1)) return;
  const auto gone = log().read(Sequence(start.value() - 1), {});
  ASSERT_FALSE(gone);
  ASSERT_EQ(gone.error(), StorageErrc::before_start);
}

void SimWorld::check_requests() {
  std::map<std::string_view, std::uint64_t> at;
  for (const auto& [sequence, text] : published_) {
    ASSERT_TRUE(at.emplace(text, sequence).second) << "record " << sequence << " is there twice";
  }
  for (const auto& sent : sent_) {
    const TestRequest& r = sent->request;
    if (r.texts.empty()) continue;
    const auto first = at.find(r.texts[0]);
    const bool refused = r.answers == 1 && r.append.error && r.append.error != StorageErrc::flush_failed;
    ASSERT_FALSE(refused && first != at.end())
        << "refused (" << r.append.error.message() << "), and there all the same";
    bool removed_unseen = false;  // a part of it, before anybody had looked; not where all is kept
    for (const std::string& text : r.texts) {
      const auto it = at.find(text);
      removed_unseen = removed_unseen || (it != at.end() && Sequence(it->second) < log().start());
    }
    if (removed_unseen && !all_is_kept()) continue;
    for (std::size_t i = 0; i < r.texts.size(); ++i) {
      const auto it = at.find(r.texts[i]);
      ASSERT_EQ(it == at.end(), first == at.end()) << "a part of a request";
      if (it == at.end()) continue;
      ASSERT_EQ(it->second, first->second + i);
    }
  }
  // The latest keys are in the window for sure; but where a start could not read them, only after a while.
  sim.executor.run_for(std::chrono::seconds(11));
  int looked = 0;
  for (auto sent = sent_.rbegin(); sent != sent_.rend() && looked < 10; ++sent) {
    const TestRequest& r = (*sent)->request;
    if ((*sent)->key.empty() || !r.ok()) continue;
    ++looked;
    TestRequest again;
    again.append.identity = r.append.identity;
    again.append.records = r.append.records;
    log().append(&again.append);
    sim.executor.run_until([&] { return again.answers != 0; });
    ASSERT_TRUE(again.ok()) << again.append.error.message();
    ASSERT_TRUE(again.append.replayed) << (*sent)->key << " was answered with " << r.append.accepted << " records from "
                                       << r.append.first.value() << " on, and that is forgotten";
    ASSERT_EQ(again.append.first, r.append.first);
    ASSERT_EQ(again.append.accepted, r.append.accepted);
    ASSERT_EQ(again.append.replayed_rejected, r.rejected);
  }
}

void SimWorld::check_archive() {
  struct Line {
    std::uint64_t sequence;
    int times;
  };
  std::map<std::string_view, Line> filed;
  for (const auto& [sequence, text] : published_) filed.emplace(text, Line{sequence, 0});
  std::set<std::string_view> sent;  // what is in a file and was removed unseen is at least this
  if (!all_is_kept())
    for (const auto& one : sent_) sent.insert(one->request.texts.begin(), one->request.texts.end());
  std::map<std::string, std::string> files;  // by their first sequence, which their names end with
  for (const std::string& path : sim.files.all_files()) {
    if (!path.starts_with("/data/archive/a/")) continue;
    ASSERT_FALSE(path.ends_with(".part")) << path;
    if (path.ends_with(".txt")) files.emplace(path.substr(path.size() - 24), path);
  }
  std::map<std::uint64_t, std::uint64_t> newest;  // of each key, over all shards that it has been in
  for (const auto& [name, path] : files) {
    const std::string bytes = *sim.files.content(path);
    std::string_view rest = bytes;
    std::uint64_t before = 0;
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      const auto it = filed.find(line);
      if (it == filed.end() && sent.contains(line)) continue;
      ASSERT_NE(it, filed.end()) << path << " holds what is not in the log: " << line.substr(0, 60);
      ASSERT_EQ(++it->second.times, 1) << "filed twice, again in " << path;
      ASSERT_GT(it->second.sequence, before) << "out of order in " << path;
      before = it->second.sequence;
      std::uint64_t& of_key = newest[std::stoull(std::string(line.substr(5))) % 7];
      ASSERT_GT(before, of_key) << "out of order within its key in " << path;
      of_key = before;
    }
  }
  for (const auto& [text, line] : filed) {
    if (!all_is_kept() && Sequence(line.sequence) < log().start()) continue;
    ASSERT_EQ(line.times, 1) << "record " << line.sequence << " is not filed: " << text.substr(0, 60)
                             << sim.files.content("/data/archive/a/manifest").value_or("");
  }
}

void SimWorld::check_tally() {
  const auto parsed = FileConsumer::parse(sim.files.content("/effects/a").value_or(""));
  const std::set<std::uint64_t> seen(parsed.sequences.begin(), parsed.sequences.end());
  ASSERT_EQ(seen.size(), parsed.sequences.size()) << "tallied twice";
  ASSERT_TRUE(std::is_sorted(parsed.sequences.begin(), parsed.sequences.end()));
  std::uint64_t missing = 0;
  for (std::uint64_t at = 1; at <= log().durable().value(); ++at) {
    if (seen.contains(at)) continue;
    ++missing;
    ASSERT_TRUE(std::any_of(lost_.begin(), lost_.end(), [&](const auto& l) { return l.first <= at && at <= l.second; }))
        << "record " << at << " was not tallied, nor was it said that it is lost";
  }
  ASSERT_EQ(seen.size() + missing, log().durable().value());
}

SimWorld::Tallied SimWorld::tallied(std::uint64_t last) const {
  Tallied out;
  for (const auto& [sequence, text] : published_) {
    if (sequence > last) break;
    const std::int64_t n = std::stoll(text.substr(5));
    auto& [count, sum] = out["k" + std::to_string(n % 7)];
    ++count;
    sum += n;
  }
  return out;
}

void SimWorld::check_view() {
  const auto got = views->range("v", {.limit = 100});
  ASSERT_TRUE(got) << got.error().message();
  ASSERT_TRUE(*got);
  Tallied rows;
  for (const views::Row& row : (*got)->rows)
    rows[std::get<std::string>(row[0])] = {std::get<std::int64_t>(row[1]), std::get<std::int64_t>(row[2])};
  ASSERT_EQ(rows, tallied(log().durable().value()));
}

// Each point has the rows of the records up to the one that it names.
void SimWorld::check_points() {
  for (const views::KeptPoint& point : views->history().points) {
    if (point.views.empty()) continue;  // of a definition that has gone
    auto cursor = views->query_at("SELECT k, c, s FROM v", {}, {}, point.made);
    ASSERT_TRUE(std::holds_alternative<std::unique_ptr<views::QueryCursor>>(cursor))
        << std::get<views::SqlError>(cursor).message;
    const auto read = std::get<0>(cursor)->next(100);
    ASSERT_TRUE(std::holds_alternative<std::span<const views::Row>>(read)) << std::get<views::SqlError>(read).message;
    Tallied rows;
    for (const views::Row& row : std::get<0>(read))
      rows[std::get<std::string>(row[0])] = {std::get<std::int64_t>(row[1]), std::get<std::int64_t>(row[2])};
    ASSERT_EQ(rows, tallied(std::get<0>(cursor)->as_of().position.sequence().value())) << "point " << point.number;
    ++points;
  }
}

// The shards that are open cover all keys, and each has ended where its children begin.
void SimWorld::check_shards() {
  const auto table = engine->find(in_default("a"))->shards().now().table;
  ASSERT_TRUE(valid_shards(table->all()));
  for (const ShardDefinition& shard : table->all()) {
    for (const ShardId parent : shard.parents) {
      ASSERT_FALSE(table->find(parent)->open);
      ASSERT_EQ(next(table->find(parent)->last_sequence), shard.first_sequence);
    }
  }
}

// A record's commit has a running maximum of the clock that is not below what the log showed when it was sent, and not
// above what it showed after the answer.
void SimWorld::check_times() {
  int looked = 0;
  for (auto sent = sent_.rbegin(); sent != sent_.rend() && looked < 20; ++sent) {
    const TestRequest& r = (*sent)->request;
    if (!r.ok() || r.append.accepted == 0 || r.append.first < log().start()) continue;
    ++looked;
    const auto before = log().find((*sent)->not_before);
    ASSERT_TRUE(before) << before.error().message();
    ASSERT_LE(*before, r.append.first);
    if (!(*sent)->not_after) continue;
    const auto after = log().find(*(*sent)->not_after + 1ms);
    ASSERT_TRUE(after) << after.error().message();
    ASSERT_GT(*after, r.append.first);
  }
}

}  // namespace tidemill

// What must hold in a SimWorld, whatever happened to its disk.
#include <algorithm>

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
  sim.executor.run_for(62s);  // files are complete by age, with nobody sending anything
  settle();
  ASSERT_NO_FATAL_FAILURE(look());
  std::vector<std::string> texts;
  ASSERT_NO_FATAL_FAILURE(check_log(texts));
  ASSERT_NO_FATAL_FAILURE(check_requests(texts));
  ASSERT_NO_FATAL_FAILURE(check_archive(texts));
  ASSERT_NO_FATAL_FAILURE(check_tally(texts.size()));
  if (views) {
    ASSERT_NO_FATAL_FAILURE(check_view(texts));
  }
  ASSERT_NO_FATAL_FAILURE(check_times());
  for (const auto& [name, there] : others_) {
    if (doubtful_.contains(name)) continue;
    ASSERT_EQ(engine->find(name) != nullptr, there) << "stream " << name;
  }
}

void SimWorld::check_log(std::vector<std::string>& texts) {
  ASSERT_TRUE(log().status().damage.empty());
  for (Sequence at(1); at <= log().durable();) {
    const auto batch = log().read(at, {});
    ASSERT_TRUE(batch) << batch.error().message();
    ASSERT_TRUE(batch->lost.empty());
    for (const Record& r : batch->records) {
      ASSERT_EQ(r.sequence.value(), texts.size() + 1);
      texts.emplace_back(r.data);
    }
    at = batch->next;
  }
  ASSERT_EQ(texts.size(), log().durable().value());
  for (const auto& [sequence, text] : published_) {
    ASSERT_LE(sequence, texts.size()) << "record " << sequence << " was published and is gone";
    ASSERT_EQ(texts[sequence - 1], text) << "record " << sequence << " was published as another";
  }
}

void SimWorld::check_requests(const std::vector<std::string>& texts) {
  std::map<std::string_view, std::uint64_t> at;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    ASSERT_TRUE(at.emplace(texts[i], i + 1).second) << "record " << i + 1 << " is there twice";
  }
  for (const auto& sent : sent_) {
    const TestRequest& r = sent->request;
    if (r.texts.empty()) continue;
    const auto first = at.find(r.texts[0]);
    const bool refused = r.answers == 1 && r.append.error && r.append.error != StorageErrc::flush_failed;
    ASSERT_FALSE(refused && first != at.end())
        << "refused (" << r.append.error.message() << "), and there all the same";
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

void SimWorld::check_archive(const std::vector<std::string>& texts) {
  struct Line {
    std::size_t sequence;
    int times;
  };
  std::map<std::string_view, Line> filed;
  for (std::size_t i = 0; i < texts.size(); ++i) filed.emplace(texts[i], Line{i + 1, 0});
  for (const std::string& path : sim.files.all_files()) {
    if (!path.starts_with("/data/archive/a/")) continue;
    ASSERT_FALSE(path.ends_with(".part")) << path;
    if (!path.ends_with(".txt")) continue;
    const std::string bytes = *sim.files.content(path);
    std::string_view rest = bytes;
    std::size_t before = 0;
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      const auto it = filed.find(line);
      ASSERT_NE(it, filed.end()) << path << " holds what is not in the log: " << line.substr(0, 60);
      ASSERT_EQ(++it->second.times, 1) << "filed twice, again in " << path;
      ASSERT_GT(it->second.sequence, before) << "out of order in " << path;
      before = it->second.sequence;
    }
  }
  for (const auto& [text, line] : filed) ASSERT_EQ(line.times, 1) << "not filed: " << text.substr(0, 60);
}

void SimWorld::check_tally(std::uint64_t records) {
  const auto parsed = FileConsumer::parse(sim.files.content("/effects/a").value_or(""));
  ASSERT_EQ(parsed.sequences.size(), records);
  for (std::uint64_t i = 0; i < records; ++i) ASSERT_EQ(parsed.sequences[i], i + 1);
}

void SimWorld::check_view(const std::vector<std::string>& texts) {
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> expected;
  for (const std::string& text : texts) {
    const std::int64_t n = std::stoll(text.substr(5));
    auto& [count, sum] = expected["k" + std::to_string(n % 7)];
    ++count;
    sum += n;
  }
  const auto got = views->range("v", {.limit = 100});
  ASSERT_TRUE(got) << got.error().message();
  ASSERT_TRUE(*got);
  ASSERT_EQ((*got)->rows.size(), expected.size());
  for (const views::Row& row : (*got)->rows) {
    const auto& [count, sum] = expected[std::get<std::string>(row[0])];
    ASSERT_EQ(std::get<std::int64_t>(row[1]), count);
    ASSERT_EQ(std::get<std::int64_t>(row[2]), sum);
  }
}

// A record's commit has a running maximum of the clock that is not below what the log showed when it was sent, and not
// above what it showed after the answer.
void SimWorld::check_times() {
  int looked = 0;
  for (auto sent = sent_.rbegin(); sent != sent_.rend() && looked < 20; ++sent) {
    const TestRequest& r = (*sent)->request;
    if (!r.ok() || r.append.accepted == 0) continue;
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

// Views of a stream whose old records retention removes: they go on from a base and the log.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "consumers/views/bases.h"
#include "engine/backup.h"
#include "storage/seam/file_system.h"
#include "tests/consumers/views_store/bases_world.h"
#include "tests/support/capture_logger.h"
#include "tests/support/stride.h"

namespace tidemill::views {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using Rows = std::vector<std::string>;

TEST(Bases, RetentionRemovesRecordsAndTheViewsStillCountThem) {
  BasesWorld w;
  w.create_view();
  w.begin();
  w.fill(60);
  const Rows before = w.rows();
  EXPECT_EQ(before, w.expected(1, 60));
  w.shorten();
  EXPECT_GT(w.log().start(), Sequence(1));
  EXPECT_EQ(w.bases(), Rows{"1"});
  EXPECT_THAT(w.engine->retention(w.stream()).held, IsEmpty());
  EXPECT_EQ(w.engine->retention(w.stream()).lost_records, 0u);
  EXPECT_EQ(w.rows(), before);
  EXPECT_EQ(w.views->find("v")->since, Sequence(1));
  const auto differences = w.views->rebuild_and_compare("v");
  ASSERT_TRUE(differences) << differences.error().message();
  EXPECT_THAT(*differences, IsEmpty());

  // And so on: a base is good until the log begins behind it, so there is one for each 20 records or more.
  w.fill(60);
  EXPECT_EQ(w.rows(), w.expected(1, 120));
  EXPECT_EQ(w.bases(), Rows{"3"});
  w.reopen();
  EXPECT_EQ(w.rows(), w.expected(1, 120));
}

TEST(Bases, AViewsDirectoryThatIsLostComesBackFromBaseAndLog) {
  for (const char* how : {"gone", "manifest", "checkpoint", "behind"}) {
    SCOPED_TRACE(how);
    CaptureLogger log;
    BasesWorld w(1, log);
    w.shorten_a_view();
    ASSERT_GT(w.log().start(), Sequence(1));
    w.fill(3);  // what no base has
    const Rows before = w.rows();
    w.close_all();
    if (std::string(how) == "gone") {
      ASSERT_TRUE(remove_tree(w.sim.files, "/data/views"));
    } else if (std::string(how) == "manifest") {
      for (const auto& path : w.sim.files.all_files()) {
        if (!path.starts_with("/data/views/MANIFEST")) continue;
        ASSERT_TRUE(w.sim.files.cut_file(path, 10));
      }
    } else {
      const auto database = std::move(*Database::open(w.sim.env, "/data/views", 8 << 20));
      WriteSet set;
      // Behind: an older copy of the directory, whose next records are gone.
      const Checkpoint behind{Position::through(Sequence(2)), {}, 1, 0};
      set.put(kCheckpointKey, std::string(how) == "behind" ? encode_checkpoint(behind) : "garbage");
      ASSERT_TRUE(database->write(**database->family(database->names()[0]), set));
      ASSERT_TRUE(database->close());
    }
    w.open_all();
    EXPECT_EQ(w.rows(), before);
    EXPECT_EQ(w.views->find("v")->since, Sequence(1));
    EXPECT_EQ(log.count("a view was taken from the base"), 1u);
    // It is a whole view again: the next base is made of it.
    w.begin();
    w.fill(60);
    w.shorten();
    EXPECT_EQ(w.rows(), w.expected(1, 123));
  }
}

TEST(Bases, WithoutOneAViewSaysSinceWhenItCounts) {
  BasesWorld w;
  w.shorten_a_view();
  const Sequence start = w.log().start();
  ASSERT_GT(start, Sequence(1));
  // A view that comes later.
  w.create_view("late");
  EXPECT_EQ(w.views->find("late")->since, start);
  EXPECT_EQ(w.rows("late"), w.expected(start.value(), 60));
  EXPECT_EQ(w.views->find("v")->since, Sequence(1));
  w.reopen();
  EXPECT_EQ(w.views->find("late")->since, start);
  EXPECT_EQ(w.rows("late"), w.expected(start.value(), 60));
  auto differences = w.views->rebuild_and_compare("late");
  ASSERT_TRUE(differences) << differences.error().message();
  EXPECT_THAT(*differences, IsEmpty());
  // It has a base of its own like any other, and keeps its beginning in it.
  w.begin();
  w.fill(60);
  ASSERT_GT(w.log().start(), start);
  w.close_all();
  ASSERT_TRUE(remove_tree(w.sim.files, "/data/views"));
  w.open_all();
  EXPECT_EQ(w.rows("late"), w.expected(start.value(), 120));
  EXPECT_EQ(w.views->find("late")->since, start);
  differences = w.views->rebuild_and_compare("late");
  ASSERT_TRUE(differences) << differences.error().message();
  EXPECT_THAT(*differences, IsEmpty());

  // Views and base gone: what the log has is counted, and said to be no more than that.
  const Sequence now = w.log().start();
  w.close_all();
  ASSERT_TRUE(remove_tree(w.sim.files, "/data/views"));
  ASSERT_TRUE(remove_tree(w.sim.files, "/data/views.bases"));
  w.open_all();
  EXPECT_EQ(w.rows(), w.expected(now.value(), 120));
  EXPECT_EQ(w.views->find("v")->since, now);
}

TEST(Bases, NothingGoesThatAViewHasNotCountedOrNoBaseHas) {
  BasesWorld w;
  w.create_view();
  w.fill(60);
  Sequence dropped;
  const auto drop = [&](Sequence to) { dropped = to; };
  EXPECT_THAT(w.all->release(w.stream(), Sequence(62), drop), HasSubstr("The view v has counted the records up to 60"));
  EXPECT_EQ(w.all->release(w.stream(), Sequence(61), drop), "") << "a base is being made";
  EXPECT_EQ(dropped, Sequence());
  w.sim.executor.run_until_idle();
  EXPECT_EQ(w.all->release(w.stream(), Sequence(61), drop), "");
  EXPECT_EQ(dropped, Sequence(61));
}

TEST(Bases, AnErrorOnTheWayKeepsEverything) {
  for (const DiskOp op : {DiskOp::link, DiskOp::rename, DiskOp::sync_directory, DiskOp::create, DiskOp::read}) {
    SCOPED_TRACE(static_cast<int>(op));
    BasesWorld w;
    w.create_view();
    w.begin();
    w.fill(60);
    const Rows before = w.rows();
    w.sim.files.fail(
        {.op = op, .path_contains = op == DiskOp::link ? "/data/views" : "views.bases", .times = 1'000'000});
    w.shorten();
    EXPECT_EQ(w.log().start(), Sequence(1));
    EXPECT_THAT(w.engine->retention(w.stream()).held, HasSubstr("base could not be made"));
    EXPECT_GT(w.sim.files.faults_hit(), 0u);
    EXPECT_EQ(w.rows(), before);
    w.sim.files.clear_faults();
    w.check();
    EXPECT_GT(w.log().start(), Sequence(1));
    EXPECT_THAT(w.engine->retention(w.stream()).held, IsEmpty());
  }
}

// A view that is not there counts nothing, so nothing takes the place of what the base has of it.
TEST(Bases, AViewThatCouldNotBeOpenedKeepsRecordsAndBase) {
  BasesWorld w;
  w.shorten_a_view();
  const Sequence start = w.log().start();
  const Rows before = w.rows();
  const Rows base = w.bases();
  ASSERT_TRUE(w.create("t", 1));
  ASSERT_TRUE(w.put(*w.engine->find(in_default("t")), "k", R"({"k":"k","n":1})").ok());
  w.create_view("u", "t");
  EXPECT_EQ(w.rows("u", "t"), Rows{"k|1|1|1"});
  w.close_all();
  ASSERT_TRUE(remove_tree(w.sim.files, "/data/views"));
  w.sim.files.set_capacity(w.sim.files.used() + (8 << 20));  // less than views keep free
  w.open_all();
  ASSERT_EQ(w.views->failed().size(), 1u);
  EXPECT_THAT(w.views->failed()[0].cause, HasSubstr("No space left"));
  w.sim.files.set_capacity(1ull << 40);
  w.begin();
  w.sim.executor.run_for(std::chrono::hours(24));
  EXPECT_EQ(w.log().start(), start);
  EXPECT_THAT(w.engine->retention(w.stream()).held, HasSubstr("The view v could not be opened"));

  // Another stream wants one.
  EXPECT_EQ(w.rows("u", "t"), Rows{"k|1|1|1"});
  Sequence dropped;
  const auto release = [&] {
    return w.all->release(*w.engine->find(in_default("t")), Sequence(2), [&](Sequence to) { dropped = to; });
  };
  EXPECT_EQ(release(), "");
  w.sim.executor.run_until_idle();
  EXPECT_THAT(release(), HasSubstr("still needed"));
  EXPECT_EQ(dropped, Sequence());
  EXPECT_EQ(w.bases(), base);
  w.reopen();
  EXPECT_THAT(w.views->failed(), IsEmpty());
  EXPECT_EQ(w.rows(), before);
  EXPECT_EQ(release(), "");
  w.sim.executor.run_until_idle();
  EXPECT_EQ(release(), "");
  EXPECT_EQ(dropped, Sequence(2));
}

TEST(Bases, WithTheLastViewTheBaseGoes) {
  BasesWorld w;
  w.create_view();
  w.create_view("u");
  w.begin();
  w.fill(60);
  w.shorten();
  ASSERT_TRUE(std::get<bool>(w.views->drop("v")));
  EXPECT_EQ(w.bases(), Rows{"1"});
  ASSERT_TRUE(std::get<bool>(w.views->drop("u")));
  EXPECT_THAT(w.bases(), IsEmpty());
  w.create_view();
  const Sequence start = w.log().start();
  w.fill(60);
  EXPECT_GT(w.log().start(), start);
  EXPECT_EQ(w.rows(), w.expected(start.value(), 120));
}

TEST(Bases, OneThatIsDamagedIsNotTaken) {
  BasesWorld w;
  w.shorten_a_view();
  const Sequence start = w.log().start();
  w.close_all();
  for (const auto& path : w.sim.files.all_files()) {
    if (!path.starts_with("/data/views.bases/1/") || !path.ends_with(".sst")) continue;
    ASSERT_TRUE(w.sim.files.flip_bit(path, 20, 3));
  }
  ASSERT_TRUE(remove_tree(w.sim.files, "/data/views"));
  w.open_all();
  EXPECT_EQ(w.rows(), w.expected(start.value(), 60));
  EXPECT_EQ(w.views->find("v")->since, start) << "not in silence";
}

// While it is made, records come and go, and another base takes the place of the one that it began with.
TEST(Bases, ABackupHasTheOneThatItsLogsNeed) {
  for (const bool link : {true, false}) {
    BasesWorld w;
    w.shorten_a_view();
    int cuts = 0;
    BackupOptions backup{.data = "/data", .to = "/backup", .cut = {}, .link = link};
    backup.cut = [&]() -> Result<DataCut> {
      if (++cuts == 2) w.fill(30);
      return w.engine->cut();
    };
    const auto before = w.bases();
    auto done = make_backup(w.sim.env, backup);
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_GT(cuts, 2);
    EXPECT_NE(w.bases(), before);
    const std::uint64_t last = done->content.streams.at(1).last.value();
    ASSERT_GT(done->content.streams.at(1).first, Sequence(1));
    // The next one keeps what it has, and the base that came meanwhile goes in the place of this one.
    done = make_backup(w.sim.env, backup);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->linked + done->copied, 0u);
    w.fill(30);
    done = make_backup(w.sim.env, backup);
    ASSERT_TRUE(done);
    const auto kept = w.sim.files.list("/backup/views.bases");
    ASSERT_TRUE(kept);
    ASSERT_EQ(kept->size(), 1u);
    EXPECT_EQ(kept->front().name, w.bases().front());

    w.close_all();
    const auto restored =
        restore_backup(w.sim.env, {.from = "/backup", .data = "/restored"}, [](const Finding& f) { FAIL() << f.text; });
    ASSERT_TRUE(restored) << restored.error().message();
    w.options.data = "/restored";
    w.open_all();
    EXPECT_EQ(w.log().durable(), Sequence(last + 30));
    EXPECT_EQ(w.rows(), w.expected(1, last + 30));
    EXPECT_EQ(w.views->find("v")->since, Sequence(1));
  }
}

// RocksDB's threads are real ones, and it sleeps after errors: worlds are tried side by side.
template <class Try>
void for_each(std::uint64_t from, std::uint64_t to, Try try_one) {
  std::atomic<std::uint64_t> next{from};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      const auto take = [&] { return next.fetch_add(kStride); };
      for (std::uint64_t n = take(); n <= to && !::testing::Test::HasFatalFailure(); n = take()) try_one(n);
    });
  }
}

TEST(Bases, APowerCutOnTheWayLosesNothingThatWasCounted) {
  // From where retention begins to where two bases have been made and segments are gone.
  const auto live = [](BasesWorld& w) {
    w.shorten();
    w.fill(30);
    w.shorten();
  };
  std::uint64_t begin = 0, end = 0;
  {
    BasesWorld w;
    w.create_view();
    w.begin();
    w.fill(60);
    begin = w.sim.files.steps();
    live(w);
    end = w.sim.files.steps();
    ASSERT_GT(w.log().start(), Sequence(60));
    ASSERT_EQ(w.bases(), Rows{"2"});
  }
  std::atomic<std::uint64_t> from_base{0}, shortened{0};
  for_each(begin + 1, end, [&](std::uint64_t cut) {
    SCOPED_TRACE("cut at " + std::to_string(cut));
    CaptureLogger log;
    BasesWorld w(cut, log);
    w.create_view();
    w.begin();
    w.fill(60);
    if (w.sim.files.steps() >= cut) return;  // RocksDB's threads take another way each time
    w.sim.files.cut_at_step(cut);
    live(w);
    const std::uint64_t durable = w.acknowledged();
    w.power_cut();
    w.open_all();
    ASSERT_GE(w.log().durable().value(), durable);
    ASSERT_EQ(w.rows(), w.expected(1, w.log().durable().value()));
    shortened += w.log().start() > Sequence(1) ? 1 : 0;
    // And with nothing left but log and base.
    w.close_all();
    ASSERT_TRUE(remove_tree(w.sim.files, "/data/views"));
    w.open_all();
    ASSERT_EQ(w.rows(), w.expected(1, w.log().durable().value()));
    ASSERT_EQ(w.views->find("v")->since, Sequence(1));
    from_base += log.count("a view was taken from the base");
  });
  EXPECT_GT(shortened * kStride, 10u);
  EXPECT_EQ(from_base, shortened);
}

}  // namespace
}  // namespace tidemill::views

// Keys by the million, for bench/limits: through the API each waits for a flush of its own.
//
//   make_keys DATA COUNT SCOPE
//
// DATA: a data directory that no server uses. Writes as many `key.created` events of the tenant `default` as an admin's
// requests would have, thousands in a commit, and prints the keys, one on a line.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/keys/key_events.h"
#include "storage/base/logger.h"
#include "storage/seam/clock.h"
#include "storage/seam/posix_file_system.h"
#include "storage/seam/random.h"
#include "storage/seam/thread_executor.h"

using namespace tidemill;

namespace {

constexpr std::size_t kBatch = 4'000;

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "make_keys: %s\n", why.c_str());
  std::exit(1);
}

struct Answer final : AppendSink {
  explicit Answer(Executor& executor) : signal(executor.make_signal()) {}
  void appended(Append*) noexcept override {
    const auto kept = signal;
    kept->set();
  }
  const std::shared_ptr<Signal> signal;
};

void append(Env& env, Log& log, const std::vector<std::string>& events) {
  std::vector<NewRecord> records(events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    records[i].key = "key.created";
    records[i].hash = hash_key("key.created");
    records[i].arrival = env.clock.wall();
    records[i].data = events[i];
  }
  Answer answer(env.background);
  Append request;
  request.records = records;
  request.sink = &answer;
  log.append(&request);
  answer.signal->wait();
  if (request.error) stop(request.error.message());
}

}  // namespace

int main(int argc, char** argv) {
  const auto scope = argc == 4 ? parse_scope(argv[3]) : std::nullopt;
  if (!scope) {
    std::fprintf(stderr, "usage: make_keys DATA COUNT SCOPE\n");
    return 2;
  }
  PosixFileSystem files;
  ThreadExecutor flush("flush", 2);
  ThreadExecutor background("background", 2);
  Env env{files, system_clock(), system_random(), flush, background, null_logger()};
  auto engine = Engine::open(env, {.data = argv[1], .log = {}});
  if (!engine) stop(engine.error().message());
  std::vector<std::string> events;
  for (std::size_t left = std::strtoul(argv[2], nullptr, 10); left != 0; --left) {
    KeyCreated created;
    created.key.id.value = env.random.next();
    created.key.name = "bench-" + std::to_string(left);
    created.key.tenant = kDefaultTenant;
    created.key.scopes = {*scope};
    created.key.created = env.clock.wall();
    const SecretText text = make_key_text(created.key.id, env.random);
    created.proof.hash = hash_of_key(text.view());
    events.push_back(encode(created));
    std::printf("%.*s\n", static_cast<int>(text.view().size()), text.view().data());
    if (events.size() == kBatch || left == 1) {
      append(env, (*engine)->system().log(), events);
      events.clear();
    }
  }
  if (const auto closed = (*engine)->close(); !closed) stop(closed.error().message());
  engine->reset();
  background.stop();
  flush.stop();
  return 0;
}

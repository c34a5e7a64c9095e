#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/cli/load/display.h"
#include "tools/cli/status/report.h"

namespace tidemill::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kFreeMin = 0.05;      // of the disk
constexpr double kFdsMax = 0.9;        // of the descriptors that the process may have
constexpr double kLagSecondsMax = 60;  // a group that is further behind needs a hand

std::uint64_t number(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_number() ? static_cast<std::uint64_t>(it->get<double>()) : 0;
}

// 1 record, 2,000 records
std::string many(std::uint64_t n, const char* what) {
  return with_commas(n) + " " + what + (n == 1 ? "" : "s");
}

std::string percent(double part) {
  char text[16];
  std::snprintf(text, sizeof text, "%.1f %%", part * 100);
  return text;
}

void add_disk(const ServerFacts& facts, std::vector<std::string>& out) {
  const auto free = facts.metrics.value("tidemill_disk_free_bytes");
  const auto size = facts.metrics.value("tidemill_disk_size_bytes");
  if (free && size && *size > 0 && *free < *size * kFreeMin)
    out.push_back("the disk of the data directory has only " + percent(*free / *size) +
                  " free: make room or give it a larger one (full, the server refuses records with 507 and its views "
                  "stand still until there is room; nothing acknowledged is lost)");
  if (facts.metrics.value("tidemill_disk_flush_implausible").value_or(0) > 0)
    out.push_back(
        "the data directory's flush takes less time than any disk needs: it is in memory, or something below it says "
        "flushed and does nothing; what is acknowledged would not outlive a power cut: move it (server.data) to a disk "
        "that flushes");
  if (const double failed = facts.metrics.sum("tidemill_flush_failures_total"); failed > 0)
    out.push_back(many(static_cast<std::uint64_t>(failed), "commit") +
                  " could not be flushed since the start: the disk fails; look at the kernel's log (dmesg) and "
                  "replace the disk");
  const auto open = facts.metrics.value("tidemill_process_open_fds");
  const auto limit = facts.metrics.value("tidemill_process_max_fds");
  if (open && limit && *limit > 0 && *open > *limit * kFdsMax)
    out.push_back("the process has " + with_commas(static_cast<std::uint64_t>(*open)) + " of " +
                  with_commas(static_cast<std::uint64_t>(*limit)) +
                  " file descriptors open: allow more (ulimit -n, LimitNOFILE) or lower limits.connections");
}

void add_retention(const Json& stream, std::vector<std::string>& out) {
  const auto it = stream.find("retention");
  if (it == stream.end() || !it->is_object()) return;
  const std::string name = stream.value("name", "");
  const auto sentence = [&](const char* what) {
    const auto found = it->find(what);
    return found != it->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (const std::uint64_t lost = number(*it, "lost_records"); lost > 0)
    out.push_back(
        "retention of stream " + name + " has removed " + many(lost, "record") +
        " that a group had not made its work on durable: the server's log names group and range; a backup may "
        "have them; let it wait for groups (retention.wait_for_groups), or keep more");
  std::string groups;
  if (const auto found = it->find("groups_at_risk"); found != it->end() && found->is_array())
    for (const Json& group : *found)
      if (group.is_string()) groups += (groups.empty() ? "" : ", ") + group.get<std::string>();
  if (!groups.empty() && !it->value("wait_for_groups", false))
    out.push_back("retention of stream " + name + " will soon remove what " + groups +
                  " has not made its work on durable: help it on, let retention wait for groups "
                  "(retention.wait_for_groups), or keep more");
  if (const std::string held = sentence("held"); !held.empty())
    out.push_back("retention of stream " + name + " keeps more than its limits: " + held);
  if (const std::string paused = sentence("paused"); !paused.empty())
    out.push_back("retention of stream " + name + " is paused: " + paused);
}

void add_streams(const ServerFacts& facts, std::vector<std::string>& out) {
  for (const Json& s : facts.streams) {
    const std::string name = s.value("name", "");
    if (!s.value("accepting", true))
      out.push_back("stream " + name +
                    " takes no records since its disk failed: repair the disk and start the server again");
    if (const auto lost = s.find("lost"); lost != s.end() && lost->is_array() && !lost->empty()) {
      std::string ranges;
      for (const Json& range : *lost)
        ranges += (ranges.empty() ? "" : ", ") + with_commas(number(range, "first")) + " to " +
                  with_commas(number(range, "last"));
      out.push_back("stream " + name + " has damaged records (" + ranges +
                    "): the server's log names file and offset; restore that file from a backup, or send those records "
                    "again; all others are served");
    }
    add_retention(s, out);
  }
}

// True when one does not get on, or is far behind.
bool add_groups(const ServerFacts& facts, std::vector<std::string>& out) {
  bool views_stand = false;
  for (const Json& g : facts.groups) {
    const std::string name = g.value("name", "");
    const std::uint64_t lag = number(g, "lag_records");
    if (lag == 0) continue;  // an error that was got over leaves no lag behind
    const auto it = g.find("last_error");
    const std::string error = it != g.end() && it->is_object() ? it->value("message", "") : "";
    const bool late = g.contains("lag_seconds") && g["lag_seconds"].is_number() && g["lag_seconds"] > kLagSecondsMax;
    const auto before = facts.applied_by.find(name);
    const bool stands = before != facts.applied_by.end() && before->second == number(g, "applied");
    if (!error.empty()) {
      out.push_back("group " + name + " does not get on: " + error +
                    " (it tries again by itself and goes on once the cause is gone; the server's log says more)");
    } else if (late && stands) {
      out.push_back("group " + name + " has stood still for more than a minute, " + many(lag, "record") +
                    " behind: see the server's log; if it says nothing, start the server again");
    } else if (late) {
      out.push_back("group " + name + " is more than a minute behind (" + many(lag, "record") +
                    "): if that does not shrink, more comes in than this machine can process; send less, or "
                    "give it more cores or a faster disk");
    }
    views_stand = views_stand || (g.value("consumer", "") == "views" && (!error.empty() || late));
  }
  return views_stand;
}

void add_views(const ServerFacts& facts, bool stand, std::vector<std::string>& out) {
  for (const Json& v : facts.failed_views) {
    const std::string name = v.value("name", "");
    out.push_back("view " + name + " could not be opened: " + v.value("cause", "") +
                  " Remove the cause and start the server again; or drop it (tidemill view drop " + name +
                  ") and create it again: it then counts what the log still holds");
  }
  for (const Json& v : facts.views)
    if (const std::uint64_t parked = number(v, "parked"); parked > 0)
      out.push_back(
          "view " + v.value("name", "") + " has parked " + many(parked, "record") +
          " that it cannot count: tidemill view quarantine " + v.value("name", "") +
          " shows them, and why; --edit, --redrive and --skip decide about them, --dry-run first; where many have "
          "one cause, correct the definition (ALTER VIEW; the old one is served meanwhile)");
  for (const Json& v : facts.views)
    if (const Json audit = v.value("audit", Json::object()); number(audit, "mismatches") > 0)
      out.push_back("view " + v.value("name", "") + ": a sample of it is not what the log gives (" +
                    many(number(audit, "mismatches"), "row") + "): tidemill view verify " + v.value("name", "") +
                    " compares all of it; then stop the server, move DATA/views away and start it: the views are made "
                    "again from the log and their base");
  const bool stopped = facts.metrics.value("tidemill_rocksdb_write_stopped").value_or(0) > 0;
  const double errors = facts.metrics.value("tidemill_rocksdb_background_errors_total").value_or(0);
  if (stopped)
    out.push_back(
        "the views' database takes no writes until it has caught up with flushing and compaction: if that "
        "stays, the disk is too slow for it; give it a faster one");
  if (errors > 0 && (stand || stopped))  // those that were got over need no hand
    out.push_back("the views' database had " + many(static_cast<std::uint64_t>(errors), "background error") +
                  " since the start: the server's log names them; mend the disk and start the server "
                  "again (views are made again from the log and their base, nothing is lost)");
}

}  // namespace

std::string unseen(const ServerFacts& facts) {
  if (!facts.streams.empty() || !facts.views.empty() || !facts.failed_views.empty()) return {};
  std::uint64_t streams = 0;
  for (const Sample& sample : facts.metrics.samples()) {
    const auto name = sample.labels.find("stream");
    if (sample.name == "tidemill_log_bytes" && name != sample.labels.end() && !name->second.starts_with('_')) ++streams;
  }
  if (streams == 0) return {};
  return "the server has " + many(streams, "stream") +
         " and shows this key none: it lacks the scope server:read of their tenant, which shows all streams and views "
         "(tidemill keys create NAME --tenant TENANT --scope server:read --scope instance:read)";
}

std::vector<std::string> troubles(const ServerFacts& facts) {
  std::vector<std::string> out;
  if (!facts.ingest.empty()) out.push_back("the server takes no records: " + facts.ingest);
  add_disk(facts, out);
  add_streams(facts, out);
  const bool views_stand = add_groups(facts, out);
  add_views(facts, views_stand, out);
  return out;
}

}  // namespace tidemill::cli

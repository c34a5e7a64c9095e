#include "tools/cli/load/progress.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace tidemill::cli {

std::string Progress::to_json() const {
  const nlohmann::ordered_json json{{"version", kProgressVersion},
                                    {"file", {{"size", file_size}, {"sha256", file_hash}}},
                                    {"target", target},
                                    {"settings", settings},
                                    {"nonce", nonce},
                                    {"block", block},
                                    {"rows", rows},
                                    {"line", line},
                                    {"offset", offset},
                                    {"accepted", accepted},
                                    {"rejected", rejected},
                                    {"in_flight", in_flight},
                                    {"last_sequence", last_sequence}};
  return json.dump(2) + "\n";
}

std::optional<Progress> Progress::from_json(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  try {
    if (!json.is_object() || json.at("version") != kProgressVersion) return std::nullopt;
    Progress p;
    p.file_size = json.at("file").at("size");
    p.file_hash = json.at("file").at("sha256");
    p.target = json.at("target");
    p.settings = json.at("settings");
    p.nonce = json.at("nonce");
    p.block = json.at("block");
    p.rows = json.at("rows");
    p.line = json.at("line");
    p.offset = json.at("offset");
    p.accepted = json.at("accepted");
    p.rejected = json.at("rejected");
    p.in_flight = json.at("in_flight").get<std::vector<std::string>>();
    p.last_sequence = json.at("last_sequence");
    return p;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

std::optional<Progress> Progress::read(const std::string& path, std::string& error) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    if (errno != ENOENT) error = path + ": " + std::strerror(errno);
    return std::nullopt;
  }
  std::ostringstream text;
  text << in.rdbuf();
  auto progress = from_json(text.str());
  if (!progress) error = path + ": is not a progress file of this version; remove it and load without --resume";
  return progress;
}

bool Progress::write(const std::string& path) const {
  const std::string aside = path + ".new";
  std::FILE* file = std::fopen(aside.c_str(), "wbe");
  if (!file) return false;
  const std::string text = to_json();
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) != 0 || !written) return false;
  return std::rename(aside.c_str(), path.c_str()) == 0;
}

void Tracker::sent(const BlockOfRows& block) {
  const std::lock_guard lock(mutex_);
  Open& open = open_[block.number];
  open.rows_end = block.rows_end;
  open.line_end = block.line_end;
  open.offset_end = block.offset_end;
  open.rejected = block.rejected;
  counts_.rows += block.rejected.size();
  counts_.rejected += block.rejected.size();
  for (const Batch& batch : block.batches) {
    open.waiting.insert(batch.lane);
    open.keys.push_back(batch.idempotency_key);
  }
  close_finished();
}

void Tracker::answered(BatchResult result) {
  const std::lock_guard lock(mutex_);
  const auto it = open_.find(result.block);
  if (it == open_.end()) return;
  Open& open = it->second;
  open.waiting.erase(result.lane);
  open.accepted += result.accepted;
  counts_.rows += result.accepted + result.rejected.size();
  counts_.accepted += result.accepted;
  counts_.rejected += result.rejected.size();
  if (result.replayed) counts_.replayed += result.accepted;
  progress_.last_sequence = std::max(progress_.last_sequence, result.last_sequence);
  std::move(result.rejected.begin(), result.rejected.end(), std::back_inserter(open.rejected));
  close_finished();
}

void Tracker::close_finished() {
  while (!open_.empty() && open_.begin()->second.waiting.empty()) {
    Open& open = open_.begin()->second;
    std::stable_sort(open.rejected.begin(), open.rejected.end(),
                     [](const RejectedRow& a, const RejectedRow& b) { return a.line < b.line; });
    progress_.block = open_.begin()->first + 1;
    progress_.rows = open.rows_end;
    progress_.line = open.line_end;
    progress_.offset = open.offset_end;
    progress_.accepted += open.accepted;
    progress_.rejected += open.rejected.size();
    counts_.offset = open.offset_end;
    std::move(open.rejected.begin(), open.rejected.end(), std::back_inserter(final_));
    open_.erase(open_.begin());
  }
}

std::vector<RejectedRow> Tracker::take_rejected() {
  const std::lock_guard lock(mutex_);
  return std::exchange(final_, {});
}

Progress Tracker::progress() const {
  const std::lock_guard lock(mutex_);
  Progress p = progress_;
  p.in_flight.clear();
  // Also what was answered, in a block that is not over.
  for (const auto& [number, open] : open_) p.in_flight.insert(p.in_flight.end(), open.keys.begin(), open.keys.end());
  return p;
}

Tracker::Counts Tracker::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace tidemill::cli

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <random>

#include "tools/cli/commands.h"
#include "tools/cli/config/config.h"
#include "tools/cli/load/batches.h"
#include "tools/cli/load/display.h"
#include "tools/cli/load/interrupts.h"
#include "tools/cli/load/progress.h"
#include "tools/cli/load/stream_info.h"
#include "tools/cli/output.h"

namespace tidemill::cli {
namespace {

// One load, from the options to the summary.
class Load {
 public:
  explicit Load(const LoadOptions& options) : options_(options), interrupts_(stop_) {}

  int run() {
    if (const int code = prepare(); code != kOk) return code;
    if (const int code = choose_start(); code != kOk) return code;
    return transfer();
  }

 private:
  int refuse(const std::string& message) const { return wrong_use("load", message); }
  int unreadable(const std::string& error) const {
    if (!stop_.stopped()) return refuse(name_ + ": " + error);
    wrong_use("load", "interrupted");
    return kInterrupted;
  }
  int failed(const LoadFailure& failure) const {
    wrong_use("load", failure.message);
    return failure.exit_code;
  }

  int prepare();
  int choose_encoding_and_types();
  int choose_start();
  int transfer();
  int summary(const std::optional<LoadFailure>& failure, const std::string& read_error);
  void report(bool force);
  std::string settings() const;

  const LoadOptions& options_;
  LoadStop stop_;
  InterruptWatch interrupts_;
  std::optional<Server> server_;
  std::string target_;
  std::string path_;           // of the file
  std::string name_;           // of the file, as it is shown
  std::string stream_name_;    // empty: the URL leads to something else
  std::string progress_path_;  // empty: there is none
  std::chrono::milliseconds retry_for_{};
  std::unique_ptr<LoadInput> input_;
  std::optional<StreamInfo> stream_;
  Examined examined_;
  BatchMaker::Options batches_;
  csv::FieldTypes types_;
  std::optional<BatchMaker> maker_;
  Progress start_;
  std::unique_ptr<Tracker> tracker_;
  std::unique_ptr<LoadDisplay> display_;
  std::mutex report_mutex_;
  std::ofstream rejects_;
  std::chrono::steady_clock::time_point progress_written_{};
  bool progress_failed_ = false;
};

int Load::prepare() {
  std::string error;
  server_ = resolve(options_.remote, error);
  if (!server_) return refuse(error);
  const auto retry_for = parse_duration(options_.retry_for);
  if (!retry_for) return refuse("--retry-for must be a duration such as 60s");
  retry_for_ = *retry_for;
  if (options_.delimiter != "\\t" && options_.delimiter != "tab" &&
      (options_.delimiter.size() != 1 ||
       std::string_view("\"\r\n").find(options_.delimiter[0]) != std::string_view::npos))
    return refuse("--delimiter must be one character (or tab)");
  batches_.dialect.delimiter = options_.delimiter.size() == 1 ? options_.delimiter[0] : '\t';
  batches_.keep_raw = !options_.rejects.empty();

  path_ = options_.file.empty() ? setting_from_environment("CSV_PATH").value_or("") : options_.file;
  if (path_.empty())
    return refuse("which file? Name it (tidemill load FILE.csv), or - for standard input, or set CSV_PATH");
  name_ = path_ == "-" ? "standard input" : path_;
  input_ = LoadInput::open(path_, stop_.flag(), error);
  if (!input_) return refuse(error);
  if (!options_.rejects.empty() && input_->is(options_.rejects))
    return refuse("--rejects " + options_.rejects +
                  " is the file to be loaded, and would be written over: name another");
  if (options_.resume && !input_->is_file())
    return refuse("--resume needs a file: what came through a pipe cannot be read again");

  target_ = server_->url.path;
  stream_name_ = target_.empty() ? options_.stream : stream_in(target_);
  if (target_.empty()) target_ = "/v1/streams/" + percent_encode(stream_name_) + "/records";
  if (!stream_name_.empty()) {
    LoadFailure failure;
    stream_ = ask_stream(*server_, stream_name_, retry_for_, stop_, failure);
    if (!stream_) return failed(failure);
    if (stream_->partition_key.empty())
      return refuse("the stream '" + stream_name_ +
                    "' has no partition key, so each row would need a request of its "
                    "own: give the stream one (partition_key, by PUT or `tidemill apply`)");
    batches_.key_column = stream_->partition_key;
  }
  if (!options_.key_column.empty()) batches_.key_column = options_.key_column;
  return choose_encoding_and_types();
}

int Load::choose_encoding_and_types() {
  std::string error;
  const bool declared = stream_ && !stream_->fields.empty();
  if (options_.encoding != "auto") {
    const auto encoding = csv::parse_encoding(options_.encoding);
    if (!encoding) return refuse("--encoding must be auto, utf-8 or windows-1252");
    batches_.encoding = *encoding;
  } else if (!input_->is_file()) {
    return refuse("a pipe cannot be read twice to find its encoding: say --encoding utf-8 or --encoding windows-1252");
  }
  if (input_->is_file()) {
    if (!examine(*input_, batches_.dialect, !declared, examined_, error)) return unreadable(error);
    if (options_.encoding == "auto") {
      if (!examined_.encoding)
        return refuse(path_ +
                      ": is neither UTF-8 nor windows-1252 (UTF-16?): convert it, for example with "
                      "iconv -f UTF-16 -t UTF-8");
      batches_.encoding = *examined_.encoding;
    }
    batches_.file_hash = examined_.hash;
  }

  maker_.emplace(*input_, batches_);
  if (!maker_->begin(error)) return unreadable(error);
  const std::vector<std::string>& columns = maker_->columns();
  const auto has = [&](const std::string& name) {
    return std::find(columns.begin(), columns.end(), name) != columns.end();
  };
  std::string names;
  for (const std::string& name : columns) names += (names.empty() ? "" : ", ") + name;
  if (batches_.key_column && !has(*batches_.key_column))
    return refuse(path_ + ": has no column '" + *batches_.key_column + "', the key of " +
                  (stream_ ? "the stream '" + stream_name_ + "'" : "the rows") + "; its columns are " + names +
                  delimiter_hint(columns));
  if (declared) {
    types_ = stream_->fields;
  } else if (examined_.types) {
    types_ = examined_.types->result(columns);
  } else {
    std::fprintf(stderr, "tidemill load: all columns are taken as text: a pipe cannot be read twice to find numbers\n");
  }
  for (const std::string& name : options_.text_columns) {
    if (!has(name)) return refuse("--text " + name + ": there is no such column; the columns are " + names);
    types_.erase(name);
  }
  maker_->set_types(types_);
  return kOk;
}

std::string Load::settings() const {
  std::string out = std::string(csv::name(batches_.encoding)) + " '" + batches_.dialect.delimiter + "' key " +
                    batches_.key_column.value_or("none");
  for (const auto& [name, type] : types_)
    if (type != FieldType::text) out += " " + name + (type == FieldType::integer ? ":integer" : ":number");
  return out;
}

// From the beginning, or where an earlier run stopped.
int Load::choose_start() {
  start_.file_size = examined_.size;
  start_.file_hash = examined_.hash;
  start_.target = "http://" + server_->url.authority() + target_;
  start_.settings = settings();
  if (options_.again) {
    std::random_device random;
    start_.nonce = std::to_string((std::uint64_t{random()} << 32) | random());
  }
  if (!input_->is_file()) {
    maker_->set_nonce(start_.nonce);
    return kOk;
  }
  progress_path_ = path_ + ".progress";
  if (options_.resume) {
    std::string error;
    const auto found = Progress::read(progress_path_, error);
    if (!found && !error.empty()) return refuse(error);
    if (!found) {
      std::fprintf(stderr,
                   "tidemill load: no %s: loading from the beginning (what is in already is not loaded twice)\n",
                   progress_path_.c_str());
    } else {
      std::string why;
      const bool changed = found->file_size != start_.file_size || found->file_hash != start_.file_hash;
      if (changed) {
        why = path_ +
              " has changed since; load it from the beginning (what is in already counts as new then), or "
              "bring the old file back";
        if (options_.force && !input_->row_begins_at(found->offset))
          return refuse("cannot resume: where the load stopped, at byte " + with_commas(found->offset) + ", " + path_ +
                        " has no beginning of a row any more; load it from the beginning");
      } else if (found->target != start_.target) {
        why = "that load went to " + found->target + ", not to " + start_.target;
      } else if (found->settings != start_.settings) {
        why = "that load read the file otherwise (" + found->settings + "; now " + start_.settings + ")";
      } else if (stream_ && stream_->next_sequence <= found->last_sequence) {
        why = "the stream is not the one that the load went to: it ends before what was loaded";
      } else if (stream_ && !found->in_flight.empty() &&
                 stream_->next_sequence - found->last_sequence > stream_->idempotency_keys) {
        why =
            "so much has come into the stream since that it may have forgotten what was in flight; rows could get in "
            "twice";
      }
      if (!why.empty() && !options_.force) return refuse("cannot resume: " + why + "; --force does it all the same");
      const Progress now = start_;
      start_ = *found;
      start_.target = now.target;
      start_.settings = now.settings;
      start_.file_size = now.file_size;
      start_.file_hash = now.file_hash;
      // Where nothing is final yet, the maker stands where it should: behind the header.
      if (start_.rows > 0 && !maker_->resume(start_.block, start_.rows, start_.line, start_.offset, error))
        return refuse(path_ + ": " + error);
      std::fprintf(stderr, "tidemill load: going on behind row %s\n", with_commas(start_.rows).c_str());
    }
  }
  maker_->set_nonce(start_.nonce);
  return kOk;
}

// Says what has become final, and keeps it. Any thread.
void Load::report(bool force) {
  const std::lock_guard lock(report_mutex_);
  for (const RejectedRow& row : tracker_->take_rejected()) {
    display_->say(name_ + ": line " + std::to_string(row.line) + ": " + row.message);
    if (rejects_.is_open()) rejects_ << row.raw << '\n';
  }
  const auto counts = tracker_->counts();
  display_->update(counts.offset, counts.rows);
  const auto now = std::chrono::steady_clock::now();
  if (progress_path_.empty() || progress_failed_ ||
      (!force && now - progress_written_ < std::chrono::milliseconds(200)))
    return;
  progress_written_ = now;
  rejects_.flush();
  if (tracker_->progress().write(progress_path_)) return;
  progress_failed_ = true;
  display_->say("tidemill load: " + progress_path_ +
                " cannot be written; this load cannot be resumed if it is interrupted");
}

int Load::transfer() {
  if (!options_.rejects.empty()) {
    const bool more = options_.resume && start_.rows > 0;
    rejects_.open(options_.rejects, std::ios::binary | (more ? std::ios::app : std::ios::trunc));
    if (!more) rejects_ << maker_->header() << '\n';
    rejects_.flush();
    if (!rejects_) return refuse(options_.rejects + ": cannot be written");
  }
  tracker_ = std::make_unique<Tracker>(start_);
  display_ = std::make_unique<LoadDisplay>(input_->is_file() ? examined_.size : 0, options_.quiet);
  display_->update(start_.offset, 0);

  Sender sender(
      {*server_, target_, options_.connections, retry_for_}, stop_,
      [this](BatchResult result) {
        tracker_->answered(std::move(result));
        report(false);
      },
      [this](const std::string& problem) {
        const std::lock_guard lock(report_mutex_);
        display_->say_once("tidemill load: " + problem + "; trying on");
      });
  BlockOfRows block;
  std::string error;
  bool going = true;
  while (going && !stop_.stopped() && maker_->next(block, error)) {
    tracker_->sent(block);
    // Kept before anything of it goes out: whatever happens then, the next run knows that it may have been sent.
    report(block.number == start_.block);
    for (Batch& batch : block.batches) going = going && sender.send(std::move(batch));
  }
  const auto failure = sender.finish();
  report(true);
  display_->finish();
  return summary(failure, error);
}

int Load::summary(const std::optional<LoadFailure>& failure, const std::string& read_error) {
  const auto counts = tracker_->counts();
  const Progress end = tracker_->progress();
  const double seconds = display_->seconds();
  const std::string into = stream_ ? "'" + stream_name_ + "'" : start_.target;
  const bool resumed = start_.rows > 0;
  const bool stopped = failure || !read_error.empty() || stop_.stopped();

  if (!stopped && counts.accepted > 0 && counts.replayed == counts.accepted && !resumed) {
    print("already loaded by an earlier run: " + count_of_rows(counts.accepted) + " of " + name_ + " into " + into +
          " (--again loads them once more)\n");
  } else {
    char speed[64];
    const auto loaded = counts.accepted - counts.replayed;
    std::snprintf(speed, sizeof speed, "%.2f s (%s rows/s)\n", seconds,
                  with_commas(static_cast<std::uint64_t>(static_cast<double>(loaded) / seconds)).c_str());
    print(count_of_rows(loaded) + " of " + name_ + " loaded into " + into + " in " + speed);
    if (counts.replayed > 0) print(count_of_rows(counts.replayed) + " already loaded by an earlier run\n");
  }
  if (counts.rejected > 0)
    print(count_of_rows(counts.rejected) + " rejected" +
          (options_.rejects.empty() ? " (--rejects FILE keeps them)" : ", kept in " + options_.rejects) + "\n");
  if (resumed)
    print("with the earlier runs: " + count_of_rows(end.accepted) + " loaded, " + with_commas(end.rejected) +
          " rejected\n");
  flush();

  if (!stopped) {
    if (!progress_path_.empty()) std::remove(progress_path_.c_str());
    return end.rejected > 0 ? kPartly : kOk;
  }
  int code = kInterrupted;
  if (failure) {
    code = failed(*failure);
  } else if (!read_error.empty() && !stop_.stopped()) {
    code = refuse(name_ + ": " + read_error);
  } else {
    std::fprintf(stderr, "tidemill load: interrupted\n");
  }
  if (code == kWrongUse && end.rows == 0 && counts.accepted == 0) {  // nothing to go on with
    if (!progress_path_.empty()) std::remove(progress_path_.c_str());
    return code;
  }
  if (!progress_path_.empty() && !progress_failed_)
    std::fprintf(stderr, "tidemill load: to go on behind row %s: the same command with --resume\n",
                 with_commas(end.rows).c_str());
  return code;
}

}  // namespace

int load(const LoadOptions& options) {
  return Load(options).run();
}

}  // namespace tidemill::cli

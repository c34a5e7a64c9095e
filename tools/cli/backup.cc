#include "engine/backup.h"

#include "engine/data_reader.h"
#include "storage/base/errors.h"
#include "tools/cli/commands.h"
#include "tools/cli/looking.h"
#include "tools/cli/output.h"

namespace tidemill::cli {
namespace {

std::string plain(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// What a backup or a restore could not do, and what to do then.
std::string cannot(const ErrorCode& error, const std::string& backup, const std::string& data, bool online) {
  if (error == BackupErrc::not_a_backup)
    return backup + " holds other files than a backup's; choose an empty directory, or one with earlier backups";
  if (error == BackupErrc::other_instance) return backup + " holds backups of another data directory; choose another";
  if (error == BackupErrc::backup_in_use) return "a backup is being made in " + backup + "; wait for it";
  if (error == BackupErrc::backup_damaged)
    return "the backup in " + backup + " is damaged and nothing was restored from it; use another copy of it";
  if (error == BackupErrc::backup_too_new)
    return "the backup in " + backup + " was made by a later version of Tidemill; use that version's program";
  if (error == BackupErrc::no_backup) return "no backup was ever finished in " + backup;
  if (error == BackupErrc::target_not_empty)
    return data + " is not empty; choose a directory that is not there yet, or remove what is in it";
  if (error == BackupErrc::changing_too_fast)
    return "files went away again and again while they were copied (retention); try again later";
  if (error == boost::system::errc::no_space_on_device)
    return "the disk is full; the backup before this one, if there was one, is as it was";
  return cannot_look(error, data, online);
}

}  // namespace

int backup(const BackupCommand& options) {
  const bool online = !options.remote.url.empty();
  std::optional<Server> server;
  if (online) {
    std::string error;
    server = resolve(options.remote, error);
    if (!server) return wrong_use("backup", error);
  }
  Looking looking;
  BackupOptions what;
  what.data = plain(options.data);
  what.to = plain(options.to);
  what.link = !options.copy;
  if (options.with_instance_key) what.with_instance_key = &system_private_files();
  if ((what.to + "/").starts_with(what.data + "/"))
    return wrong_use("backup", "a backup inside of the data directory goes with it; choose another directory");
  int asked = kOk;
  // Offline it holds the directory's lock; else it makes sure that this is the server's directory.
  std::optional<DataCut> cut;
  if (online) {
    auto first = ask_cut(*server, "backup", asked);
    if (!first) return asked;
    cut = std::move(*first);
  }
  const auto reader = DataReader::open(looking.env, what.data, std::move(cut));
  if (!reader) return wrong_use("backup", cannot(reader.error(), what.to, what.data, online));
  if (online) {
    what.cut = [&] { return ask_cut(*server, "backup", asked); };
  } else {
    what.cut = [&] { return (*reader)->cut_at_rest(); };
  }
  const auto done = make_backup(looking.writing, what);
  if (asked != kOk) return asked;
  if (!done && done.error() == StorageErrc::damaged)
    return wrong_use("backup", "the logs in " + what.data +
                                   " are damaged; `tidemill verify` says where. Nothing was "
                                   "changed in " +
                                   what.to);
  if (!done) return wrong_use("backup", cannot(done.error(), what.to, what.data, online));
  std::uint64_t records = 0;
  for (const BackupStream& s : done->content.streams) records += s.id == StreamId(0) ? 0 : s.last.value();
  print("backup " + std::to_string(done->content.number) + " in " + what.to + ": streams " +
        std::to_string(done->content.streams.size() - 1) + ", last sequences together " + std::to_string(records) +
        ", files " + std::to_string(done->content.files.size()) + " (linked " + std::to_string(done->linked) +
        ", copied " + std::to_string(done->copied) + ", kept " + std::to_string(done->kept) + "), bytes copied " +
        std::to_string(done->copied_bytes) + "\n");
  return kOk;
}

int restore(const RestoreCommand& options) {
  if (options.data.empty() && !options.check)
    return wrong_use("restore", "say where to with --data DIR; or --check, which only looks");
  Looking looking;
  RestoreOptions what;
  what.from = plain(options.from);
  what.data = plain(options.data);
  what.check_only = options.check;
  what.private_files = &system_private_files();
  const auto done = restore_backup(looking.writing, what, [&](const Finding& f) {
    print("damage " + f.kind + " " + f.file + " offset " + std::to_string(f.offset.value()) + ": " + f.text + "\n");
  });
  if (!done) {
    if (done.error() == boost::system::errc::no_such_file_or_directory)
      return wrong_use("restore", what.from + " is not there");
    wrong_use("restore", cannot(done.error(), what.from, what.data, false));
    return done.error() == BackupErrc::backup_damaged ? kPartly : kWrongUse;
  }
  print((options.check ? "nothing is damaged in backup " : "restored backup ") + std::to_string(done->number) + " of " +
        format_rfc3339(done->taken) + ": files " + std::to_string(done->files.size()) + "\n");
  for (const BackupStream& s : done->streams)
    if (s.id != StreamId(0))
      print("stream " + s.name + ": first " + std::to_string(s.first.value()) + " last " +
            std::to_string(s.last.value()) + "\n");
  return kOk;
}

}  // namespace tidemill::cli

#pragma once

#include <memory>

namespace rocksdb {
class Env;
class Logger;
}  // namespace rocksdb

namespace tidemill {

class FileSystem;
class Logger;

namespace views {

// RocksDB's files, through the seam: so the simulated disk cuts its power, fails and fills up like everybody's.
// `files` must outlive the result and all that RocksDB made with it. Any thread; RocksDB brings threads of its own.
//
// What it does that RocksDB's own does not:
//   an error of a write is told by the file's next sync, not by the write   RocksDB, as Debian builds it, stops the
//                            process when it touches a file again whose write has failed; it takes a failed sync well.
//                            Nothing counts before its sync in any case
//   a rename syncs the directory first   the file that CURRENT names must be there before CURRENT names it; RocksDB
//                            leaves that to file systems that keep changes of names in order
//   sleeps are short         after an error in the background RocksDB sleeps for a second before anybody hears of it
std::unique_ptr<rocksdb::Env> make_rocks_env(FileSystem& files);

// What RocksDB has to say, from warnings up, to our log; it writes no LOG file then.
std::shared_ptr<rocksdb::Logger> make_rocks_logger(Logger& logger);

}  // namespace views
}  // namespace tidemill

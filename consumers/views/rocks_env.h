#pragma once

#include <memory>

namespace rocksdb {
class Env;
class Logger;
}  // namespace rocksdb

namespace tidemill {

class Clock;
class FileSystem;
class Logger;

namespace views {

// RocksDB's files, through the seam: so the simulated disk cuts its power, fails and fills up like everybody's.
// RocksDB sleeps by the clock of the seam; it sleeps for a second after an error.
// `files` and `clock` must outlive the result and all that RocksDB made with it. Any thread; RocksDB brings threads of
// its own.
//
// What it does that RocksDB's own does not:
//   an error of a write is told by the file's next sync, not by the write   RocksDB, as Debian builds it, stops the
//                            process when it touches a file again whose write has failed; it takes a failed sync well.
//                            Nothing counts before its sync in any case
//   a rename syncs the directory first   the file that CURRENT names must be there before CURRENT names it; RocksDB
//                            leaves that to file systems that keep changes of names in order
std::unique_ptr<rocksdb::Env> make_rocks_env(FileSystem& files, Clock& clock);

// What RocksDB has to say, from warnings up, to our log, each kind of line once a minute at most; it writes no LOG file
// then.
std::shared_ptr<rocksdb::Logger> make_rocks_logger(Logger& logger, Clock& clock);

}  // namespace views
}  // namespace tidemill

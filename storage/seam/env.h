#pragma once

namespace tidemill {

class FileSystem;
class Clock;
class Random;
class Executor;
class Logger;

// Everything that a part of storage or engine may touch outside of its own memory. Made by main (or by a test),
// outlives all parts.
struct Env {
  FileSystem& files;
  Clock& clock;
  Random& random;
  Executor& flush;       // commits: few threads, nothing else runs here
  Executor& background;  // reads, groups, zero-filling, marks, rotation
  Logger& logger;
};

}  // namespace tidemill

#pragma once

#include <string>

#include "storage/base/result.h"

namespace tidemill {

// What the disk knows of who may read a file. For the few that hold secrets; beside FileSystem, for nothing else asks.
class PrivateFiles {
 public:
  virtual ~PrivateFiles() = default;
  // Makes an empty file that only its owner may read and write (EEXIST where it is there), to be written through
  // FileSystem. Its name is durable like any other's.
  virtual Result<void> create(const std::string& path) = 0;
  // Whether anybody but its owner may read or write it.
  virtual Result<bool> open_to_others(const std::string& path) = 0;
};

PrivateFiles& system_private_files();  // the kernel's

}  // namespace tidemill

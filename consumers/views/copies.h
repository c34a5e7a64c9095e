#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "storage/base/result.h"
#include "storage/seam/env.h"

namespace tidemill::views {

// The numbered copies of a database below one directory (DATA/views.bases, DATA/views.history): directories named by
// their numbers, from 1. The next one is made aside and only counts when it is on disk under its number; what is there
// besides is of a crash, and is removed. Blocks. One thread at a time but for path().
class Copies {
 public:
  // `what`: they are, for the log: "base of the views".
  Copies(Env& env, std::string directory, const char* what)
      : env_(env), directory_(std::move(directory)), what_(what) {}

  const std::string& directory() const { return directory_; }
  std::string path(std::uint64_t number) const { return directory_ + "/" + std::to_string(number); }
  std::string aside() const { return directory_ + "/making"; }

  Result<std::vector<std::uint64_t>> numbers() const;  // ascending
  // What stands there by name is on disk; the directory itself is made where `make` says so. Before any copy is removed
  // because of another. false: there is no directory.
  enum class Missing { leave, make };
  Result<bool> settle(Missing missing) const;
  // What is complete in aside() becomes `number`; on disk when it returns.
  Result<void> keep(std::uint64_t number) const;
  // These fail harmlessly: whoever comes next does it. remove_others() says so to the log.
  void remove_aside() const;
  void remove_others(const std::set<std::uint64_t>& kept) const;

 private:
  Env& env_;
  const std::string directory_;
  const char* const what_;
};

}  // namespace tidemill::views

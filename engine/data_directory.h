#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/qualified_name.h"
#include "storage/base/ids.h"
#include "storage/base/result.h"
#include "storage/seam/env.h"
#include "storage/seam/file_system.h"

namespace tidemill {

// DATA and what lies where in it (docs/formats/directory.md). Held as long as the server runs, with its lock. Paths may
// be asked for by any thread.
class DataDirectory {
 public:
  static constexpr std::uint32_t kLayout = 1;

  // Makes what is missing; durable when it returns. directory_in_use; layout_too_new; damaged (DATA/TIDEMILL cannot be
  // read, or is missing where there are streams; or streams/0 is missing where the marker is); not_a_data_directory;
  // errno. Says the sentence to env.logger.
  static Result<std::unique_ptr<DataDirectory>> open(Env& env, const std::string& path);

  // One that is there, for who only looks: nothing is made. `lock`: no server may use it meanwhile (directory_in_use);
  // where there is not even a lock file, none ever has. Says nothing to the logger.
  static Result<std::unique_ptr<DataDirectory>> open_read_only(Env& env, const std::string& path, bool lock);

  const std::string& path() const { return path_; }
  const std::string& instance() const { return instance_; }  // 32 hex digits, made with the directory
  std::string streams() const { return path_ + "/streams"; }
  std::string stream(StreamId id) const { return streams() + "/" + std::to_string(id.value()); }
  std::string views() const { return path_ + "/views"; }
  std::string archive() const { return path_ + "/archive"; }
  // archive/STREAM, and archive/_tenants/TENANT/STREAM of another than the default tenant: no stream's name begins with
  // `_`, and what is moved aside (consumers/archive) is _ID-STREAM, so that no name can lead into another's.
  std::string archive(const QualifiedName& stream) const {
    return archive() + (stream.tenant == kDefaultTenant ? "/" : "/_tenants/" + stream.tenant + "/") + stream.name;
  }

 private:
  DataDirectory() = default;
  std::string path_;
  std::string instance_;
  std::unique_ptr<DirectoryLock> lock_;
};

}  // namespace tidemill

#include "tools/cli/looking.h"

#include <filesystem>

#include "engine/data_directory.h"
#include "engine/errors.h"
#include "storage/base/errors.h"

namespace tidemill::cli {
namespace {

bool marker_is_good(const std::string& data) {
  Looking looking;
  return DataDirectory::open_read_only(looking.env, data, false).has_value();
}

bool has_system_stream(const std::string& data) {
  std::error_code failed;
  for (const auto& file : std::filesystem::directory_iterator(data + "/streams/0", failed))
    if (file.path().extension() == ".seg") return true;
  return false;
}

}  // namespace

Result<DataCut> ask_cut(const Server& server, std::string_view command, int& exit_code) {
  const Answer answer = call(server, command, server.request("GET", "/v1/cut"));
  exit_code = answer.exit_code;
  if (answer.exit_code != kOk) return make_error_code(StorageErrc::closed);
  auto cut = decode_cut(answer.response.body);
  if (cut) return std::move(*cut);
  exit_code = wrong_use(command, "the server's answer to GET /v1/cut is not understood; is it of another version?");
  return make_error_code(StorageErrc::closed);
}

std::string cannot_look(const ErrorCode& error, const std::string& data, bool online) {
  if (error == StorageErrc::directory_in_use)
    return "a server uses " + data + ": go through it with --url, or stop it first";
  if (error == StorageErrc::layout_too_new)
    return data + " was written by a later version of Tidemill; use that version's program";
  if (error == EngineErrc::not_a_data_directory) return data + " is not a data directory";
  const bool not_there = error == boost::system::errc::no_such_file_or_directory;
  std::error_code ignored;
  const bool ours = std::filesystem::exists(data + "/TIDEMILL", ignored);
  if (ours && (not_there || error == StorageErrc::damaged) && !has_system_stream(data))
    return data +
           "/streams/0, the system stream, is missing or empty although the directory was used; restore the directory "
           "from a backup (tidemill restore)";
  if (ours && not_there) return "a file of " + data + " is missing: `tidemill verify --data " + data + "` says which";
  if (error == StorageErrc::damaged && marker_is_good(data))
    return "the logs of " + data + " are damaged: `tidemill verify --data " + data +
           "` says where; restore the directory from a backup (tidemill restore)";
  if (error == StorageErrc::damaged)
    return data + "/TIDEMILL is missing or damaged although the directory was used; restore that file from a backup";
  if (online && error == StorageErrc::invalid_argument)
    return "the server at --url uses another data directory than " + data + "; say which with --data";
  if (not_there) return data + " is not there; say which with --data";
  if (error == boost::system::errc::permission_denied)
    return "this user may not read " + data + "; run it as the server's user";
  return "cannot read " + data + ": " + error.message();
}

}  // namespace tidemill::cli

#pragma once

#include "storage/base/result.h"

namespace tidemill {

// What storage can say beyond errno (which it passes on in the generic category: ENOSPC, EIO ...; see errno_error()).
enum class StorageErrc {
  directory_in_use = 1,  // another process holds the data directory
  layout_too_new,        // written by a later version
  damaged,               // bytes that were durable are not what was written
  flush_failed,          // nobody knows whether the records are on disk; the outcome is unknown
  not_accepting,         // the stream serves reads only, after a flush that could not be sealed
  closed,                // draining or deleted
  throttled,             // too much in flight, try again
  request_too_large,     // would not fit a commit
  key_reused,            // the idempotency key came before, with another body
  keys_unread,           // the keys of before cannot be read just now: nobody knows whether this one is among them
  before_start,          // the sequence lies before the log's start (retention)
  beyond_end,            // the sequence is further than what is durable
  invalid_argument,
  too_many_files,  // no file descriptor is left; nothing is wrong with the disk
};

ErrorCode make_error_code(StorageErrc e);
ErrorCode errno_error(int value);  // in the generic category; EMFILE and ENFILE are too_many_files

}  // namespace tidemill

template <>
struct boost::system::is_error_code_enum<tidemill::StorageErrc> : std::true_type {};

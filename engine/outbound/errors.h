#pragma once

#include "storage/base/result.h"

namespace tidemill {

// Why a request to somebody else's server got no reply. The caller's words for its own users; what was found behind a
// name stands in the log only, for it tells of the operator's network.
enum class OutboundErrc {
  url_invalid = 1,     // no absolute URL, or one with user, fragment, a zone, or a host that is no name and no address
  scheme_not_allowed,  // https only, unless options say more
  port_not_allowed,
  request_invalid,    // a method or header that cannot be sent, or too large
  name_not_found,     // no such name, no answer to that, or none with an address
  address_refused,    // one of the addresses is not public, and no exception names it
  connection_failed,  // to none of the addresses
  not_trusted,        // the certificate is not for that name, or of nobody that is believed
  tls_failed,
  timed_out,
  reply_invalid,  // no HTTP, or framing that could be read in two ways
  head_too_large,
  body_too_large,
  cut_off,  // before the reply was whole
};
ErrorCode make_error_code(OutboundErrc e);

}  // namespace tidemill

template <>
struct boost::system::is_error_code_enum<tidemill::OutboundErrc> : std::true_type {};

#include "engine/outbound/errors.h"

#include <string>

namespace tidemill {
namespace {

class OutboundCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "tidemill.outbound"; }
  std::string message(int code) const override {
    switch (static_cast<OutboundErrc>(code)) {
      case OutboundErrc::url_invalid:
        return "the URL must be https://HOST/PATH, without user, password and fragment";
      case OutboundErrc::scheme_not_allowed:
        return "the URL's scheme is not allowed";
      case OutboundErrc::port_not_allowed:
        return "the URL's port is not allowed";
      case OutboundErrc::request_invalid:
        return "the method, a header or the size of the body cannot be sent";
      case OutboundErrc::name_not_found:
        return "the host's name was not found";
      case OutboundErrc::address_refused:
        return "the host is not on the public Internet, and the operator has made no exception for it";
      case OutboundErrc::connection_failed:
        return "the host takes no connection";
      case OutboundErrc::not_trusted:
        return "the host's certificate is not for its name, or of an authority that is not believed";
      case OutboundErrc::tls_failed:
        return "the host does not speak TLS as it should";
      case OutboundErrc::timed_out:
        return "the host took too long";
      case OutboundErrc::reply_invalid:
        return "the host's reply is not HTTP as it should be";
      case OutboundErrc::head_too_large:
        return "the header of the host's reply is too large";
      case OutboundErrc::body_too_large:
        return "the host's reply is too large";
      case OutboundErrc::cut_off:
        return "the host's reply was cut off";
    }
    return "unknown error of an outbound request";
  }
};

}  // namespace

ErrorCode make_error_code(OutboundErrc e) {
  static const OutboundCategory category;
  return {static_cast<int>(e), category};
}

}  // namespace tidemill

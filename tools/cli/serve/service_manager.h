#pragma once

#include <string>
#include <string_view>

namespace tidemill::cli {

// Whoever started this process and wants to know how it is: systemd, for a unit of Type=notify. `socket` is what it put
// into NOTIFY_SOCKET; without one, nothing is told to anybody. What cannot be told is not: it must stop no server.
class ServiceManager {
 public:
  explicit ServiceManager(const char* socket) : socket_(socket ? socket : "") {}

  void ready(const std::string& url) const { tell("READY=1\nSTATUS=serving " + url); }
  void stopping() const { tell("STOPPING=1\nSTATUS=answering what is under way, letting the groups catch up"); }

 private:
  void tell(std::string_view state) const;

  std::string socket_;
};

}  // namespace tidemill::cli

#include "tools/cli/serve/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>

namespace tidemill::cli {
namespace {

// What systemd does: a datagram socket by the name that it hands over; '@' stands for the zero of an abstract one.
struct Listener {
  explicit Listener(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0) ADD_FAILURE() << std::strerror(errno);
  }
  ~Listener() { ::close(fd); }

  // Sent and received within one kernel: it is there or it was not sent.
  std::string next() {
    char text[512];
    const ssize_t n = ::recv(fd, text, sizeof text, MSG_DONTWAIT);
    return n < 0 ? "nothing" : std::string(text, static_cast<std::size_t>(n));
  }

  const int fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
};

TEST(ServiceManager, IsToldByPathAndByAbstractName) {
  const std::string path = testing::TempDir() + "tidemill-notify-" + std::to_string(::getpid());
  for (const std::string& name : {path, "@" + path}) {
    Listener systemd(name);
    const ServiceManager manager(name.c_str());
    manager.ready("http://127.0.0.1:7077");
    EXPECT_EQ(systemd.next(), "READY=1\nSTATUS=serving http://127.0.0.1:7077");
    manager.stopping();
    EXPECT_EQ(systemd.next().substr(0, 11), "STOPPING=1\n");
  }
  ::unlink(path.c_str());
}

TEST(ServiceManager, NobodyListens) {
  for (const std::string& name : {std::string(), std::string("/nowhere/notify"), std::string(300, 'x')})
    ServiceManager(name.c_str()).ready("");  // says nothing, and stops nothing
  ServiceManager(nullptr).stopping();
}

}  // namespace
}  // namespace tidemill::cli

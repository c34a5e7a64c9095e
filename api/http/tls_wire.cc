#include "api/http/tls_wire.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "api/http/openssl.h"
#include "storage/base/check.h"

namespace tidemill::http {
namespace {

TlsWire& wire_of(BIO* bio) {
  return *static_cast<TlsWire*>(BIO_get_data(bio));
}

int wire_write(BIO* bio, const char* bytes, std::size_t size, std::size_t* sent) {
  BIO_clear_retry_flags(bio);
  for (;;) {
    const ssize_t n = ::send(wire_of(bio).socket, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) return *sent = static_cast<std::size_t>(n), 1;
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) BIO_set_retry_write(bio);
    return 0;
  }
}

int wire_read(BIO* bio, char* into, std::size_t room, std::size_t* got) {
  BIO_clear_retry_flags(bio);
  TlsWire& wire = wire_of(bio);
  while (!wire.empty) {
    const ssize_t n = ::recv(wire.socket, into, room, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return 0;
    if (n == 0) {
      BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
      return 0;
    }
    if (n < 0) break;
    if (!std::exchange(wire.any, true)) wire.first = static_cast<unsigned char>(into[0]);
    wire.empty = static_cast<std::size_t>(n) < room;
    *got = static_cast<std::size_t>(n);
    return 1;
  }
  BIO_set_retry_read(bio);
  return 0;
}

long wire_control(BIO* bio, int what, long, void*) {
  if (what == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return what == BIO_CTRL_FLUSH || what == BIO_CTRL_DUP ? 1 : 0;
}

BIO_METHOD* wire_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tidemill socket");
    CHECK(m);
    BIO_meth_set_write_ex(m, wire_write);
    BIO_meth_set_read_ex(m, wire_read);
    BIO_meth_set_ctrl(m, wire_control);
    return m;
  }();
  return method;
}

}  // namespace

bio_st* new_wire_bio(TlsWire& wire) {
  BIO* bio = BIO_new(wire_method());
  if (!bio) return nullptr;
  BIO_set_data(bio, &wire);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace tidemill::http

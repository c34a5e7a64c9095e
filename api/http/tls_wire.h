#pragma once

struct bio_st;

namespace tidemill::http {

// A non-blocking socket as OpenSSL reads and writes it. Its own BIO for sockets raises SIGPIPE, and asks a socket once
// more that has just given less than it was asked for.
struct TlsWire {
  int socket = -1;
  bool empty = false;  // a read has got less than it asked for: the socket has no more until it is waited for
  bool any = false;
  unsigned char first = 0;  // byte of all that came
};

// Over `wire`, which must outlive it; owned by whoever it is given to. nullptr: no memory.
bio_st* new_wire_bio(TlsWire& wire);

}  // namespace tidemill::http

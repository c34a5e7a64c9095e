#include "api/http/parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>
#include <optional>
#include <vector>

#include "api/http/target.h"

namespace tidemill::http {
namespace {

namespace beast = boost::beast;
using boost::beast::http::field;

std::string_view view(beast::string_view s) {
  return {s.data(), s.size()};
}

bool digit(char c) {
  return c >= '0' && c <= '9';
}

bool digits_only(std::string_view s) {
  if (s.empty() || s.size() > 19) return false;
  return std::all_of(s.begin(), s.end(), digit);
}

// Does the line end as a request line of some version of HTTP does?
bool names_a_version(std::string_view line) {
  const std::size_t end = line.find_first_of("\r\n");
  if (end == std::string_view::npos || !line.substr(end).starts_with("\r\n")) return false;
  line = line.substr(0, end);
  constexpr std::string_view kName = " HTTP/";
  if (line.size() < kName.size() + 3 || line.find("  ") != std::string_view::npos) return false;
  const std::string_view version = line.substr(line.size() - 3);
  return line.substr(line.size() - 3 - kName.size(), kName.size()) == kName && digit(version[0]) && version[1] == '.' &&
         digit(version[2]);
}

// What the callbacks leave.
struct Parsed {
  Request request;
  std::vector<Header> headers;
  std::string_view target;
  char* body = nullptr;
  std::size_t body_size = 0;
  std::optional<ErrorId> refusal;
  std::size_t header_bytes_max = 0;
  std::size_t header_count_max = 0;
  std::size_t body_bytes_max = 0;
  const char* data = nullptr;  // the buffer of this feed()
  const char* end = nullptr;
  bool header_done = false;
  bool wants_continue = false;
  bool http_10 = false;
  int hosts = 0;
  int lengths = 0;
  int encodings = 0;
  std::uint64_t chunk_left = 0;  // bytes of the chunk at hand that have not come
};

// Where it is stricter than Beast, it is because two programs in a chain must never disagree about where a request
// ends: one Content-Length of digits, no second one even if equal, no list; Transfer-Encoding only "chunked", only in
// HTTP/1.1; no folded header lines; no line feed within the extension of a chunk.
class Parser final : public beast::http::basic_parser<true> {
 public:
  explicit Parser(Parsed& p) : p_(p) {
    eager(false);  // after each put it is known where the header, or a chunk's, has ended
    body_limit(boost::none);
    // Beast counts request line and fields each for itself; feed() counts them together. This one only bounds a search.
    constexpr std::uint32_t kSlack = 64;
    header_limit(static_cast<std::uint32_t>(p.header_bytes_max) + kSlack);
  }

 private:
  void refuse(ErrorId id, beast::error_code& ec) {
    p_.refusal = id;
    ec = beast::http::error::bad_value;
  }
  // Is the field one line: name, colon, value, CR LF, and no white space at the start of the next? Beast unfolds values
  // (in memory of its own, or, where only one of the lines has something on it, in place).
  bool one_line(std::string_view name, std::string_view value) const {
    const auto white = [](char c) { return c == ' ' || c == '\t'; };
    const char* at = name.data() + name.size();
    if (at < p_.data || at >= p_.end || *at != ':') return false;
    for (++at; at < p_.end && white(*at);) ++at;
    if (!value.empty()) {
      if (value.data() != at) return false;
      for (at += value.size(); at < p_.end && white(*at);) ++at;
    }
    return p_.end - at >= 3 && at[0] == '\r' && at[1] == '\n' && !white(at[2]);
  }

  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                       beast::error_code& ec) override {
    p_.request.method = view(method);
    p_.target = view(target);
    p_.http_10 = version == 10;
    if (version != 10 && version != 11) refuse(ErrorId::http_version, ec);
  }

  void on_field_impl(field name, beast::string_view name_text, beast::string_view value_text,
                     beast::error_code& ec) override {
    const std::string_view value = view(value_text);
    if (!one_line(view(name_text), value)) return refuse(ErrorId::bad_request, ec);
    if (p_.headers.size() >= p_.header_count_max) return refuse(ErrorId::header_too_large, ec);
    if (p_.header_done) {  // a trailer: counted, and dropped
      if (++trailers_ > p_.header_count_max) return refuse(ErrorId::header_too_large, ec);
      // It would be too late.
      if (name == field::content_length || name == field::transfer_encoding) refuse(ErrorId::bad_framing, ec);
      return;
    }
    p_.headers.push_back({view(name_text), value});
    switch (name) {
      case field::host:
        ++p_.hosts;
        if (!valid_host(value)) refuse(ErrorId::host_missing, ec);
        break;
      case field::content_length:
        if (++p_.lengths > 1 || !digits_only(value)) refuse(ErrorId::bad_framing, ec);
        break;
      case field::transfer_encoding:
        if (++p_.encodings > 1 || !iequals(value, "chunked")) refuse(ErrorId::bad_framing, ec);
        break;
      case field::expect:
        if (!iequals(value, "100-continue")) return refuse(ErrorId::expectation_failed, ec);
        p_.wants_continue = true;
        break;
      default:
        break;
    }
  }

  void on_header_impl(beast::error_code& ec) override {
    p_.header_done = true;
    if (p_.lengths && p_.encodings) return refuse(ErrorId::bad_framing, ec);
    if (p_.encodings && p_.http_10) return refuse(ErrorId::bad_framing, ec);
    if (p_.http_10 ? p_.hosts > 1 : p_.hosts != 1) return refuse(ErrorId::host_missing, ec);
    if (p_.http_10) p_.wants_continue = false;
    const auto length = content_length();
    if (length && *length > p_.body_bytes_max) return refuse(ErrorId::body_too_large, ec);
    p_.request.has_length = p_.lengths || p_.encodings;
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}

  std::size_t on_body_impl(beast::string_view part, beast::error_code&) override {
    if (!p_.body) p_.body = const_cast<char*>(part.data());
    p_.body_size += part.size();
    return part.size();
  }

  void on_chunk_header_impl(std::uint64_t size, beast::string_view extension, beast::error_code& ec) override {
    for (const char c : extension) {
      if ((static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f') return refuse(ErrorId::bad_framing, ec);
    }
    if (size > p_.body_bytes_max || p_.body_size + size > p_.body_bytes_max) refuse(ErrorId::body_too_large, ec);
    p_.chunk_left = size;
  }

  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view part, beast::error_code&) override {
    char* from = const_cast<char*>(part.data());
    if (!p_.body) p_.body = from;
    if (p_.body + p_.body_size != from) std::memmove(p_.body + p_.body_size, from, part.size());
    p_.body_size += part.size();
    p_.chunk_left -= part.size();
    return part.size();
  }

  void on_response_impl(int, beast::string_view, int, beast::error_code&) override {}
  void on_finish_impl(beast::error_code&) override {}

  Parsed& p_;
  std::size_t trailers_ = 0;
};

ErrorId refusal_of(const beast::error_code& ec) {
  using beast::http::error;
  if (ec == error::header_limit) return ErrorId::header_too_large;
  if (ec == error::bad_version) return ErrorId::http_version;
  if (ec == error::bad_target) return ErrorId::target_invalid;
  if (ec == error::bad_content_length || ec == error::multiple_content_length || ec == error::bad_transfer_encoding ||
      ec == error::bad_chunk || ec == error::bad_chunk_extension) {
    return ErrorId::bad_framing;
  }
  return ErrorId::bad_request;
}

}  // namespace

struct RequestParser::Impl {
  // Of the request line and the fields; false: it is no target of ours.
  bool finish_head();

  Parsed parsed;
  std::optional<Parser> parser;
  std::size_t framing_taken = 0;  // of the header, or of the chunk's header or trailers, at hand
  bool blank_line = false;        // one was read over before the request line
  bool started = false;
};

RequestParser::RequestParser() = default;
RequestParser::~RequestParser() = default;

void RequestParser::park() {
  impl_.reset();
}

void RequestParser::begin(const Limits& limits) {
  if (!impl_) impl_ = std::make_unique<Impl>();
  auto headers = std::move(impl_->parsed.headers);
  headers.clear();
  impl_->parsed = Parsed{};
  impl_->parsed.headers = std::move(headers);
  impl_->parsed.header_bytes_max = limits.header_bytes;
  impl_->parsed.header_count_max = limits.header_count;
  impl_->parsed.body_bytes_max = limits.body_bytes;
  impl_->parser.emplace(impl_->parsed);
  impl_->framing_taken = 0;
  impl_->blank_line = false;
  impl_->started = false;
}

RequestParser::Step RequestParser::feed(char* data, std::size_t size, std::size_t& taken) {
  Impl& i = *impl_;
  Parsed& p = i.parsed;
  taken = 0;
  if (!i.started) {
    // Some clients end a body with a line end too many (RFC 9112, 2.2). One, and whole: what else stands there another
    // program might take for part of a request.
    if (!i.blank_line && size > 0 && data[0] == '\r') {
      if (size == 1) return Step::need_more;
      if (data[1] == '\n') {
        taken = 2;
        i.blank_line = true;
      }
    }
    if (taken == size) return Step::need_more;
    i.started = true;
  }
  p.data = data;
  p.end = data + size;
  beast::error_code ec;
  const char* const begin = data + taken;
  // The limit holds for whole units, so that it does not matter how the network cut them: the header; a chunk's size
  // and extension; the last chunk with its trailers.
  const auto framing = [&] { return !p.header_done || (p.encodings != 0 && p.chunk_left == 0); };
  const auto too_large = [&](std::size_t more) { return i.framing_taken + more > p.header_bytes_max; };
  bool refused = false;
  while (taken < size && !i.parser->is_done() && !refused) {
    // Beast aborts where a last chunk comes as "0", CR, LF and then one more byte alone. Between chunks at least "0"
    // and two line ends are to come, so nothing is lost by waiting for them.
    constexpr std::size_t kLastChunk = 5;
    const bool in_framing = framing();
    if (in_framing && p.header_done && size - taken < kLastChunk) break;
    const std::size_t n = i.parser->put(boost::asio::const_buffer(data + taken, size - taken), ec);
    taken += n;
    if (in_framing) i.framing_taken += n;
    if (ec || n == 0) break;
    if (in_framing) {
      refused = too_large(0);
      i.framing_taken = 0;
    }
  }
  if (ec && ec != beast::http::error::need_more) {
    if (!p.refusal) p.refusal = refusal_of(ec);
    if (p.refusal == ErrorId::http_version && !names_a_version({begin, p.end})) p.refusal = ErrorId::bad_request;
    return Step::refused;
  }
  if (!i.parser->is_done() && framing()) refused = refused || too_large(size - taken);
  if (refused) {
    p.refusal = ErrorId::header_too_large;
    return Step::refused;
  }
  if (!i.parser->is_done()) return Step::need_more;

  if (!i.finish_head()) {
    p.refusal = ErrorId::target_invalid;
    return Step::refused;
  }
  p.request.body = p.body ? std::string_view(p.body, p.body_size) : std::string_view();
  p.request.body_unread = false;
  return Step::complete;
}

bool RequestParser::Impl::finish_head() {
  Request& r = parsed.request;
  r.headers = parsed.headers;
  std::string_view target = parsed.target;
  const bool one_of_ours =
      target.starts_with('/') || (target == "*" && r.method == "OPTIONS") || drop_authority(target);
  if (!one_of_ours || target.find('#') != std::string_view::npos) return false;
  const std::size_t mark = target.find('?');
  r.path = target.substr(0, mark);
  if (r.path.empty()) r.path = "/";
  r.query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  return true;
}

const Request* RequestParser::head() {
  if (!impl_->finish_head()) return nullptr;
  impl_->parsed.request.body = {};
  impl_->parsed.request.body_unread = true;
  return &impl_->parsed.request;
}

void RequestParser::moved(const char* from, const char* to) {
  const std::ptrdiff_t by = to - from;
  if (by == 0 || !impl_) return;
  const auto shift = [by](std::string_view& s) {
    if (s.data()) s = {s.data() + by, s.size()};
  };
  Parsed& p = impl_->parsed;
  shift(p.request.method);
  shift(p.target);
  for (Header& h : p.headers) {
    shift(h.name);
    shift(h.value);
  }
  if (p.body) p.body += by;
}

const Request& RequestParser::request() const {
  return impl_->parsed.request;
}
void RequestParser::set_peer(const PeerCertificate* peer) {
  impl_->parsed.request.peer = peer;
}
void RequestParser::set_address(std::string_view address) {
  impl_->parsed.request.address = address;
}
ErrorId RequestParser::refusal() const {
  return impl_->parsed.refusal.value_or(ErrorId::bad_request);
}
bool RequestParser::started() const {
  return impl_->started;
}
bool RequestParser::header_done() const {
  return impl_->parsed.header_done;
}
bool RequestParser::wants_continue() const {
  return impl_->parsed.wants_continue;
}
bool RequestParser::keep_alive() const {
  return impl_->parser->keep_alive();
}
bool RequestParser::http_10() const {
  return impl_->parsed.http_10;
}
bool RequestParser::is_head() const {
  return impl_->parsed.request.method == "HEAD";
}
std::uint64_t RequestParser::body_taken() const {
  return impl_->parsed.body_size;
}

std::size_t RequestParser::body_room() const {
  const Parsed& p = impl_->parsed;
  if (const auto length = impl_->parser->content_length()) return *length;
  return p.body_bytes_max + p.header_bytes_max + 1;
}

const char* RequestParser::body_begin() const {
  return impl_ ? impl_->parsed.body : nullptr;
}

const char* RequestParser::body_end() const {
  if (!impl_) return nullptr;
  const Parsed& p = impl_->parsed;
  return p.body ? p.body + p.body_size : nullptr;
}

}  // namespace tidemill::http

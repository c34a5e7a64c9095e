#include "engine/outbound/reply.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <charconv>
#include <optional>

namespace tidemill::outbound {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::size_t kFieldsMax = 100;
constexpr int kInterimMax = 8;  // replies of 1xx before the one that counts

std::string text_of(beast::string_view s) {
  return {s.data(), s.size()};
}

class Parser final : public http::basic_parser<false> {
 public:
  Parser(std::size_t head_max, std::size_t body_max, bool head_only) : body_max_(body_max), head_only_(head_only) {
    skip(head_only);
    eager(false);  // after each put it is known where the header, or a chunk's, has ended
    body_limit(boost::none);
    header_limit(static_cast<std::uint32_t>(head_max));
  }
  Reply reply;
  std::optional<OutboundErrc> refusal;
  bool header_done = false;
  // Between chunks, where Beast searches for line ends.
  bool in_chunk_framing() const { return header_done && encodings_ != 0 && chunk_left_ == 0; }

 private:
  void refuse(OutboundErrc why, beast::error_code& ec) {
    refusal = why;
    ec = http::error::bad_value;
  }
  void on_request_impl(http::verb, beast::string_view, beast::string_view, int, beast::error_code&) override {}
  void on_response_impl(int status, beast::string_view, int version, beast::error_code& ec) override {
    reply.status = status;
    if ((version != 10 && version != 11) || status < 100 || status > 599) refuse(OutboundErrc::reply_invalid, ec);
  }
  void on_field_impl(http::field name, beast::string_view name_text, beast::string_view value,
                     beast::error_code& ec) override {
    if (++fields_ > kFieldsMax) return refuse(OutboundErrc::head_too_large, ec);
    if (header_done) return;  // a trailer
    if (name == http::field::content_length && ++lengths_ > 1) return refuse(OutboundErrc::reply_invalid, ec);
    if (name == http::field::transfer_encoding && (++encodings_ > 1 || !beast::iequals(value, "chunked")))
      return refuse(OutboundErrc::reply_invalid, ec);
    // What is no number Beast refuses.
    if (name == http::field::content_length) std::from_chars(value.data(), value.data() + value.size(), length_);
    reply.headers.emplace_back(text_of(name_text), text_of(value));
  }
  void on_header_impl(beast::error_code& ec) override {
    header_done = true;
    if (lengths_ != 0 && encodings_ != 0) return refuse(OutboundErrc::reply_invalid, ec);
    if (!head_only_ && length_ > body_max_) refuse(OutboundErrc::body_too_large, ec);
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view part, beast::error_code& ec) override {
    if (part.size() > body_max_ - reply.body.size()) return refuse(OutboundErrc::body_too_large, ec), 0;
    reply.body.append(part.data(), part.size());
    return part.size();
  }
  void on_chunk_header_impl(std::uint64_t size, beast::string_view, beast::error_code& ec) override {
    if (size > body_max_ - reply.body.size()) return refuse(OutboundErrc::body_too_large, ec);
    chunk_left_ = size;
  }
  std::size_t on_chunk_body_impl(std::uint64_t left, beast::string_view part, beast::error_code& ec) override {
    const std::size_t taken = on_body_impl(part, ec);
    chunk_left_ = left - taken;
    return taken;
  }
  void on_finish_impl(beast::error_code&) override {}

  const std::size_t body_max_;
  const bool head_only_;
  std::uint64_t length_ = 0;  // as it was claimed
  std::size_t fields_ = 0;
  int lengths_ = 0;
  int encodings_ = 0;
  std::uint64_t chunk_left_ = 0;
};

OutboundErrc errc_of(const Parser& parser, const beast::error_code& ec) {
  if (parser.refusal) return *parser.refusal;
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow) return OutboundErrc::head_too_large;
  if (ec == http::error::body_limit) return OutboundErrc::body_too_large;
  return OutboundErrc::reply_invalid;
}

}  // namespace

struct ReplyReader::Impl {
  std::size_t head_max, body_max;
  bool head_only;
  std::optional<Parser> parser;
  std::string unread;
  std::size_t framing = 0;  // bytes of the header, or between two chunks, that were taken
  int interim = 0;

  void begin() {
    parser.emplace(head_max, body_max, head_only);
    framing = 0;
  }
};

ReplyReader::ReplyReader(std::size_t head_bytes_max, std::size_t body_bytes_max, bool head_only)
    : impl_(std::make_unique<Impl>()) {
  impl_->head_max = head_bytes_max;
  impl_->body_max = body_bytes_max;
  impl_->head_only = head_only;
  impl_->begin();
}
ReplyReader::~ReplyReader() = default;

Result<bool> ReplyReader::feed(std::string_view bytes) {
  Impl& i = *impl_;
  i.unread.append(bytes);
  std::size_t at = 0;
  while (at < i.unread.size()) {
    Parser& parser = *i.parser;
    const bool framing = !parser.header_done || parser.in_chunk_framing();
    // What is not HTTP (a greeting of SSH or SMTP) is not waited for until it has become a header.
    constexpr std::string_view kStart = "HTTP/1.";
    if (const std::string_view start = std::string_view(i.unread).substr(at, kStart.size());
        !parser.header_done && i.framing == 0 && !kStart.starts_with(start))
      return OutboundErrc::reply_invalid;
    // Beast aborts where a last chunk comes as "0", CR, LF and then one more byte alone. Between chunks at least "0"
    // and two line ends are to come, so nothing is lost by waiting for them.
    constexpr std::size_t kLastChunk = 5;
    if (parser.in_chunk_framing() && i.unread.size() - at < kLastChunk) break;
    beast::error_code ec;
    const std::size_t n = parser.put(boost::asio::const_buffer(i.unread.data() + at, i.unread.size() - at), ec);
    at += n;
    if (ec && ec != http::error::need_more) return errc_of(parser, ec);
    if (framing) {
      i.framing += n;
      const std::size_t rest = ec == http::error::need_more ? i.unread.size() - at : 0;
      if (i.framing + rest > i.head_max) return OutboundErrc::head_too_large;
      if (ec != http::error::need_more && parser.header_done) i.framing = 0;
    }
    if (parser.is_done()) {
      const int status = parser.reply.status;
      if (status / 100 != 1) return true;
      // 101 would be another protocol; more than a few interim replies are not meant well.
      if (status == 101 || ++i.interim > kInterimMax) return OutboundErrc::reply_invalid;
      i.begin();
      continue;
    }
    if (n == 0 || ec == http::error::need_more) break;
  }
  i.unread.erase(0, at);
  return false;
}

Result<void> ReplyReader::end() {
  Parser& parser = *impl_->parser;
  if (!impl_->unread.empty() || !parser.header_done) return OutboundErrc::cut_off;
  beast::error_code ec;
  parser.put_eof(ec);
  if (ec) return OutboundErrc::cut_off;
  return {};
}

Reply ReplyReader::take() {
  return std::move(impl_->parser->reply);
}

}  // namespace tidemill::outbound

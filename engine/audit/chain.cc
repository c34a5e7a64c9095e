#include "engine/audit/chain.h"

#include <openssl/evp.h>

#include <cstdint>
#include <cstring>

#include "storage/base/check.h"
#include "storage/base/text.h"

namespace tidemill {
namespace {

constexpr std::uint8_t kLinkType = 1;
constexpr std::string_view kDomain("tidemill-chain-1", 16);  // no hash of anything else is one of these

// OpenSSL's, piece by piece. It fails only without memory, and then nothing can be said.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) { CHECK(context_ && EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) == 1); }
  ~Sha256() { EVP_MD_CTX_free(context_); }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void bytes(const void* data, std::size_t size) { CHECK(EVP_DigestUpdate(context_, data, size) == 1); }
  void number(std::uint64_t n, std::size_t size) {
    unsigned char little[8];
    for (std::size_t i = 0; i < size; ++i) little[i] = static_cast<unsigned char>(n >> (8 * i));
    bytes(little, size);
  }
  void text(std::string_view t) {
    number(t.size(), 4);
    bytes(t.data(), t.size());
  }
  ChainHash value() {
    ChainHash out;
    unsigned size = 0;
    CHECK(EVP_DigestFinal_ex(context_, reinterpret_cast<unsigned char*>(out.data()), &size) == 1);
    CHECK(size == out.size());
    return out;
  }

 private:
  EVP_MD_CTX* const context_;
};

}  // namespace

std::string to_hex(const ChainHash& hash) {
  return to_hex(std::string_view(reinterpret_cast<const char*>(hash.data()), hash.size()));
}

std::optional<ChainHash> chain_hash_from_hex(std::string_view text) {
  const auto bytes = from_hex(text);
  ChainHash hash;
  if (!bytes || bytes->size() != hash.size()) return std::nullopt;
  std::memcpy(hash.data(), bytes->data(), hash.size());
  return hash;
}

std::string link_header(const ChainHash& of_predecessor) {
  std::string out;
  out.push_back(static_cast<char>(kLinkType));
  out.push_back(static_cast<char>(of_predecessor.size()));
  return out.append(reinterpret_cast<const char*>(of_predecessor.data()), of_predecessor.size());
}

std::optional<ChainHash> link_of(std::string_view headers) {
  while (headers.size() >= 2) {
    const auto type = static_cast<std::uint8_t>(headers[0]);
    const auto length = static_cast<std::uint8_t>(headers[1]);
    headers.remove_prefix(2);
    if (headers.size() < length) return std::nullopt;
    ChainHash hash;
    if (type == kLinkType && length == hash.size()) {
      std::memcpy(hash.data(), headers.data(), length);
      return hash;
    }
    headers.remove_prefix(length);
  }
  return std::nullopt;
}

ChainHash chain_hash(const ChainHash& before, const Record& record) {
  Sha256 sha;
  sha.bytes(kDomain.data(), kDomain.size());
  sha.bytes(before.data(), before.size());
  sha.number(record.sequence.value(), 8);
  sha.number(static_cast<std::uint64_t>(record.arrival.time_since_epoch().count()), 8);
  sha.number(static_cast<std::uint64_t>(record.content), 1);
  sha.number(record.explicit_hash ? 1 : 0, 1);
  sha.number(record.hash.high, 8);
  sha.number(record.hash.low, 8);
  sha.text(record.key);
  sha.text(record.headers);
  sha.text(record.data);
  return sha.value();
}

Chain::Seen Chain::add(const Record& record) {
  // A log begins with 1; where it holds less, retention has given up the rest.
  if (record.sequence != next(head_.sequence)) known_ = false;
  const auto link = link_of(record.headers);
  Seen seen = Seen::linked;
  if (!link) {
    seen = Seen::unlinked;
  } else if (known_ && *link != head_.hash) {
    seen = Seen::broken;
  }
  head_ = {record.sequence, chain_hash(link ? *link : head_.hash, record)};
  if (link) known_ = true;  // of one without it only where that of the record before is known
  return seen;
}

void Chain::lost(Sequence last) {
  head_ = {last, {}};
  known_ = false;
}

}  // namespace tidemill

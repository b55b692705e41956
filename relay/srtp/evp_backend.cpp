// The SHA-1 functions below EVP are the only ones whose state can be stored, and only EVP_CIPHER_CTX_iv tells
// where a context has its memory; OpenSSL 3 marks them old.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "relay/srtp/evp_backend.hpp"

#include "relay/base/prefetch.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>

namespace ferry {

namespace {

constexpr std::size_t kAuthKey = 20;
constexpr std::size_t kGcmTag = 16;
constexpr std::size_t kLongest = 9216;  // longer than any datagram
constexpr std::size_t kRtcpHeader = 8;
constexpr std::uint32_t kEncrypted = 0x80000000;  // the E bit
using Salt = std::array<std::uint8_t, 14>;
using Iv = std::array<std::uint8_t, 16>;

unsigned char* raw(std::byte* octets) { return reinterpret_cast<unsigned char*>(octets); }
const unsigned char* raw(const std::byte* octets) { return reinterpret_cast<const unsigned char*>(octets); }
int length(std::size_t size) { return static_cast<int>(size); }

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

/// Fetched once: looking an algorithm up takes longer than a packet.
const EVP_CIPHER* ctr_of(std::size_t key_size) {
  static const std::array<const EVP_CIPHER*, 3> kCiphers = {
      EVP_CIPHER_fetch(nullptr, "AES-128-CTR", nullptr), EVP_CIPHER_fetch(nullptr, "AES-192-CTR", nullptr),
      EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr)};
  return kCiphers[(key_size - 16) / 8];
}
const EVP_CIPHER* gcm_of(std::size_t key_size) {
  static const std::array<const EVP_CIPHER*, 2> kCiphers = {
      EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr), EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr)};
  return kCiphers[key_size == 16 ? 0 : 1];
}

/// RFC 3711 §4.3.1, RFC 6188 §3, RFC 7714 §11: `size` octets for `label`.
template <std::size_t Size>
SecretBytes<Size> derive(const SrtpMasterKey& master, unsigned label, std::size_t size) {
  std::array<std::byte, Size> out{};
  Iv iv{};
  const Bytes salt = master.salt.get();  // shorter ones are padded on the right
  std::memcpy(iv.data(), salt.data(), salt.size());
  iv[7] = static_cast<std::uint8_t>(iv[7] ^ label);
  const Bytes key = master.key.get();
  const Context context(EVP_CIPHER_CTX_new());
  const std::array<unsigned char, 64> zeros{};
  int written = 0;
  EVP_EncryptInit_ex2(context.get(), ctr_of(key.size()), raw(key.data()), iv.data(), nullptr);
  EVP_EncryptUpdate(context.get(), raw(out.data()), &written, zeros.data(), length(size));
  const SecretBytes<Size> derived(Bytes(out).first(size));
  OPENSSL_cleanse(out.data(), out.size());
  return derived;
}

}  // namespace

SrtpSessionKeys derive_session_keys(const SrtpMasterKey& master, unsigned first_label) {
  const SrtpSuiteRow& row = row_of(master.suite);
  SrtpSessionKeys keys;
  keys.key = derive<32>(master, first_label, row.key);
  if (!row.is_aead) keys.auth = derive<20>(master, first_label + 1, kAuthKey);
  keys.salt = derive<14>(master, first_label + 2, row.salt);
  return keys;
}

namespace {

/// XORs the low `size` octets of `value`, in network order.
void put(Iv& iv, std::size_t at, std::uint64_t value, std::size_t size) noexcept {
  for (std::size_t i = 0; i < size; ++i)
    iv[at + i] = static_cast<std::uint8_t>(iv[at + i] ^ (value >> (8 * (size - 1 - i))));
}

/// Of this thread, for all keys of a suite (ADR 0005).
EVP_CIPHER_CTX* shared(const SrtpSuiteRow& row, bool seals) {
  thread_local std::array<std::array<Context, 2>, kSrtpSuites.size()> contexts;
  Context& context = contexts[static_cast<std::size_t>(row.suite)][seals ? 1 : 0];
  if (!context) {
    context.reset(EVP_CIPHER_CTX_new());
    EVP_CipherInit_ex2(context.get(), row.is_aead ? gcm_of(row.key) : ctr_of(row.key), nullptr, nullptr,
                       seals ? 1 : 0, nullptr);
  }
  return context.get();
}

/// Session keys ready for use.
class SessionKeys {
 public:
  /// `is_busy`: for many packets.
  SessionKeys(const SrtpSuiteRow& row, const SrtpSessionKeys& keys, bool is_busy)
      : row_(row), key_(keys.key) {
    std::memcpy(salt_.data(), keys.salt.get().data(), keys.salt.size());
    if (is_busy && !row_.is_aead) keep_context();  // ADR 0005
    if (row_.is_aead) return;
    const Bytes auth = keys.auth.get();
    std::array<unsigned char, SHA_CBLOCK> pad{};
    const auto behind_pad = [&](unsigned char octet) {
      pad.fill(octet);
      for (std::size_t i = 0; i < auth.size(); ++i) pad[i] ^= std::to_integer<unsigned char>(auth[i]);
      SHA_CTX state;
      SHA1_Init(&state);
      SHA1_Update(&state, pad.data(), pad.size());
      return Chain{state.h0, state.h1, state.h2, state.h3, state.h4};
    };
    inner_ = behind_pad(0x36);
    outer_ = behind_pad(0x5c);
    OPENSSL_cleanse(pad.data(), pad.size());
  }
  ~SessionKeys() {
    OPENSSL_cleanse(salt_.data(), salt_.size());
    OPENSSL_cleanse(inner_.data(), sizeof inner_);
    OPENSSL_cleanse(outer_.data(), sizeof outer_);
  }
  SessionKeys(const SessionKeys&) = delete;
  SessionKeys& operator=(const SessionKeys&) = delete;

  /// Begins to fetch the context. OpenSSL tells where its IV is; the key schedule lies around it (3.0), and
  /// a wrong guess costs time only.
  void prefetch_context() const noexcept {
    constexpr std::size_t kOuter = 192;
    constexpr std::size_t kBefore = 192;
    constexpr std::size_t kBehind = 320;
    if (!context_) return;
    prefetch_octets(context_.get(), kOuter);
    prefetch_octets(iv_, kBehind, kBefore);
  }
  /// Octets of this that a packet needs.
  static constexpr std::size_t kTouched = 128;

  /// RFC 3711 §4.1.1. Encrypts and decrypts. False if OpenSSL could not.
  [[nodiscard]] bool counter_mode(MutableBytes data, Ssrc ssrc, std::uint64_t index) noexcept {
    Iv iv{};
    std::ranges::copy(salt_, iv.begin());
    put(iv, 4, ssrc.value, 4);
    put(iv, 8, index, 6);
    EVP_CIPHER_CTX* context = context_ ? context_.get() : shared(row_, true);
    const unsigned char* key = context_ ? nullptr : raw(key_.get().data());
    int written = 0;
    return EVP_EncryptInit_ex2(context, nullptr, key, iv.data(), nullptr) == 1 &&
           EVP_EncryptUpdate(context, raw(data.data()), &written, raw(data.data()), length(data.size())) == 1;
  }

  /// HMAC-SHA1 over the parts (RFC 2104).
  void tag(Bytes first, Bytes second, std::array<unsigned char, SHA_DIGEST_LENGTH>& out) const noexcept {
    SHA_CTX state;
    resume(state, inner_);
    SHA1_Update(&state, first.data(), first.size());
    SHA1_Update(&state, second.data(), second.size());
    SHA1_Final(out.data(), &state);
    resume(state, outer_);
    SHA1_Update(&state, out.data(), out.size());
    SHA1_Final(out.data(), &state);
  }

  /// RFC 7714 §8.1, §9.1: `index` is ROC and sequence number, or the SRTCP index.
  [[nodiscard]] Iv gcm_iv(Ssrc ssrc, std::uint64_t index) const noexcept {
    Iv iv{};  // 12 octets of it
    std::copy_n(salt_.begin(), 12, iv.begin());
    put(iv, 2, ssrc.value, 4);
    put(iv, 6, index, 6);
    return iv;
  }
  /// False if OpenSSL could not.
  [[nodiscard]] bool gcm_seal(Bytes first, Bytes second, MutableBytes data, const Iv& iv,
                              std::byte* tag) noexcept {
    EVP_CIPHER_CTX* context = shared(row_, true);
    const std::array<OSSL_PARAM, 2> with = {whole_iv(iv), OSSL_PARAM_construct_end()};
    std::array<OSSL_PARAM, 2> result = {tag_at(tag), OSSL_PARAM_construct_end()};
    int written = 0;
    int last = 0;
    return EVP_EncryptInit_ex2(context, nullptr, raw(key_.get().data()), nullptr, with.data()) == 1 &&
           EVP_EncryptUpdate(context, nullptr, &written, raw(first.data()), length(first.size())) == 1 &&
           (second.empty() ||
            EVP_EncryptUpdate(context, nullptr, &written, raw(second.data()), length(second.size())) == 1) &&
           EVP_EncryptUpdate(context, raw(data.data()), &written, raw(data.data()), length(data.size())) ==
               1 &&
           EVP_EncryptFinal_ex(context, raw(data.data()) + written, &last) == 1 &&
           EVP_CIPHER_CTX_get_params(context, result.data()) == 1;
  }
  /// Into memory aside, as nothing may change if the tag is wrong.
  [[nodiscard]] bool gcm_open(Bytes first, Bytes second, MutableBytes data, const Iv& iv,
                              const std::byte* tag) noexcept {
    thread_local std::array<unsigned char, kLongest> plain;  // no packet needs memory (C-12)
    if (data.size() + kGcmTag > plain.size()) return false;
    EVP_CIPHER_CTX* context = shared(row_, false);
    std::array<std::byte, kGcmTag> wanted{};
    std::copy_n(tag, kGcmTag, wanted.begin());
    const std::array<OSSL_PARAM, 3> with = {whole_iv(iv), tag_at(wanted.data()), OSSL_PARAM_construct_end()};
    int written = 0;
    int last = 0;
    const bool is_good =
        EVP_DecryptInit_ex2(context, nullptr, raw(key_.get().data()), nullptr, with.data()) == 1 &&
        EVP_DecryptUpdate(context, nullptr, &written, raw(first.data()), length(first.size())) == 1 &&
        (second.empty() ||
         EVP_DecryptUpdate(context, nullptr, &written, raw(second.data()), length(second.size())) == 1) &&
        EVP_DecryptUpdate(context, plain.data(), &written, raw(data.data()), length(data.size())) == 1 &&
        EVP_DecryptFinal_ex(context, plain.data() + written, &last) == 1;
    if (is_good) std::memcpy(data.data(), plain.data(), data.size());
    return is_good;
  }

 private:
  /// Of SHA-1 after one block: all that its state is then.
  using Chain = std::array<SHA_LONG, 5>;
  static void resume(SHA_CTX& state, const Chain& chain) noexcept {
    SHA1_Init(&state);
    state.h0 = chain[0];
    state.h1 = chain[1];
    state.h2 = chain[2];
    state.h3 = chain[3];
    state.h4 = chain[4];
    state.Nl = SHA_CBLOCK * 8;
  }
  void keep_context() {
    context_.reset(EVP_CIPHER_CTX_new());
    const Iv none{};
    EVP_EncryptInit_ex2(context_.get(), ctr_of(row_.key), raw(key_.get().data()), none.data(), nullptr);
    iv_ = EVP_CIPHER_CTX_iv(context_.get());
  }
  /// The IV as a parameter that goes with the key: of an argument OpenSSL 3.0 looks up how long it is (ADR
  /// 0005). A size of -1 says all of it, as for EVP_CTRL_GCM_SET_IV_FIXED.
  static OSSL_PARAM whole_iv(const Iv& iv) noexcept {
    auto* octets = const_cast<std::uint8_t*>(iv.data());  // only read
    return OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, octets, SIZE_MAX);
  }
  static OSSL_PARAM tag_at(std::byte* tag) noexcept {
    return OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, kGcmTag);
  }

  // What each packet needs, in few cache lines.
  const SrtpSuiteRow& row_;
  Context context_;           // of a busy protocol, with its key
  const void* iv_ = nullptr;  // in memory of `context_`
  Salt salt_{};
  Chain inner_{};  // of the HMAC
  Chain outer_{};
  SecretBytes<32> key_;
};

class EvpCipher final : public SrtpCipher {
 public:
  EvpCipher(SrtpSuite suite, std::vector<std::byte> mki, const SrtpSessionKeys& rtp,
            const SrtpSessionKeys& rtcp)
      : row_(row_of(suite)), mki_(std::move(mki)), rtp_(row_, rtp, true), rtcp_(row_, rtcp, false) {}

  [[nodiscard]] std::size_t overhead() const noexcept override {
    return std::max(row_.rtp_tag, row_.rtcp_tag) + mki_.size() + sizeof(std::uint32_t);
  }

  [[nodiscard]] std::size_t rtp_overhead() const noexcept override { return row_.rtp_tag + mki_.size(); }

  void prefetch(SrtpFetch step) const noexcept override {
    if (step == SrtpFetch::kSession)
      prefetch_octets(this, sizeof *this - sizeof rtp_ - sizeof rtcp_ + SessionKeys::kTouched);
    else
      rtp_.prefetch_context();
  }

  bool seal_rtp(MutableBytes space, std::size_t& size, std::size_t header, Ssrc ssrc,
                std::uint64_t index) noexcept override {
    const std::size_t sealed = size + row_.rtp_tag + mki_.size();
    if (sealed > space.size()) return false;
    const MutableBytes payload = space.subspan(header, size - header);
    if (row_.is_aead) {
      if (!rtp_.gcm_seal(space.first(header), {}, payload, rtp_.gcm_iv(ssrc, index), space.data() + size))
        return false;
      std::ranges::copy(mki_, space.begin() + static_cast<std::ptrdiff_t>(size + kGcmTag));
    } else {
      if (!rtp_.counter_mode(payload, ssrc, index)) return false;
      const auto tag = rtp_tag(space.first(size), index);
      std::ranges::copy(mki_, space.begin() + static_cast<std::ptrdiff_t>(size));
      std::memcpy(space.data() + size + mki_.size(), tag.data(), row_.rtp_tag);
    }
    size = sealed;
    return true;
  }

  bool open_rtp(MutableBytes packet, std::size_t& size, std::size_t header, Ssrc ssrc,
                std::uint64_t index) noexcept override {
    const std::size_t trailer = row_.rtp_tag + mki_.size();
    if (packet.size() < header + trailer) return false;
    const std::size_t plain = packet.size() - trailer;
    const std::size_t tag_at = plain + (row_.is_aead ? 0 : mki_.size());
    const std::size_t mki_at = plain + (row_.is_aead ? kGcmTag : 0);
    if (!std::ranges::equal(packet.subspan(mki_at, mki_.size()), mki_)) return false;
    const MutableBytes payload = packet.subspan(header, plain - header);
    if (row_.is_aead) {
      if (!rtp_.gcm_open(packet.first(header), {}, payload, rtp_.gcm_iv(ssrc, index), packet.data() + tag_at))
        return false;
    } else {
      const auto tag = rtp_tag(packet.first(plain), index);
      if (CRYPTO_memcmp(tag.data(), packet.data() + tag_at, row_.rtp_tag) != 0) return false;
      if (!rtp_.counter_mode(payload, ssrc, index)) return false;
    }
    size = plain;
    return true;
  }

  bool seal_rtcp(MutableBytes space, std::size_t& size, Ssrc ssrc, std::uint32_t index) noexcept override {
    const std::size_t sealed = size + row_.rtcp_tag + sizeof index + mki_.size();
    if (sealed > space.size()) return false;
    const MutableBytes payload = space.subspan(kRtcpHeader, size - kRtcpHeader);
    std::size_t at = size;
    if (row_.is_aead) {
      std::array<std::byte, sizeof index> word{};
      write_u32(word, 0, index | kEncrypted);
      if (!rtcp_.gcm_seal(space.first(kRtcpHeader), word, payload, rtcp_.gcm_iv(ssrc, index),
                          space.data() + size))
        return false;
      at += kGcmTag;
    } else if (!rtcp_.counter_mode(payload, ssrc, index)) {
      return false;
    }
    write_u32(space, at, index | kEncrypted);
    at += sizeof index;
    const Bytes covered = space.first(at);
    std::ranges::copy(mki_, space.begin() + static_cast<std::ptrdiff_t>(at));
    at += mki_.size();
    if (!row_.is_aead) {
      std::array<unsigned char, SHA_DIGEST_LENGTH> tag{};
      rtcp_.tag(covered, {}, tag);
      std::memcpy(space.data() + at, tag.data(), row_.rtcp_tag);
    }
    size = sealed;
    return true;
  }

  bool rtcp_index(Bytes packet, std::uint32_t& index) const noexcept override {
    if (packet.size() < kRtcpHeader + rtcp_trailer()) return false;
    index = read_u32(packet, index_at(packet)) & ~kEncrypted;
    return true;
  }

  bool open_rtcp(MutableBytes packet, std::size_t& size, Ssrc ssrc) noexcept override {
    if (packet.size() < kRtcpHeader + rtcp_trailer()) return false;
    const std::size_t plain = packet.size() - rtcp_trailer();
    const std::size_t word_at = index_at(packet);
    const std::uint32_t word = read_u32(packet, word_at);
    const std::uint32_t index = word & ~kEncrypted;
    if ((word & kEncrypted) == 0 || !std::ranges::equal(packet.subspan(word_at + 4, mki_.size()), mki_))
      return false;
    const MutableBytes payload = packet.subspan(kRtcpHeader, plain - kRtcpHeader);
    if (row_.is_aead) {
      if (!rtcp_.gcm_open(packet.first(kRtcpHeader), packet.subspan(word_at, 4), payload,
                          rtcp_.gcm_iv(ssrc, index), packet.data() + plain))
        return false;
    } else {
      std::array<unsigned char, SHA_DIGEST_LENGTH> tag{};
      rtcp_.tag(packet.first(word_at + 4), {}, tag);
      if (CRYPTO_memcmp(tag.data(), packet.data() + word_at + 4 + mki_.size(), row_.rtcp_tag) != 0)
        return false;
      if (!rtcp_.counter_mode(payload, ssrc, index)) return false;
    }
    size = plain;
    return true;
  }

 private:
  [[nodiscard]] std::array<unsigned char, SHA_DIGEST_LENGTH> rtp_tag(Bytes packet,
                                                                     std::uint64_t index) const noexcept {
    std::array<std::byte, 4> roll_over{};
    write_u32(roll_over, 0, static_cast<std::uint32_t>(index >> 16));
    std::array<unsigned char, SHA_DIGEST_LENGTH> tag{};
    rtp_.tag(packet, roll_over, tag);
    return tag;
  }
  [[nodiscard]] std::size_t rtcp_trailer() const noexcept { return row_.rtcp_tag + 4 + mki_.size(); }
  /// Of the word with the E bit and the index.
  [[nodiscard]] std::size_t index_at(Bytes packet) const noexcept {
    return packet.size() - mki_.size() - 4 - (row_.is_aead ? 0 : row_.rtcp_tag);
  }

  const SrtpSuiteRow& row_;
  std::vector<std::byte> mki_;
  SessionKeys rtp_;
  SessionKeys rtcp_;
};

}  // namespace

std::unique_ptr<SrtpCipher> EvpBackend::make(const SrtpMasterKey& key) const {
  const SrtpSuiteRow& row = row_of(key.suite);
  if (key.key.get().size() != row.key || key.salt.get().size() != row.salt || row.is_legacy) return nullptr;
  return std::make_unique<EvpCipher>(key.suite, key.mki, derive_session_keys(key, 0),
                                     derive_session_keys(key, 3));
}

std::unique_ptr<SrtpCipher> EvpBackend::make(SrtpSuite suite, const SrtpSessionKeys& rtp,
                                             const SrtpSessionKeys& rtcp) {
  return std::make_unique<EvpCipher>(suite, std::vector<std::byte>{}, rtp, rtcp);
}

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// SRTP by OpenSSL: the back end of the packet path. The packet forms are our own (RFC 3711, RFC 7714);
// OpenSSL gives AES, GCM and SHA-1.
//
// What is done for speed, and why:
// - Counter mode keeps one context per busy key, with its key schedule. GCM does not: a context of GCM is so
//   large that thousands of them would cost more than setting the key for each packet. All keys of a suite
//   share one context per thread (docs/adr/0005).
// - HMAC-SHA1 begins with one block for the inner key and one for the outer key. Their chaining values are
//   computed once and restored for each packet, which saves two blocks.
// - With thousands of sessions nothing is in the cache, so the next packets' sessions and contexts are
//   fetched ahead (docs/adr/0008).
//
// Trap: `open_rtp` and `open_rtcp` must leave a packet that is not authentic as it was, because a second key
// may be tried on it. Counter mode checks the tag before it decrypts. GCM learns of the tag at the end, so it
// decrypts into memory aside.
//
// OpenSSL 3 marks two things used here as old: the SHA-1 functions below EVP, the only ones whose state can
// be stored, and EVP_CIPHER_CTX_iv, which alone tells where a context has its memory.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "relay/srtp/evp_backend.hpp"

#include "relay/base/prefetch.hpp"
#include "relay/srtp/octets.hpp"

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
constexpr std::size_t kRtcpHeader = 8;
// The E bit of SRTCP: the packet is encrypted (RFC 3711 §3.4).
constexpr std::uint32_t kEncrypted = 0x80000000;
using Salt = std::array<std::uint8_t, 14>;
using Iv = SrtpIv;

int length(std::size_t size) { return static_cast<int>(size); }

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

/// The algorithms, looked up once: that takes longer than a packet. Keys have 16, 24 or 32 octets.
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

/// Derives `size` octets for `label` (RFC 3711 §4.3.1, RFC 6188 §3, RFC 7714 §11) from a master key. At a key
/// derivation rate of 0 the label alone changes the IV.
template <std::size_t Size>
SecretBytes<Size> derive(const SrtpMasterKey& master, unsigned label, std::size_t size) {
  std::array<std::byte, Size> out{};
  Iv iv{};
  // Salts of 12 octets are padded with zeros on the right (RFC 7714 §11).
  const Bytes salt = master.salt.get();
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

/// The context of this thread for all keys of a suite, one for each direction (docs/adr/0005). The caller
/// sets the key.
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

/// The session keys of one protocol (SRTP or SRTCP), made ready for packets.
class SessionKeys {
 public:
  /// `is_busy`: many packets will use it, so counter mode keeps a context with the key.
  SessionKeys(const SrtpSuiteRow& row, const SrtpSessionKeys& keys, bool is_busy)
      : row_(row), key_(keys.key) {
    std::memcpy(salt_.data(), keys.salt.get().data(), keys.salt.size());
    if (is_busy && !row_.is_aead) keep_context();
    if (row_.is_aead) return;
    const Bytes auth = keys.auth.get();
    std::array<unsigned char, SHA_CBLOCK> pad{};
    const auto behind_pad = [&](unsigned char octet) {
      pad.fill(octet);
      for (std::size_t i = 0; i < auth.size(); ++i) pad[i] ^= std::to_integer<unsigned char>(auth[i]);
      // One block was hashed: the five words are all the state there is then.
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

  /// Starts to load the context into the cache. OpenSSL tells where its IV is. The key schedule lies around
  /// that (as of 3.0); a wrong guess only costs time.
  void prefetch_context() const noexcept {
    constexpr std::size_t kOuter = 192;
    constexpr std::size_t kBefore = 192;
    constexpr std::size_t kBehind = 320;
    if (!context_) return;
    prefetch_octets(context_.get(), kOuter);
    prefetch_octets(iv_, kBehind, kBefore);
  }
  /// Octets at the start of this object that every packet needs.
  static constexpr std::size_t kTouched = 128;

  /// Counter mode (RFC 3711 §4.1.1): encrypts and decrypts alike. `index`: of the packet, 48 bits. False if
  /// OpenSSL failed.
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

  /// HMAC-SHA1 (RFC 2104) over both parts.
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

  /// The IV of GCM (RFC 7714 §8.1, §9.1). `index`: roll-over counter and sequence number, or the SRTCP index.
  [[nodiscard]] Iv gcm_iv(Ssrc ssrc, std::uint64_t index) const noexcept {
    // Only 12 octets are used.
    Iv iv{};
    std::copy_n(salt_.begin(), 12, iv.begin());
    put(iv, 2, ssrc.value, 4);
    put(iv, 6, index, 6);
    return iv;
  }
  /// Encrypts `data` in place and writes the tag; `first` and `second` are authenticated only. False if
  /// OpenSSL failed.
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
  /// Decrypts into memory aside, because nothing may change if the tag is wrong. That memory is the thread's,
  /// so no packet needs an allocation (C-12).
  [[nodiscard]] bool gcm_open(Bytes first, Bytes second, MutableBytes data, const Iv& iv,
                              const std::byte* tag) noexcept {
    thread_local std::array<unsigned char, kScratch> plain;
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
  /// Chaining value of SHA-1 after one block.
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
  /// The IV as a parameter that goes with the key. If it were passed as an argument, OpenSSL 3.0 would look
  /// its length up with each packet (docs/adr/0005). A size of -1 means "all of it", as for
  /// EVP_CTRL_GCM_SET_IV_FIXED.
  static OSSL_PARAM whole_iv(const Iv& iv) noexcept {
    // OpenSSL only reads it.
    auto* octets = const_cast<std::uint8_t*>(iv.data());
    return OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, octets, SIZE_MAX);
  }
  static OSSL_PARAM tag_at(std::byte* tag) noexcept {
    return OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, kGcmTag);
  }

  // Every packet needs these members, so they lie together at the start.
  const SrtpSuiteRow& row_;
  // The context that keeps the key, if the protocol is busy in counter mode; else null.
  Context context_;
  // Address of the IV, in the memory of `context_`.
  const void* iv_ = nullptr;
  Salt salt_{};
  // Chaining values behind the inner and the outer pad of HMAC.
  Chain inner_{};
  Chain outer_{};
  SecretBytes<32> key_;
};

// Packet forms. SRTP (RFC 3711 §3.1): header, payload, [MKI], tag; the MKI follows the tag with GCM (RFC 7714
// §8). SRTCP (§3.4): 8 octets, payload, index with E bit, [MKI], tag; with GCM the tag follows the payload
// (RFC 7714 §9).
class EvpCipher final : public SrtpCipher {
 public:
  EvpCipher(SrtpSuite suite, std::vector<std::byte> mki, const SrtpSessionKeys& rtp,
            const SrtpSessionKeys& rtcp)
      : row_(row_of(suite)), mki_(std::move(mki)), rtp_(row_, rtp, true), rtcp_(row_, rtcp, false) {}

  [[nodiscard]] std::size_t overhead() const noexcept override {
    return std::max(row_.rtp_tag, row_.rtcp_tag) + mki_.size() + sizeof(std::uint32_t);
  }

  [[nodiscard]] std::size_t rtp_overhead() const noexcept override { return row_.rtp_tag + mki_.size(); }

  // The step kSession loads this object, kContext what it points to.
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
      // The tag covers the roll-over counter too, which is not sent (RFC 3711 §4.2).
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
    // The MKI first: it costs nothing, and a packet of another key ends here.
    if (!std::ranges::equal(packet.subspan(mki_at, mki_.size()), mki_)) return false;
    const MutableBytes payload = packet.subspan(header, plain - header);
    if (row_.is_aead) {
      if (!rtp_.gcm_open(packet.first(header), {}, payload, rtp_.gcm_iv(ssrc, index), packet.data() + tag_at))
        return false;
    } else {
      const auto tag = rtp_tag(packet.first(plain), index);
      // Compared in constant time: no answer may tell how much of a guess was right.
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
      // GCM authenticates the word of the index as it is sent.
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
    // A plain SRTCP packet is refused: its sender was not asked to leave it plain (SRT-12).
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
  /// Offset of the word with the E bit and the index.
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
  // A suite that is kept only to name it is not used.
  if (key.key.get().size() != row.key || key.salt.get().size() != row.salt || row.is_legacy) return nullptr;
  return std::make_unique<EvpCipher>(key.suite, key.mki, derive_session_keys(key, 0),
                                     derive_session_keys(key, 3));
}

std::unique_ptr<SrtpCipher> EvpBackend::make(SrtpSuite suite, const SrtpSessionKeys& rtp,
                                             const SrtpSessionKeys& rtcp) {
  return std::make_unique<EvpCipher>(suite, std::vector<std::byte>{}, rtp, rtcp);
}

}  // namespace ferry

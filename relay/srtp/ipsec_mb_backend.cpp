// SPDX-License-Identifier: Apache-2.0
// SRTP by Intel's multi-buffer library. It works on several packets at once, because the CPU's vector units
// then have something to do in parallel. The worker collects a batch and hands it over whole.
//
// Sealing: counter mode of all packets in one burst, then HMAC of all packets in one burst, then MKI and tag
// behind each one. Opening goes the other way: HMAC first, and only packets whose tag was right are
// decrypted. GCM packets are done one by one, since the library has no burst for them.
//
// Trap: HMAC covers the roll-over counter, which is not part of the packet. It is written where the tag lies
// or will lie. When opening, those four octets are put back before the tag is compared, so that a packet that
// is not authentic stays as it was.
#include "relay/srtp/ipsec_mb_backend.hpp"

#include "relay/srtp/octets.hpp"
#include "relay/srtp/openssl_rtcp.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

namespace ferry {

namespace {

// Octets of a SHA-1 hash.
constexpr std::size_t kDigest = 20;
constexpr std::size_t kRollOver = 4;
constexpr std::size_t kMaxBatch = 64;

struct FreeManager {
  void operator()(IMB_MGR* manager) const noexcept { free_mb_mgr(manager); }
};
/// The library's manager of this thread: it may not be shared.
IMB_MGR* manager() {
  thread_local const std::unique_ptr<IMB_MGR, FreeManager> mine = [] {
    std::unique_ptr<IMB_MGR, FreeManager> made(alloc_mb_mgr(0));
    init_mb_mgr_auto(made.get(), nullptr);
    return made;
  }();
  return mine.get();
}

// The prepared key of one session; a single packet is a batch of one.
class IpsecMbCipher final : public OpensslRtcpCipher {
 public:
  IpsecMbCipher(const SrtpMasterKey& key, const IpsecMbBackend& backend)
      : OpensslRtcpCipher(key), backend_(backend) {
    const SrtpSessionKeys keys = derive_session_keys(key, 0);
    std::memcpy(salt_.data(), keys.salt.get().data(), keys.salt.size());
    const auto* octets = reinterpret_cast<const std::uint8_t*>(keys.key.get().data());
    IMB_MGR* mb = manager();
    if (row().is_aead) {
      if (row().key == 16)
        IMB_AES128_GCM_PRE(mb, octets, &gcm_);
      else
        IMB_AES256_GCM_PRE(mb, octets, &gcm_);
      return;
    }
    // Counter mode only encrypts, so the schedule for decryption is thrown away.
    alignas(16) std::array<std::uint8_t, 240> unused{};
    if (row().key == 16)
      IMB_AES_KEYEXP_128(mb, octets, expanded_.data(), unused.data());
    else if (row().key == 24)
      IMB_AES_KEYEXP_192(mb, octets, expanded_.data(), unused.data());
    else
      IMB_AES_KEYEXP_256(mb, octets, expanded_.data(), unused.data());
    OPENSSL_cleanse(unused.data(), unused.size());
    std::array<std::uint8_t, 64> pad{};
    const Bytes auth = keys.auth.get();
    // HMAC begins with one block for each pad; what SHA-1 has after it is kept (RFC 2104).
    const auto start = [&](std::uint8_t octet, auto& state) {
      pad.fill(octet);
      for (std::size_t i = 0; i < auth.size(); ++i)
        pad[i] = static_cast<std::uint8_t>(pad[i] ^ std::to_integer<std::uint8_t>(auth[i]));
      IMB_SHA1_ONE_BLOCK(mb, pad.data(), state.data());
    };
    start(0x36, inner_);
    start(0x5c, outer_);
    OPENSSL_cleanse(pad.data(), pad.size());
  }
  ~IpsecMbCipher() override {
    OPENSSL_cleanse(&gcm_, sizeof gcm_);
    OPENSSL_cleanse(expanded_.data(), expanded_.size());
    OPENSSL_cleanse(inner_.data(), inner_.size());
    OPENSSL_cleanse(outer_.data(), outer_.size());
    OPENSSL_cleanse(salt_.data(), salt_.size());
  }
  IpsecMbCipher(const IpsecMbCipher&) = delete;
  IpsecMbCipher& operator=(const IpsecMbCipher&) = delete;

  bool seal_rtp(MutableBytes space, std::size_t& size, std::size_t header, Ssrc ssrc,
                std::uint64_t index) noexcept override {
    SrtpWork one{this, space, size, header, ssrc, index, false};
    backend_.seal_rtp({&one, 1});
    size = one.size;
    return one.done;
  }
  bool open_rtp(MutableBytes packet, std::size_t& size, std::size_t header, Ssrc ssrc,
                std::uint64_t index) noexcept override {
    SrtpWork one{this, packet, size, header, ssrc, index, false};
    backend_.open_rtp({&one, 1});
    if (one.done) size = one.size;
    return one.done;
  }

  /// The IV of counter mode (RFC 3711 §4.1.1) or of GCM (RFC 7714 §8.1).
  [[nodiscard]] std::array<std::uint8_t, 16> iv(Ssrc ssrc, std::uint64_t index) const noexcept {
    std::array<std::uint8_t, 16> iv{};
    std::ranges::copy(salt_, iv.begin());
    const std::size_t at = row().is_aead ? 2 : 4;
    put(iv, at, ssrc.value, 4);
    put(iv, at + 4, index, 6);
    return iv;
  }
  // The header is authenticated, the payload encrypted in place, the tag written behind it.
  void encrypt_gcm(const SrtpWork& work, std::size_t payload) noexcept {
    gcm_context_data context;
    std::uint8_t* data = raw(work.space.data());
    const auto nonce = iv(work.ssrc, work.index);
    const auto run = row().key == 16 ? manager()->gcm128_enc : manager()->gcm256_enc;
    run(&gcm_, &context, data + work.header, data + work.header, payload, nonce.data(), data, work.header,
        data + work.header + payload, kGcmTag);
  }
  bool decrypt_gcm(const SrtpWork& work, std::size_t payload, const std::byte* tag) noexcept {
    // Into memory aside, since nothing may change if the tag is wrong. It is the thread's, so no packet needs
    // an allocation (C-12).
    thread_local std::array<std::uint8_t, kScratch> plain;
    if (payload + kGcmTag > plain.size()) return false;
    gcm_context_data context;
    std::uint8_t* data = raw(work.space.data());
    const auto nonce = iv(work.ssrc, work.index);
    std::array<std::uint8_t, kGcmTag> found{};
    const auto run = row().key == 16 ? manager()->gcm128_dec : manager()->gcm256_dec;
    run(&gcm_, &context, plain.data(), data + work.header, payload, nonce.data(), data, work.header,
        found.data(), kGcmTag);
    if (CRYPTO_memcmp(found.data(), tag, kGcmTag) != 0) return false;
    std::memcpy(data + work.header, plain.data(), payload);
    return true;
  }
  // The job's pointers must stay valid until the burst has run, hence a nonce of the caller's.
  void fill_cipher_job(IMB_JOB& job, const SrtpWork& work, std::size_t payload,
                       const std::array<std::uint8_t, 16>& nonce) const noexcept {
    job = {};
    job.enc_keys = job.dec_keys = expanded_.data();
    job.key_len_in_bytes = row().key;
    job.src = raw(work.space.data());
    job.dst = raw(work.space.data()) + work.header;
    job.cipher_start_src_offset_in_bytes = work.header;
    job.msg_len_to_cipher_in_bytes = payload;
    job.iv = nonce.data();
    job.iv_len_in_bytes = nonce.size();
    job.cipher_mode = IMB_CIPHER_CNTR;
    job.cipher_direction = IMB_DIR_ENCRYPT;
  }
  void fill_hash_job(IMB_JOB& job, const SrtpWork& work, std::size_t covered,
                     std::array<std::uint8_t, kDigest>& digest) const noexcept {
    job = {};
    job.src = raw(work.space.data());
    job.msg_len_to_hash_in_bytes = covered;
    job.auth_tag_output = digest.data();
    job.auth_tag_output_len_in_bytes = digest.size();
    job.u.HMAC._hashed_auth_key_xor_ipad = inner_.data();
    job.u.HMAC._hashed_auth_key_xor_opad = outer_.data();
    job.hash_alg = IMB_AUTH_HMAC_SHA_1;
  }

 private:
  const IpsecMbBackend& backend_;
  std::array<std::uint8_t, 14> salt_{};
  alignas(64) gcm_key_data gcm_{};
  alignas(16) std::array<std::uint8_t, 240> expanded_{};
  alignas(16) std::array<std::uint8_t, kDigest> inner_{};
  alignas(16) std::array<std::uint8_t, kDigest> outer_{};
};

/// Counter mode for all packets of a batch. A burst is of one key size, so there is one for each.
class CipherBurst {
 public:
  void clear() {
    for (Burst& burst : bursts_) burst.count = 0;
    used_ = 0;
  }
  void add(const SrtpWork& work, std::size_t payload) {
    // A packet may be without payload, for example a keep-alive.
    if (payload == 0) return;
    const auto& cipher = static_cast<const IpsecMbCipher&>(*work.cipher);
    auto& burst = bursts_[(cipher.row().key - 16) / 8];
    nonces_[used_] = cipher.iv(work.ssrc, work.index);
    cipher.fill_cipher_job(burst.jobs[burst.count++], work, payload, nonces_[used_++]);
  }
  void run() {
    for (std::size_t i = 0; i < bursts_.size(); ++i) {
      if (bursts_[i].count == 0) continue;
      IMB_SUBMIT_CIPHER_BURST_NOCHECK(manager(), bursts_[i].jobs.data(),
                                      static_cast<std::uint32_t>(bursts_[i].count), IMB_CIPHER_CNTR,
                                      IMB_DIR_ENCRYPT, static_cast<IMB_KEY_SIZE_BYTES>(16 + 8 * i));
    }
  }

 private:
  struct Burst {
    std::array<IMB_JOB, kMaxBatch> jobs;
    std::size_t count = 0;
  };
  // For keys of 16, 24 and 32 octets.
  std::array<Burst, 3> bursts_;
  std::array<std::array<std::uint8_t, 16>, kMaxBatch> nonces_;
  std::size_t used_ = 0;
};

/// HMAC-SHA1 of packets, each with its roll-over counter behind it.
class HashBurst {
 public:
  void clear() { count_ = 0; }
  /// Adds a packet of `size` octets and returns its place. Overwrites the four octets behind it.
  std::size_t add(const SrtpWork& work, std::size_t size) {
    write_u32(work.space, size, static_cast<std::uint32_t>(work.index >> 16));
    static_cast<const IpsecMbCipher&>(*work.cipher)
        .fill_hash_job(jobs_[count_], work, size + kRollOver, digests_[count_]);
    return count_++;
  }
  void run() {
    if (count_ != 0)
      IMB_SUBMIT_HASH_BURST_NOCHECK(manager(), jobs_.data(), static_cast<std::uint32_t>(count_),
                                    IMB_AUTH_HMAC_SHA_1);
  }
  [[nodiscard]] const std::uint8_t* digest(std::size_t i) const { return digests_[i].data(); }

 private:
  std::array<IMB_JOB, kMaxBatch> jobs_;
  std::array<std::array<std::uint8_t, kDigest>, kMaxBatch> digests_;
  std::size_t count_ = 0;
};

void seal_some(std::span<SrtpWork> batch) noexcept {
  thread_local CipherBurst ciphers;
  thread_local HashBurst hashes;
  ciphers.clear();
  hashes.clear();
  std::array<std::size_t, kMaxBatch> places{};
  for (SrtpWork& work : batch) {
    auto& cipher = static_cast<IpsecMbCipher&>(*work.cipher);
    // The roll-over counter needs room too, though the tag may be shorter.
    work.done =
        work.size + cipher.rtp_overhead() <= work.space.size() && work.size + kRollOver <= work.space.size();
    if (!work.done) continue;
    if (cipher.row().is_aead)
      cipher.encrypt_gcm(work, work.size - work.header);
    else
      ciphers.add(work, work.size - work.header);
  }
  ciphers.run();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto& cipher = static_cast<const IpsecMbCipher&>(*batch[i].cipher);
    if (batch[i].done && !cipher.row().is_aead) places[i] = hashes.add(batch[i], batch[i].size);
  }
  hashes.run();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    SrtpWork& work = batch[i];
    if (!work.done) continue;
    const auto& cipher = static_cast<const IpsecMbCipher&>(*work.cipher);
    auto end = work.space.begin() + static_cast<std::ptrdiff_t>(work.size);
    if (cipher.row().is_aead) {
      std::ranges::copy(cipher.mki(), end + kGcmTag);
    } else {
      end = std::ranges::copy(cipher.mki(), end).out;
      std::memcpy(std::to_address(end), hashes.digest(places[i]), cipher.row().rtp_tag);
    }
    work.size += cipher.rtp_overhead();
  }
}

void open_some(std::span<SrtpWork> batch) noexcept {
  thread_local CipherBurst ciphers;
  thread_local HashBurst hashes;
  ciphers.clear();
  hashes.clear();
  std::array<std::size_t, kMaxBatch> places{};
  std::array<std::array<std::byte, kRollOver>, kMaxBatch> overwritten{};
  for (std::size_t i = 0; i < batch.size(); ++i) {
    SrtpWork& work = batch[i];
    auto& cipher = static_cast<IpsecMbCipher&>(*work.cipher);
    const std::size_t trailer = cipher.rtp_overhead();
    work.done = work.space.size() >= work.header + trailer;
    if (!work.done) continue;
    const std::size_t plain = work.space.size() - trailer;
    const std::size_t mki_at = plain + (cipher.row().is_aead ? kGcmTag : 0);
    // The MKI costs nothing to compare, and a packet of another key ends here.
    work.done = std::ranges::equal(work.space.subspan(mki_at, cipher.mki().size()), cipher.mki());
    if (!work.done) continue;
    if (cipher.row().is_aead) {
      work.done = cipher.decrypt_gcm(work, plain - work.header, work.space.data() + plain);
    } else {
      std::copy_n(work.space.begin() + static_cast<std::ptrdiff_t>(plain), kRollOver, overwritten[i].begin());
      places[i] = hashes.add(work, plain);
    }
  }
  hashes.run();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    SrtpWork& work = batch[i];
    const auto& cipher = static_cast<const IpsecMbCipher&>(*work.cipher);
    if (!work.done) continue;
    const std::size_t plain = work.space.size() - cipher.rtp_overhead();
    if (!cipher.row().is_aead) {
      std::ranges::copy(overwritten[i], work.space.begin() + static_cast<std::ptrdiff_t>(plain));
      const std::byte* tag = work.space.data() + plain + cipher.mki().size();
      work.done = CRYPTO_memcmp(hashes.digest(places[i]), tag, cipher.row().rtp_tag) == 0;
      if (!work.done) continue;
      ciphers.add(work, plain - work.header);
    }
    work.size = plain;
  }
  ciphers.run();
}

// A batch may be larger than what one burst takes.
template <class Some>
void in_parts(std::span<SrtpWork> batch, Some some) noexcept {
  for (; !batch.empty(); batch = batch.subspan(std::min(batch.size(), kMaxBatch)))
    some(batch.first(std::min(batch.size(), kMaxBatch)));
}

}  // namespace

void IpsecMbBackend::seal_rtp(std::span<SrtpWork> batch) const noexcept { in_parts(batch, seal_some); }
void IpsecMbBackend::open_rtp(std::span<SrtpWork> batch) const noexcept { in_parts(batch, open_some); }

std::unique_ptr<SrtpCipher> IpsecMbBackend::make(const SrtpMasterKey& key) const {
  const SrtpSuiteRow& row = row_of(key.suite);
  if (key.key.size() != row.key || key.salt.size() != row.salt || row.is_legacy) return nullptr;
  return std::make_unique<IpsecMbCipher>(key, *this);
}

}  // namespace ferry

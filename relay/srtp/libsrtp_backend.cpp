// SPDX-License-Identifier: Apache-2.0
// SRTP by libsrtp2. The library keeps an index and a replay list for each SSRC by itself, but here the
// context above decides on both (`srtp_context.hpp`). So this file tells the library before each packet what
// it will find anyway: `follow` computes the index that the library is going to guess, and sets its roll-over
// counter if that would be another one than decided. Replay lists are as long as allowed, and a packet that
// the library calls a repetition is tried again with a stream that has just been made.
//
// Traps:
// - A packet that is not authentic may leave no trace: neither in its octets, nor as a stream of an SSRC that
//   nobody has a key for (DMX-5).
// - `srtp_set_stream_roc` takes effect with the next packet. If that one fails, the wish must be taken back
//   (`forget_wish`).
#include "relay/srtp/libsrtp_backend.hpp"

#include "relay/core/srtp/srtp_context.hpp"
#include "relay/srtp/openssl_rtcp.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <srtp2/srtp.h>

namespace ferry {

namespace {

// Packets in the library's replay list; the real one is above.
constexpr unsigned long kWindow = 1024;

class LibsrtpCipher final : public OpensslRtcpCipher {
 public:
  explicit LibsrtpCipher(const SrtpMasterKey& key) : OpensslRtcpCipher(key), mki_(key.mki) {
    // Reserved, so that no packet needs memory (C-12).
    sending_.streams.reserve(kStreams);
    receiving_.streams.reserve(kStreams);
    for (const Bytes part : {key.key.get(), key.salt.get()}) {
      for (const std::byte each : part) octets_.push_back(std::to_integer<unsigned char>(each));
    }
  }
  ~LibsrtpCipher() override {
    for (Direction* each : {&sending_, &receiving_}) {
      if (each->session != nullptr) srtp_dealloc(each->session);
    }
    OPENSSL_cleanse(octets_.data(), octets_.size());
  }
  LibsrtpCipher(const LibsrtpCipher&) = delete;
  LibsrtpCipher& operator=(const LibsrtpCipher&) = delete;

  bool seal_rtp(MutableBytes space, std::size_t& size, std::size_t, Ssrc ssrc,
                std::uint64_t index) noexcept override {
    if (size + rtp_overhead() > space.size() || !follow(sending_, ssrc, index)) return false;
    int length = static_cast<int>(size);
    if (srtp_protect_mki(sending_.session, space.data(), &length, mki_.empty() ? 0 : 1, 0) !=
        srtp_err_status_ok)
      return false;
    size = static_cast<std::size_t>(length);
    note(sending_, ssrc, index);
    return true;
  }
  bool open_rtp(MutableBytes packet, std::size_t& size, std::size_t, Ssrc ssrc,
                std::uint64_t index) noexcept override {
    // A packet that is not authentic must stay as it was, and the library decrypts in place.
    std::array<std::byte, 9216> before;
    if (packet.size() > before.size() || !follow(receiving_, ssrc, index)) return false;
    std::ranges::copy(packet, before.begin());
    int length = static_cast<int>(packet.size());
    auto status = srtp_unprotect_mki(receiving_.session, packet.data(), &length, mki_.empty() ? 0 : 1);
    if (status == srtp_err_status_replay_fail || status == srtp_err_status_replay_old) {
      // The context above decides what is a repetition, so the library forgets what it has seen.
      remove(receiving_, ssrc);
      length = static_cast<int>(packet.size());
      status = follow(receiving_, ssrc, index)
                   ? srtp_unprotect_mki(receiving_.session, packet.data(), &length, mki_.empty() ? 0 : 1)
                   : srtp_err_status_fail;
    }
    if (status != srtp_err_status_ok) {
      std::copy_n(before.begin(), packet.size(), packet.begin());
      forget_wish(receiving_, ssrc);
      return false;
    }
    size = static_cast<std::size_t>(length);
    note(receiving_, ssrc, index);
    return true;
  }

 private:
  /// The library's view of one SSRC: the highest index so far, from which it guesses the next one.
  struct Known {
    Ssrc ssrc;
    std::uint64_t highest = 0;
    // When it was used last, in packets of `Direction::clock`.
    std::uint64_t used = 0;
    bool started = false;
    // The library was told a roll-over counter and takes that one, whatever it would guess, until a good
    // packet leaps forward. So it has to be told for each packet.
    bool has_wish = false;
  };
  // A session of the library for one direction.
  struct Direction {
    srtp_t session = nullptr;
    // At most kStreams; the one that was idle longest gives way.
    std::vector<Known> streams;
    // Counts packets.
    std::uint64_t clock = 0;
  };
  static constexpr std::size_t kStreams = 64;
  // Half of the sequence numbers: further on the library takes a packet for the first one behind a leap.
  static constexpr std::uint64_t kLeap = 1u << 15;

  /// Removes a stream. If the SSRC comes again it begins anew, which is harmless: its index is always told.
  static void remove(Direction& direction, Ssrc ssrc) noexcept {
    if (std::erase_if(direction.streams, [&](const Known& each) { return each.ssrc == ssrc; }) != 0)
      srtp_remove_stream(direction.session, htonl(ssrc.value));
  }
  // Makes the library use `index` for the next packet of `ssrc`. False if it refuses.
  bool follow(Direction& direction, Ssrc ssrc, std::uint64_t index) {
    auto known = std::ranges::find(direction.streams, ssrc, &Known::ssrc);
    if (known == direction.streams.end()) {
      if (direction.streams.size() >= kStreams)
        remove(direction, std::ranges::min_element(direction.streams, {}, &Known::used)->ssrc);
      if (!add(direction, ssrc)) return false;
      known = direction.streams.insert(direction.streams.end(), Known{ssrc});
    }
    known->used = ++direction.clock;
    const SeqNo sequence{static_cast<std::uint16_t>(index)};
    const std::int64_t guess =
        known->started ? estimate_index(known->highest, sequence) : static_cast<std::int64_t>(sequence.value);
    if (guess == static_cast<std::int64_t>(index) && !known->has_wish) return true;
    known->has_wish = true;
    return srtp_set_stream_roc(direction.session, ssrc.value, static_cast<std::uint32_t>(index >> 16)) ==
           srtp_err_status_ok;
  }
  // Takes back what `follow` has set, after a packet that was not authentic. For a stream that goes on this
  // is another wish, which the next packet must replace: it may be behind a wrap.
  void forget_wish(Direction& direction, Ssrc ssrc) {
    const auto known = std::ranges::find(direction.streams, ssrc, &Known::ssrc);
    if (known == direction.streams.end()) return;
    if (known->started) {
      known->has_wish = true;
      srtp_set_stream_roc(direction.session, ssrc.value, static_cast<std::uint32_t>(known->highest >> 16));
    } else {
      // A sender without the key must leave nothing behind (DMX-5).
      remove(direction, ssrc);
    }
  }
  // The packet was good: the library has moved on to its index.
  static void note(Direction& direction, Ssrc ssrc, std::uint64_t index) {
    Known& known = *std::ranges::find(direction.streams, ssrc, &Known::ssrc);
    if (index > known.highest + kLeap) known.has_wish = false;
    known.highest = std::max(known.highest, index);
    known.started = true;
  }
  // Adds a stream with the key of this cipher; the first one makes the session.
  bool add(Direction& direction, Ssrc ssrc) {
    const SrtpSuiteRow& suite = row();
    srtp_policy_t policy{};
    if (suite.is_aead && suite.key == 16)
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
    else if (suite.is_aead)
      srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp);
    else if (suite.key == 16 && suite.rtp_tag == 10)
      srtp_crypto_policy_set_rtp_default(&policy.rtp);
    else if (suite.key == 16)
      srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy.rtp);
    else if (suite.rtp_tag == 10)
      srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy.rtp);
    else
      srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32(&policy.rtp);
    // Not used: SRTCP is OpenSSL's.
    policy.rtcp = policy.rtp;
    policy.ssrc = {ssrc_specific, ssrc.value};
    policy.window_size = kWindow;
    // The context above decides what is a repetition.
    policy.allow_repeat_tx = 1;
    srtp_master_key_t master{octets_.data(), reinterpret_cast<unsigned char*>(mki_.data()),
                             static_cast<unsigned>(mki_.size())};
    srtp_master_key_t* keys[] = {&master};
    if (mki_.empty()) {
      policy.key = octets_.data();
    } else {
      policy.keys = keys;
      policy.num_master_keys = 1;
    }
    if (direction.session == nullptr) return srtp_create(&direction.session, &policy) == srtp_err_status_ok;
    return srtp_add_stream(direction.session, &policy) == srtp_err_status_ok;
  }

  // The library wants a pointer that it could write to.
  std::vector<std::byte> mki_;
  // Master key and salt in one piece.
  std::vector<unsigned char> octets_;
  Direction sending_;
  Direction receiving_;
};

}  // namespace

// Initialised once for the process.
LibsrtpBackend::LibsrtpBackend() {
  static const bool ready = srtp_init() == srtp_err_status_ok;
  (void)ready;
}

std::unique_ptr<SrtpCipher> LibsrtpBackend::make(const SrtpMasterKey& key) const {
  const SrtpSuiteRow& row = row_of(key.suite);
  if (key.key.size() != row.key || key.salt.size() != row.salt || row.is_legacy) return nullptr;
  // Debian's build derives keys of AES-192 wrongly (RFC 6188 §3).
  if (row.key == 24) return EvpBackend().make(key);
  return std::make_unique<LibsrtpCipher>(key);
}

}  // namespace ferry

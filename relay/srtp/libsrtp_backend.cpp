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

constexpr unsigned long kWindow = 1024;

class LibsrtpCipher final : public OpensslRtcpCipher {
 public:
  explicit LibsrtpCipher(const SrtpMasterKey& key) : OpensslRtcpCipher(key), mki_(key.mki) {
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
    std::array<std::byte, 9216>
        before;  // nothing may change if it is not authentic; longer than any datagram
    if (packet.size() > before.size() || !follow(receiving_, ssrc, index)) return false;
    std::ranges::copy(packet, before.begin());
    int length = static_cast<int>(packet.size());
    auto status = srtp_unprotect_mki(receiving_.session, packet.data(), &length, mki_.empty() ? 0 : 1);
    if (status == srtp_err_status_replay_fail || status == srtp_err_status_replay_old) {
      // The context above decides what is a repetition.
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
  /// libsrtp keeps an index of its own for each SSRC; it must come to the one that was decided on.
  struct Known {
    Ssrc ssrc;
    std::uint64_t highest = 0;
    std::uint64_t used = 0;  // in packets
    bool started = false;
  };
  struct Direction {
    srtp_t session = nullptr;
    std::vector<Known> streams;  // the longest idle one gives way
    std::uint64_t clock = 0;     // packets
  };
  static constexpr std::size_t kStreams = 64;

  /// It begins anew when it comes again: its index is always told.
  static void remove(Direction& direction, Ssrc ssrc) noexcept {
    if (std::erase_if(direction.streams, [&](const Known& each) { return each.ssrc == ssrc; }) != 0)
      srtp_remove_stream(direction.session, htonl(ssrc.value));
  }
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
    if (guess == static_cast<std::int64_t>(index)) return true;
    return srtp_set_stream_roc(direction.session, ssrc.value, static_cast<std::uint32_t>(index >> 16)) ==
           srtp_err_status_ok;
  }
  void forget_wish(Direction& direction, Ssrc ssrc) {
    const auto known = std::ranges::find(direction.streams, ssrc, &Known::ssrc);
    if (known == direction.streams.end()) return;
    if (known->started)
      srtp_set_stream_roc(direction.session, ssrc.value, static_cast<std::uint32_t>(known->highest >> 16));
    else
      remove(direction, ssrc);  // whoever has no key leaves nothing behind (DMX-5)
  }
  static void note(Direction& direction, Ssrc ssrc, std::uint64_t index) {
    Known& known = *std::ranges::find(direction.streams, ssrc, &Known::ssrc);
    known.highest = std::max(known.highest, index);
    known.started = true;
  }
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
    policy.rtcp = policy.rtp;  // not used
    policy.ssrc = {ssrc_specific, ssrc.value};
    policy.window_size = kWindow;
    policy.allow_repeat_tx = 1;  // the context above decides what is a repetition
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

  std::vector<std::byte> mki_;  // libsrtp wants to write to it
  std::vector<unsigned char> octets_;
  Direction sending_;
  Direction receiving_;
};

}  // namespace

LibsrtpBackend::LibsrtpBackend() {
  static const bool ready = srtp_init() == srtp_err_status_ok;
  (void)ready;
}

std::unique_ptr<SrtpCipher> LibsrtpBackend::make(const SrtpMasterKey& key) const {
  const SrtpSuiteRow& row = row_of(key.suite);
  if (key.key.size() != row.key || key.salt.size() != row.salt || row.is_legacy) return nullptr;
  if (row.key == 24) return EvpBackend().make(key);
  return std::make_unique<LibsrtpCipher>(key);
}

}  // namespace ferry

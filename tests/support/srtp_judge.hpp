// SPDX-License-Identifier: Apache-2.0
// An SRTP end by libsrtp2, which knows nothing of ours, and short ways to use our own.
#pragma once

#include "relay/core/srtp/srtp_context.hpp"
#include "relay/srtp/evp_backend.hpp"
#include "tests/support/packets.hpp"

#include <memory>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <srtp2/srtp.h>

namespace ferry::test {

inline Packet random_octets(std::mt19937& random, std::size_t size) {
  Packet octets(size);
  for (auto& each : octets) each = static_cast<std::byte>(random());
  return octets;
}

inline SrtpMasterKey random_key(std::mt19937& random, SrtpSuite suite, std::size_t mki = 0) {
  SrtpMasterKey key;
  key.suite = suite;
  key.key = SecretBytes<32>(random_octets(random, row_of(suite).key));
  key.salt = SecretBytes<14>(random_octets(random, row_of(suite).salt));
  key.mki = random_octets(random, mki);
  return key;
}

/// The other end, by libsrtp2: one direction.
class Judge {
 public:
  Judge(const SrtpMasterKey& key, bool receives) : mki_(key.mki) {
    // The library refuses a second time, and the back end libsrtp2 may have begun; `status` tells if nobody
    // has.
    [[maybe_unused]] static const srtp_err_status_t kBegun = srtp_init();
    srtp_policy_t policy{};
    const auto set = [&](auto rtp, auto rtcp) {
      rtp(&policy.rtp);
      rtcp(&policy.rtcp);
    };
    switch (key.suite) {
      case SrtpSuite::kAeadAes256Gcm:
        set(srtp_crypto_policy_set_aes_gcm_256_16_auth, srtp_crypto_policy_set_aes_gcm_256_16_auth);
        break;
      case SrtpSuite::kAeadAes128Gcm:
        set(srtp_crypto_policy_set_aes_gcm_128_16_auth, srtp_crypto_policy_set_aes_gcm_128_16_auth);
        break;
      case SrtpSuite::kAes256Cm80:
        set(srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80, srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80);
        break;
      case SrtpSuite::kAes256Cm32:
        set(srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32, srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80);
        break;
      case SrtpSuite::kAes192Cm80:
        set(srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80, srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80);
        break;
      case SrtpSuite::kAes192Cm32:
        set(srtp_crypto_policy_set_aes_cm_192_hmac_sha1_32, srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80);
        break;
      case SrtpSuite::kAes128Cm80:
        set(srtp_crypto_policy_set_rtp_default, srtp_crypto_policy_set_rtcp_default);
        break;
      case SrtpSuite::kAes128Cm32:
        set(srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32, srtp_crypto_policy_set_rtcp_default);
        break;
      case SrtpSuite::kF8With80:
      case SrtpSuite::kF8With32:
      case SrtpSuite::kNullWith80:
      case SrtpSuite::kNullWith32:
        return;
    }
    for (const Bytes part : {key.key.get(), key.salt.get()}) {
      for (const std::byte each : part) octets_.push_back(std::to_integer<unsigned char>(each));
    }
    policy.ssrc.type = receives ? ssrc_any_inbound : ssrc_any_outbound;
    policy.window_size = 1024;
    srtp_master_key_t master{octets_.data(), reinterpret_cast<unsigned char*>(mki_.data()),
                             static_cast<unsigned>(mki_.size())};
    srtp_master_key_t* keys[] = {&master};
    if (mki_.empty()) {
      policy.key = octets_.data();
    } else {
      policy.keys = keys;
      policy.num_master_keys = 1;
    }
    status = srtp_create(&session_, &policy);
    EXPECT_EQ(status, srtp_err_status_ok);
  }
  ~Judge() {
    if (session_ != nullptr) srtp_dealloc(session_);
  }
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  srtp_err_status_t protect(Packet& packet, bool rtcp = false) {
    return run(packet, rtcp ? srtp_protect_rtcp_mki : srtp_protect_mki, SRTP_MAX_TRAILER_LEN + 128);
  }
  srtp_err_status_t unprotect(Packet& packet, bool rtcp = false) {
    int size = static_cast<int>(packet.size());
    const auto result = rtcp ? srtp_unprotect_rtcp_mki(session_, packet.data(), &size, mki_.empty() ? 0 : 1)
                             : srtp_unprotect_mki(session_, packet.data(), &size, mki_.empty() ? 0 : 1);
    if (result == srtp_err_status_ok) packet.resize(static_cast<std::size_t>(size));
    return result;
  }
  srtp_err_status_t status = srtp_err_status_fail;

 private:
  template <class Function>
  srtp_err_status_t run(Packet& packet, Function function, std::size_t room) {
    int size = static_cast<int>(packet.size());
    packet.resize(packet.size() + room);
    const auto result = function(session_, packet.data(), &size, mki_.empty() ? 0 : 1, 0);
    packet.resize(static_cast<std::size_t>(size));
    return result;
  }

  std::vector<unsigned char> octets_;
  std::vector<std::byte> mki_;
  srtp_t session_ = nullptr;
};

inline SrtpResult seal(SrtpSender& sender, Packet& packet, bool rtcp = false) {
  std::size_t size = packet.size();
  packet.resize(size + sender.overhead());
  const SrtpResult result = rtcp ? sender.seal_rtcp(packet, size) : sender.seal_rtp(packet, size);
  packet.resize(size);
  return result;
}
inline SrtpResult open(SrtpReceiver& receiver, Packet& packet, bool rtcp = false) {
  std::size_t size = packet.size();
  const SrtpResult result = rtcp ? receiver.open_rtcp(packet, size) : receiver.open_rtp(packet, size);
  if (result == SrtpResult::kOk) packet.resize(size);
  return result;
}

/// What a party is keyed with, as it sees it.
struct SrtpKeys {
  SrtpMasterKey to_relay;
  SrtpMasterKey from_relay;
};

/// A party's SRTP: libsrtp2, but for AES-192, where that one is wrong.
class SrtpEnd {
 public:
  explicit SrtpEnd(const SrtpKeys& keys) { follow(keys); }
  /// A direction whose key stays goes on with its counters.
  void follow(const SrtpKeys& keys) {
    // Not libsrtp2, which is wrong there.
    const bool ours = row_of(keys.to_relay.suite).key == 24;
    if (!keys_ || keys_->to_relay != keys.to_relay) {
      sends_ = ours ? nullptr : std::make_unique<Judge>(keys.to_relay, false);
      sender_ = ours ? std::make_unique<SrtpSender>(EvpBackend().make(keys.to_relay)) : nullptr;
    }
    if (!keys_ || keys_->from_relay != keys.from_relay) {
      receives_ = ours ? nullptr : std::make_unique<Judge>(keys.from_relay, true);
      receiver_ = ours ? std::make_unique<SrtpReceiver>(EvpBackend().make(keys.from_relay)) : nullptr;
    }
    keys_ = keys;
  }
  Packet sealed(Packet packet, bool rtcp = false) {
    const bool good = sends_ ? sends_->protect(packet, rtcp) == srtp_err_status_ok
                             : seal(*sender_, packet, rtcp) == SrtpResult::kOk;
    EXPECT_TRUE(good);
    return packet;
  }
  /// Empty if it is not authentic.
  Packet opened(Packet packet, bool rtcp = false) {
    const bool good = receives_ ? receives_->unprotect(packet, rtcp) == srtp_err_status_ok
                                : open(*receiver_, packet, rtcp) == SrtpResult::kOk;
    return good ? packet : Packet{};
  }

 private:
  std::optional<SrtpKeys> keys_;
  std::unique_ptr<Judge> sends_, receives_;
  std::unique_ptr<SrtpSender> sender_;
  std::unique_ptr<SrtpReceiver> receiver_;
};

}  // namespace ferry::test

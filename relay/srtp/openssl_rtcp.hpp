// SPDX-License-Identifier: Apache-2.0
// The base of ciphers that leave SRTCP to OpenSSL.
#pragma once

#include "relay/srtp/evp_backend.hpp"

#include <memory>
#include <vector>

namespace ferry {

/// SRTCP by OpenSSL; the derived class does SRTP. SRTCP packets are rare and come alone, so no batch is worth
/// collecting, and a library that numbers them itself is of no use.
class OpensslRtcpCipher : public SrtpCipher {
 public:
  /// `key` must have the sizes of its suite.
  explicit OpensslRtcpCipher(const SrtpMasterKey& key)
      : row_(row_of(key.suite)), mki_(key.mki), rtcp_(EvpBackend().make(key)) {}

  [[nodiscard]] std::size_t overhead() const noexcept override { return rtcp_->overhead(); }
  [[nodiscard]] std::size_t rtp_overhead() const noexcept override { return row_.rtp_tag + mki_.size(); }
  bool seal_rtcp(MutableBytes space, std::size_t& size, Ssrc ssrc, std::uint32_t index) noexcept override {
    return rtcp_->seal_rtcp(space, size, ssrc, index);
  }
  bool rtcp_index(Bytes packet, std::uint32_t& index) const noexcept override {
    return rtcp_->rtcp_index(packet, index);
  }
  bool open_rtcp(MutableBytes packet, std::size_t& size, Ssrc ssrc) noexcept override {
    return rtcp_->open_rtcp(packet, size, ssrc);
  }

  /// The suite's sizes and properties.
  [[nodiscard]] const SrtpSuiteRow& row() const noexcept { return row_; }
  /// The master key identifier that follows each packet; empty: there is none.
  [[nodiscard]] const std::vector<std::byte>& mki() const noexcept { return mki_; }

 private:
  const SrtpSuiteRow& row_;
  std::vector<std::byte> mki_;
  std::unique_ptr<SrtpCipher> rtcp_;
};

}  // namespace ferry

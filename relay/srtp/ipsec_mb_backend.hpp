// SPDX-License-Identifier: Apache-2.0
// SRTP by Intel's multi-buffer library, which works on several packets at a time.
#pragma once

#include "relay/core/srtp/srtp_cipher.hpp"

namespace ferry {

/// Makes ciphers that use the library for SRTP. SRTCP packets come alone and are left to OpenSSL. Has no
/// state; any thread, each with a manager of the library of its own.
class IpsecMbBackend final : public SrtpBackend {
 public:
  [[nodiscard]] bool is_batching() const noexcept override { return true; }
  void seal_rtp(std::span<SrtpWork> batch) const noexcept override;
  void open_rtp(std::span<SrtpWork> batch) const noexcept override;
  [[nodiscard]] std::unique_ptr<SrtpCipher> make(const SrtpMasterKey& key) const override;
};

}  // namespace ferry

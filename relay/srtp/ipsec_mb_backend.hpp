// SRTP by Intel's multi-buffer library, several packets at a time.
#pragma once

#include "relay/core/srtp/srtp_cipher.hpp"

namespace ferry {

/// SRTCP, which comes alone, is OpenSSL's. Stateless; any thread (each has a manager of its own).
class IpsecMbBackend final : public SrtpBackend {
 public:
  [[nodiscard]] bool is_batching() const noexcept override { return true; }
  void seal_rtp(std::span<SrtpWork> batch) const noexcept override;
  void open_rtp(std::span<SrtpWork> batch) const noexcept override;
  [[nodiscard]] std::unique_ptr<SrtpCipher> make(const SrtpMasterKey& key) const override;
};

}  // namespace ferry

// SRTP by OpenSSL.
#pragma once

#include "relay/core/srtp/srtp_cipher.hpp"

namespace ferry {

/// Stateless; any thread.
class EvpBackend final : public SrtpBackend {
 public:
  [[nodiscard]] std::unique_ptr<SrtpCipher> make(const SrtpMasterKey& key) const override;
};

}  // namespace ferry

// SRTP by libsrtp2.
#pragma once

#include "relay/core/srtp/srtp_cipher.hpp"

namespace ferry {

/// SRTCP is OpenSSL's: libsrtp chooses its index itself and cannot be told to skip any (SRT-9). So is
/// AES-192, whose keys Debian's build derives wrongly (RFC 6188 §3). Stateless; any thread.
class LibsrtpBackend final : public SrtpBackend {
 public:
  LibsrtpBackend();
  [[nodiscard]] std::unique_ptr<SrtpCipher> make(const SrtpMasterKey& key) const override;
};

}  // namespace ferry

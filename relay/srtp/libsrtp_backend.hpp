// SPDX-License-Identifier: Apache-2.0
// SRTP by libsrtp2, for operators who trust that library.
#pragma once

#include "relay/core/srtp/srtp_cipher.hpp"

namespace ferry {

/// Makes ciphers that use libsrtp2 for SRTP. SRTCP is left to OpenSSL, because libsrtp2 chooses the index
/// itself and cannot be told to skip one (SRT-9). AES-192 is left to OpenSSL too, because Debian's build
/// derives its keys wrongly (RFC 6188 §3). Has no state; any thread.
class LibsrtpBackend final : public SrtpBackend {
 public:
  /// Initialises libsrtp2, once for the process.
  LibsrtpBackend();
  [[nodiscard]] std::unique_ptr<SrtpCipher> make(const SrtpMasterKey& key) const override;
};

}  // namespace ferry

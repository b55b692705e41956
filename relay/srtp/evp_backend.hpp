// SPDX-License-Identifier: Apache-2.0
// SRTP by OpenSSL: the back end that packets take by default.
#pragma once

#include "relay/core/srtp/srtp_cipher.hpp"

namespace ferry {

/// The session keys of one protocol, SRTP or SRTCP, as the key derivation gives them (RFC 3711 §4.3).
struct SrtpSessionKeys {
  SecretBytes<32> key;
  SecretBytes<14> salt;
  /// Empty for AEAD suites.
  SecretBytes<20> auth;
};

/// Derives the session keys of one protocol at a key derivation rate of 0 (RFC 3711 §4.3). `first_label`: 0
/// for SRTP, 3 for SRTCP.
SrtpSessionKeys derive_session_keys(const SrtpMasterKey& master, unsigned first_label);

/// Makes ciphers that use OpenSSL. Has no state; any thread.
class EvpBackend final : public SrtpBackend {
 public:
  [[nodiscard]] std::unique_ptr<SrtpCipher> make(const SrtpMasterKey& key) const override;
  /// A cipher with session keys from elsewhere, as in the test vectors of RFC 7714. Their sizes must be the
  /// suite's.
  static std::unique_ptr<SrtpCipher> make(SrtpSuite suite, const SrtpSessionKeys& rtp,
                                          const SrtpSessionKeys& rtcp);
};

}  // namespace ferry

// SRTP by OpenSSL.
#pragma once

#include "relay/core/srtp/srtp_cipher.hpp"

namespace ferry {

/// Keys of one of the two protocols as a key derivation gives them.
struct SrtpSessionKeys {
  SecretBytes<32> key;
  SecretBytes<14> salt;
  SecretBytes<20> auth;  // empty for AEAD
};

/// RFC 3711 §4.3 at a key derivation rate of 0. `first_label`: 0 for SRTP, 3 for SRTCP.
SrtpSessionKeys derive_session_keys(const SrtpMasterKey& master, unsigned first_label);

/// Stateless; any thread.
class EvpBackend final : public SrtpBackend {
 public:
  [[nodiscard]] std::unique_ptr<SrtpCipher> make(const SrtpMasterKey& key) const override;
  /// With the derivation done by somebody else, as in the vectors of RFC 7714. The sizes must be the suite's.
  static std::unique_ptr<SrtpCipher> make(SrtpSuite suite, const SrtpSessionKeys& rtp,
                                          const SrtpSessionKeys& rtcp);
};

}  // namespace ferry

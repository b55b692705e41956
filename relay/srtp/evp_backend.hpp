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

/// Stateless; any thread.
class EvpBackend final : public SrtpBackend {
 public:
  [[nodiscard]] std::unique_ptr<SrtpCipher> make(const SrtpMasterKey& key) const override;
  /// With the derivation done by somebody else, as in the vectors of RFC 7714. The sizes must be the suite's.
  static std::unique_ptr<SrtpCipher> make(SrtpSuite suite, const SrtpSessionKeys& rtp,
                                          const SrtpSessionKeys& rtcp);
};

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// An SRTP master key as signalling or a DTLS handshake gave it.
#pragma once

#include "relay/base/secret_bytes.hpp"
#include "relay/core/srtp/srtp_suite.hpp"

#include <cstddef>
#include <vector>

namespace ferry {

/// A master key for one direction of one media; it is never used for two (SRT-1). `key` and `salt` have the
/// sizes of the suite.
struct SrtpMasterKey {
  SrtpSuite suite = SrtpSuite::kAes128Cm80;
  SecretBytes<32> key;
  SecretBytes<14> salt;
  /// Master key identifier that its packets carry (RFC 3711 §3.1); empty if there is none.
  std::vector<std::byte> mki;

  bool operator==(const SrtpMasterKey&) const = default;
};

}  // namespace ferry

// A master key as signalling gave it.
#pragma once

#include "relay/base/secret_bytes.hpp"
#include "relay/base/srtp_suite.hpp"

#include <cstddef>
#include <vector>

namespace ferry {

/// One direction of one medium: never used for two (SRT-1). `key` and `salt` have the sizes of the suite.
struct SrtpMasterKey {
  SrtpSuite suite = SrtpSuite::kAes128Cm80;
  SecretBytes<32> key;
  SecretBytes<14> salt;
  /// Master key identifier that packets carry; empty = none (RFC 3711 §3.1).
  std::vector<std::byte> mki;

  bool operator==(const SrtpMasterKey&) const = default;
};

}  // namespace ferry

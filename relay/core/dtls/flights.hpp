// SPDX-License-Identifier: Apache-2.0
// Checks of a peer's handshake messages before anybody has proved to have written them (DTL-13): a check of
// their form, which keeps plain forgeries away from an association that they would end, and a watch for two
// different messages under one number.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/core/dtls/dtls.hpp"
#include "relay/core/dtls/records.hpp"

#include <array>
#include <cstdint>

namespace ferry {

/// True if the messages in clear are such as a peer sends to `role`, by type and length (RFC 5246 §7.4, RFC
/// 6347 §4.2). Encrypted ones are not looked at.
[[nodiscard]] bool is_plausible(Bytes records, DtlsRole role) noexcept;

/// Notices two different messages under one number. A peer repeats its messages octet by octet (RFC 6347
/// §4.2.4), so one of the two is somebody else's. Plain values; one object for each handshake of a client.
class FlightWatch {
 public:
  /// Takes note of the messages in `records`. False if one of them differs from the one that came before
  /// under its number.
  bool note(Bytes records) noexcept;

 private:
  /// A server has no more messages than this.
  static constexpr std::size_t kMessages = 8;
  /// The first piece that came of a message.
  struct Seen {
    std::uint8_t type = 0;
    std::uint32_t length = 0;
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
    /// Digest of that piece.
    std::uint64_t digest = 0;
    bool is_set = false;
  };
  std::array<Seen, kMessages> seen_{};
};

}  // namespace ferry

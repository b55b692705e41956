// What a peer's handshake messages look like, before anybody has shown who wrote them (DTL-13): a check of
// their form, which keeps plain forgeries away from an association that they would end, and a watch for a
// peer that sends two different messages under one number.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/core/dtls/dtls.hpp"
#include "relay/core/dtls/records.hpp"

#include <array>
#include <cstdint>

namespace ferry {

/// The messages in clear of a datagram are such as a peer sends to `role`, by type and length (RFC 5246 §7.4,
/// RFC 6347 §4.2). What is encrypted is not looked at.
[[nodiscard]] bool is_plausible(Bytes records, DtlsRole role) noexcept;

/// Whether two messages with one number differ: a peer repeats its messages octet by octet (RFC 6347 §4.2.4),
/// so that one of them is somebody else's. Plain values; one for each handshake of a client.
class FlightWatch {
 public:
  /// False: a message of `records` is another one than came before under its number.
  bool note(Bytes records) noexcept;

 private:
  static constexpr std::size_t kMessages = 8;  // a server has no more
  struct Seen {
    std::uint8_t type = 0;
    std::uint32_t length = 0;
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
    std::uint64_t digest = 0;  // of the piece that came first
    bool is_set = false;
  };
  std::array<Seen, kMessages> seen_{};
};

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// RTP packets as views (RFC 3550 §5.1, extension block RFC 8285 §4). Nothing is copied.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/result.hpp"
#include "relay/base/types.hpp"

#include <cstdint>
#include <string_view>

namespace ferry {

/// A parsed RTP packet; integers are in host order. `payload` points into the datagram and dies with it.
struct RtpView {
  Ssrc ssrc;
  SeqNo sequence;
  std::uint32_t timestamp = 0;
  PayloadType payload_type;
  bool marker = false;
  /// Octets in front of the payload: fixed header, CSRCs and extension block.
  std::size_t header_size = 0;
  /// The payload without padding.
  Bytes payload;
};

/// The first rule that a packet breaks (DMX-3, DMX-4); `to_string` gives its words.
enum class RtpParseError : std::uint8_t {
  kTooShort,
  kBadVersion,
  kCsrcOverrun,
  kExtensionOverrun,
  kBadPadding
};
/// The error in words.
std::string_view to_string(RtpParseError error) noexcept;

/// Parses the fixed header, CSRCs, extension block and padding of one RTP packet.
///
/// `datagram`  whole UDP payload, network order; borrowed.
/// Fails       with the first rule broken (DMX-3, DMX-4). The payload type is not judged.
/// Cost        no allocation, one pass. Safe on any thread.
[[nodiscard]] Result<RtpView, RtpParseError> parse_rtp(Bytes datagram) noexcept;

/// Writes a fixed header of 12 octets, without CSRCs and extension. `out` has room for them.
void write_rtp_header(MutableBytes out, PayloadType type, bool marker, SeqNo sequence,
                      std::uint32_t timestamp, Ssrc ssrc) noexcept;

/// Octets of an RTP header without CSRCs and extension.
constexpr std::size_t kRtpFixedHeaderSize = 12;

}  // namespace ferry

// RTP packets as views (RFC 3550 §5.1, extension block RFC 8285 §4). Nothing is copied.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/result.hpp"
#include "relay/base/types.hpp"

#include <cstdint>
#include <string_view>

namespace ferry {

/// A parsed RTP packet. The spans point into the datagram and die with it.
struct RtpView {
  Ssrc ssrc;
  SeqNo sequence;
  std::uint32_t timestamp = 0;
  PayloadType payload_type;
  bool marker = false;
  /// Octets before the payload: fixed header, CSRCs, extension block.
  std::size_t header_size = 0;
  /// Without padding.
  Bytes payload;
};

enum class RtpParseError : std::uint8_t {
  kTooShort,
  kBadVersion,
  kCsrcOverrun,
  kExtensionOverrun,
  kBadPadding
};
std::string_view to_string(RtpParseError error) noexcept;

/// Parses the fixed header, CSRCs, extension block and padding of one RTP packet.
///
/// `datagram`  whole UDP payload, network order; borrowed.
/// Fails       with the first rule broken (media-security DMX-3, DMX-4).
/// Cost        no allocation, one pass. Safe on any thread.
[[nodiscard]] Result<RtpView, RtpParseError> parse_rtp(Bytes datagram) noexcept;

/// Writes a fixed header (no CSRC, no extension) of 12 octets. `out` holds at least 12.
void write_rtp_header(MutableBytes out, PayloadType type, bool marker, SeqNo sequence,
                      std::uint32_t timestamp, Ssrc ssrc) noexcept;

constexpr std::size_t kRtpFixedHeaderSize = 12;

}  // namespace ferry

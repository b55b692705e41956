// SPDX-License-Identifier: Apache-2.0
#include "relay/core/rtp/rtp.hpp"

namespace ferry {

std::string_view to_string(RtpParseError error) noexcept {
  switch (error) {
    case RtpParseError::kTooShort:
      return "too short";
    case RtpParseError::kBadVersion:
      return "bad version";
    case RtpParseError::kCsrcOverrun:
      return "CSRC list past the end";
    case RtpParseError::kExtensionOverrun:
      return "extension past the end";
    case RtpParseError::kBadPadding:
      return "bad padding";
  }
  return "unknown";
}

Result<RtpView, RtpParseError> parse_rtp(Bytes datagram) noexcept {
  if (datagram.size() < kRtpFixedHeaderSize) return fail(RtpParseError::kTooShort);
  const std::uint8_t first = read_u8(datagram, 0);
  if ((first >> 6) != 2) return fail(RtpParseError::kBadVersion);
  // RFC 3550 §5.1: up to 15 CSRCs of four octets follow the fixed header.
  std::size_t header = kRtpFixedHeaderSize + 4u * (first & 0x0f);
  if (header > datagram.size()) return fail(RtpParseError::kCsrcOverrun);
  if ((first & 0x10) != 0) {
    // RFC 3550 §5.3.1: the extension's length counts words behind its own header of four octets.
    if (header + 4 > datagram.size()) return fail(RtpParseError::kExtensionOverrun);
    header += 4 + 4u * read_u16(datagram, header + 2);
    if (header > datagram.size()) return fail(RtpParseError::kExtensionOverrun);
  }
  std::size_t padding = 0;
  // The last octet counts the padding, itself included.
  if ((first & 0x20) != 0) {
    padding = read_u8(datagram, datagram.size() - 1);
    if (padding == 0 || header + padding > datagram.size()) return fail(RtpParseError::kBadPadding);
  }
  RtpView view;
  view.ssrc = Ssrc{read_u32(datagram, 8)};
  view.sequence = SeqNo{read_u16(datagram, 2)};
  view.timestamp = read_u32(datagram, 4);
  view.payload_type = PayloadType{static_cast<std::uint8_t>(read_u8(datagram, 1) & 0x7f)};
  view.marker = (read_u8(datagram, 1) & 0x80) != 0;
  view.header_size = header;
  view.payload = datagram.subspan(header, datagram.size() - header - padding);
  return view;
}

void write_rtp_header(MutableBytes out, PayloadType type, bool marker, SeqNo sequence,
                      std::uint32_t timestamp, Ssrc ssrc) noexcept {
  write_u8(out, 0, 0x80);
  write_u8(out, 1, static_cast<std::uint8_t>((marker ? 0x80 : 0) | type.value));
  write_u16(out, 2, sequence.value);
  write_u32(out, 4, timestamp);
  write_u32(out, 8, ssrc.value);
}

}  // namespace ferry

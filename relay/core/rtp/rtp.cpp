#include "relay/core/rtp/rtp.hpp"

#include <algorithm>

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
  std::size_t header = kRtpFixedHeaderSize + 4u * (first & 0x0f);
  if (header > datagram.size()) return fail(RtpParseError::kCsrcOverrun);
  if ((first & 0x10) != 0) {
    if (header + 4 > datagram.size()) return fail(RtpParseError::kExtensionOverrun);
    header += 4 + 4u * read_u16(datagram, header + 2);
    if (header > datagram.size()) return fail(RtpParseError::kExtensionOverrun);
  }
  std::size_t padding = 0;
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

void blank_extensions(MutableBytes rtp, std::uint16_t ids) noexcept {
  if (rtp.size() < kRtpFixedHeaderSize || (read_u8(rtp, 0) & 0x10) == 0) return;
  const std::size_t block = kRtpFixedHeaderSize + 4 * static_cast<std::size_t>(read_u8(rtp, 0) & 0x0f);
  if (rtp.size() < block + 4) return;
  const std::uint16_t profile = read_u16(rtp, block);
  const bool one_byte = profile == 0xbede;
  if (!one_byte && (profile & 0xfff0) != 0x1000) return;
  const std::size_t end =
      std::min(rtp.size(), block + 4 + 4 * static_cast<std::size_t>(read_u16(rtp, block + 2)));
  for (std::size_t at = block + 4; at < end;) {
    const std::uint8_t first = read_u8(rtp, at);
    if (first == 0) {  // padding
      ++at;
      continue;
    }
    const unsigned id = one_byte ? first >> 4 : first;
    if (one_byte && id == 15) return;  // stop, says RFC 8285 §4.2
    if (!one_byte && at + 1 >= end) return;
    const std::size_t size = one_byte ? 2u + (first & 0x0fu) : 2u + read_u8(rtp, at + 1);
    if (at + size > end) return;
    if (id < 16 && (ids >> id & 1) != 0) std::ranges::fill(rtp.subspan(at, size), std::byte{0});
    at += size;
  }
}

}  // namespace ferry

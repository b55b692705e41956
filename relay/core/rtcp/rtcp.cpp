// SPDX-License-Identifier: Apache-2.0
#include "relay/core/rtcp/rtcp.hpp"

#include <algorithm>

namespace ferry {

namespace {

// Most packets in one compound; it bounds the work for one datagram.
constexpr std::size_t kMaxPackets = 64;

/// Size of the SDES items in `body`, which starts behind the SSRC of a chunk and reaches to the end of the
/// packet. Fails if an item or the end marker lies outside.
Result<std::size_t, RtcpError> sdes_items_size(Bytes body) noexcept {
  std::size_t at = 0;
  while (at < body.size()) {
    if (read_u8(body, at) == 0) return (at + 4) & ~std::size_t{3};  // end marker, padded to 32 bits
    if (at + 2 > body.size()) break;
    at += 2u + read_u8(body, at + 1);
  }
  return fail(RtcpError::kItemPastChunk);
}

// SDES: each chunk is an SSRC and a list of items (RFC 3550 §6.5).
Result<void, RtcpError> validate_sdes(Bytes packet, std::size_t chunks) noexcept {
  std::size_t at = 4;
  for (std::size_t i = 0; i < chunks; ++i) {
    if (at + 4 > packet.size()) return fail(RtcpError::kItemPastChunk);
    const auto size = sdes_items_size(packet.subspan(at + 4));
    if (!size) return fail(size.error());
    at += 4 + *size;
    if (at > packet.size()) return fail(RtcpError::kItemPastChunk);
  }
  return {};
}

// BYE: a list of SSRCs, and perhaps a reason with its length (RFC 3550 §6.6).
Result<void, RtcpError> validate_bye(Bytes packet, std::size_t count) noexcept {
  const std::size_t after = 4 + 4 * count;
  if (after > packet.size()) return fail(RtcpError::kBlocksPastEnd);
  if (after < packet.size() && after + 1u + read_u8(packet, after) > packet.size()) {
    return fail(RtcpError::kReasonPastEnd);
  }
  return {};
}

// XR: blocks that each say their length, and that fill the packet exactly (RFC 3611 §3).
Result<void, RtcpError> validate_xr(Bytes packet) noexcept {
  std::size_t at = 8;
  if (packet.size() < at) return fail(RtcpError::kXrPastEnd);
  while (at < packet.size()) {
    if (at + 4 > packet.size()) return fail(RtcpError::kXrPastEnd);
    at += 4u + 4u * read_u16(packet, at + 2);
  }
  if (at != packet.size()) return fail(RtcpError::kXrPastEnd);
  return {};
}

// Checks the inside of one packet, whose own length has been checked and whose padding is cut off. A type
// that is not known passes: its inside is nobody's business here.
Result<void, RtcpError> validate_one(Bytes packet) noexcept {
  const std::size_t count = read_u8(packet, 0) & 0x1f;
  switch (read_u8(packet, 1)) {
    case rtcp_type::kSr:
      // A sender report has 20 octets of sender information in front of its blocks (RFC 3550 §6.4.1).
      if (packet.size() < 28 + 24 * count) return fail(RtcpError::kBlocksPastEnd);
      return {};
    case rtcp_type::kRr:
      if (packet.size() < 8 + 24 * count) return fail(RtcpError::kBlocksPastEnd);
      return {};
    case rtcp_type::kSdes:
      return validate_sdes(packet, count);
    case rtcp_type::kBye:
      return validate_bye(packet, count);
    case rtcp_type::kRtpFeedback:
    case rtcp_type::kPayloadFeedback:
      if (packet.size() < 12) return fail(RtcpError::kBlocksPastEnd);
      return {};
    case rtcp_type::kXr:
      return validate_xr(packet);
    default:
      return {};
  }
}

}  // namespace

std::string_view to_string(RtcpError error) noexcept {
  switch (error) {
    case RtcpError::kTooShort:
      return "too short";
    case RtcpError::kBadVersion:
      return "bad version";
    case RtcpError::kFirstNotReport:
      return "first packet is no report";
    case RtcpError::kLengthPastEnd:
      return "length past the end";
    case RtcpError::kBadPadding:
      return "bad padding";
    case RtcpError::kBlocksPastEnd:
      return "blocks past the end";
    case RtcpError::kItemPastChunk:
      return "SDES item past its chunk";
    case RtcpError::kReasonPastEnd:
      return "BYE reason past the end";
    case RtcpError::kXrPastEnd:
      return "XR block past the end";
    case RtcpError::kTooManyPackets:
      return "too many packets";
  }
  return "unknown";
}

Result<void, RtcpError> validate_rtcp(Bytes compound, bool reduced_size) noexcept {
  if (compound.size() < 8) return fail(RtcpError::kTooShort);
  const std::uint8_t first_type = read_u8(compound, 1);
  if (!reduced_size && first_type != rtcp_type::kSr && first_type != rtcp_type::kRr) {
    return fail(RtcpError::kFirstNotReport);
  }
  // Each turn cuts one packet off the front. The lengths have to add up to the datagram.
  for (std::size_t packets = 1; !compound.empty(); ++packets) {
    if (packets > kMaxPackets) return fail(RtcpError::kTooManyPackets);
    if (compound.size() < 4) return fail(RtcpError::kLengthPastEnd);
    if ((read_u8(compound, 0) >> 6) != 2) return fail(RtcpError::kBadVersion);
    const std::size_t size = 4u + 4u * read_u16(compound, 2);
    if (size > compound.size()) return fail(RtcpError::kLengthPastEnd);
    Bytes packet = compound.first(size);
    compound = compound.subspan(size);
    if ((read_u8(packet, 0) & 0x20) != 0) {
      // Padding belongs to the last packet of the compound only (RFC 3550 §6.4.1). Its count need not be a
      // multiple of four: browsers fill transport-cc feedback up with 1-3 octets that they count as padding.
      const std::size_t padding = read_u8(packet, packet.size() - 1);
      if (!compound.empty() || padding == 0 || padding + 4 > packet.size()) {
        return fail(RtcpError::kBadPadding);
      }
      packet = packet.first(packet.size() - padding);
    }
    if (const auto ok = validate_one(packet); !ok) return ok;
  }
  return {};
}

namespace {

bool is_feedback(Bytes packet) noexcept {
  const std::uint8_t type = read_u8(packet, 1);
  return type == rtcp_type::kRtpFeedback || type == rtcp_type::kPayloadFeedback;
}

std::size_t packet_size(Bytes packet) noexcept { return 4u + 4u * read_u16(packet, 2); }

}  // namespace

bool has_feedback(Bytes compound) noexcept {
  // Stops at the first packet that is no whole header; in a valid compound there is none.
  for (; compound.size() >= 4; compound = compound.subspan(packet_size(compound))) {
    if (is_feedback(compound)) return true;
  }
  return false;
}

std::size_t cut_feedback(MutableBytes compound) noexcept {
  if (!has_feedback(compound)) return compound.size();
  constexpr std::size_t kEmptyReport = 8;
  // A feedback packet has at least 12 octets, so the report fits where the first one stood.
  const bool needs_report = is_feedback(compound);
  const std::size_t start = needs_report ? kEmptyReport : 0;
  // Room for the report stays free at the front, if one is needed.
  std::size_t kept = start;
  for (std::size_t at = 0; at < compound.size();) {
    const std::size_t size = packet_size(compound.subspan(at));
    if (!is_feedback(compound.subspan(at))) {
      // Copies to the left only: the kept part never overtakes the part that was read.
      std::ranges::copy(compound.subspan(at, size), compound.begin() + static_cast<std::ptrdiff_t>(kept));
      kept += size;
    }
    at += size;
  }
  // Nothing but feedback: a report alone would tell the receiver nothing.
  if (kept == start) return 0;
  if (needs_report) {
    // A receiver report without blocks. Octets 4 to 7 still hold the SSRC of the feedback's sender, which
    // becomes that of the report.
    write_u8(compound, 0, 0x80);
    write_u8(compound, 1, rtcp_type::kRr);
    write_u16(compound, 2, 1);
  }
  return kept;
}

namespace {

bool is_full_intra(Bytes packet) noexcept {
  constexpr std::uint8_t kFormat = 4;
  return read_u8(packet, 1) == rtcp_type::kPayloadFeedback && (read_u8(packet, 0) & 0x1f) == kFormat;
}

/// Writes picture loss indications over the request `from`, beginning at `to`, which is not behind it.
/// Returns their size.
std::size_t write_picture_losses(MutableBytes to, Bytes from) noexcept {
  constexpr std::size_t kHeader = 12;
  constexpr std::size_t kEntry = 8;
  constexpr std::size_t kPictureLoss = 12;
  const bool is_padded = (read_u8(from, 0) & 0x20) != 0;
  const std::size_t padding = is_padded ? read_u8(from, from.size() - 1) : 0;
  if (from.size() < kHeader + padding) return 0;
  // Three of them are as long as the request with its three entries.
  const std::size_t entries = std::min<std::size_t>((from.size() - padding - kHeader) / kEntry, 3);
  const std::uint32_t sender = read_u32(from, 4);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::uint32_t about = read_u32(from, kHeader + i * kEntry);
    const MutableBytes one = to.subspan(i * kPictureLoss, kPictureLoss);
    write_u8(one, 0, 0x81);
    write_u8(one, 1, rtcp_type::kPayloadFeedback);
    write_u16(one, 2, kPictureLoss / 4 - 1);
    write_u32(one, 4, sender);
    write_u32(one, 8, about);
  }
  return entries * kPictureLoss;
}

}  // namespace

bool has_full_intra(Bytes compound) noexcept {
  for (; compound.size() >= 12; compound = compound.subspan(packet_size(compound))) {
    if (is_full_intra(compound)) return true;
  }
  return false;
}

std::size_t replace_full_intra(MutableBytes compound, InsteadOfFullIntra instead) noexcept {
  std::size_t kept = 0;
  for (std::size_t at = 0; at < compound.size();) {
    const Bytes packet = compound.subspan(at, packet_size(compound.subspan(at)));
    at += packet.size();
    if (!is_full_intra(packet)) {
      std::ranges::copy(packet, compound.begin() + static_cast<std::ptrdiff_t>(kept));
      kept += packet.size();
    } else if (instead == InsteadOfFullIntra::kPictureLoss) {
      kept += write_picture_losses(compound.subspan(kept), packet);
    }
  }
  return kept;
}

Ssrc rtcp_sender(Bytes compound) noexcept { return Ssrc{read_u32(compound, 4)}; }

}  // namespace ferry

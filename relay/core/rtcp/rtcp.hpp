// RTCP compound packets: validation as a whole, then a walk over reports (RFC 3550 §6, app. A.2; RFC 3611;
// RFC 4585).
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/result.hpp"
#include "relay/base/types.hpp"

#include <cstdint>
#include <string_view>

namespace ferry {

enum class RtcpError : std::uint8_t {
  kTooShort,
  kBadVersion,
  kFirstNotReport,
  kLengthPastEnd,
  kBadPadding,
  kBlocksPastEnd,
  kItemPastChunk,
  kReasonPastEnd,
  kXrPastEnd,
  kTooManyPackets,
};
std::string_view to_string(RtcpError error) noexcept;

namespace rtcp_type {
constexpr std::uint8_t kSr = 200;
constexpr std::uint8_t kRr = 201;
constexpr std::uint8_t kSdes = 202;
constexpr std::uint8_t kBye = 203;
constexpr std::uint8_t kRtpFeedback = 205;
constexpr std::uint8_t kPayloadFeedback = 206;
constexpr std::uint8_t kXr = 207;
}  // namespace rtcp_type

/// One report block (RFC 3550 §6.4.1).
struct ReportBlock {
  Ssrc about;
  std::uint8_t fraction_lost = 0;  // of 256
  std::int32_t cumulative_lost = 0;
  std::uint32_t highest_sequence = 0;
  std::uint32_t jitter = 0;  // clock units of the reported stream
  std::uint32_t last_sr = 0;
  std::uint32_t delay_since_last_sr = 0;  // 1/65536 s
};

/// Checks the whole compound packet before any part of it is used (media-security RTC-1).
/// `reduced_size` allows a first packet other than SR/RR (RFC 5506). No allocation; views are borrowed.
[[nodiscard]] Result<void, RtcpError> validate_rtcp(Bytes compound, bool reduced_size) noexcept;

/// SSRC of the sender of the first packet. Requires a validated compound.
[[nodiscard]] Ssrc rtcp_sender(Bytes compound) noexcept;

/// Removes the feedback packets (types 205 and 206, RFC 4585 §6.1) from a validated compound, in place; the
/// other packets stay as they are and in order. Where feedback stood first, an empty receiver report of its
/// sender takes its place, so that the rest is no reduced-size packet (RFC 5506 §3.4.2).
/// Gives the size of what is left: that of the compound if there was no feedback, 0 if there was nothing
/// else.
[[nodiscard]] std::size_t cut_feedback(MutableBytes compound) noexcept;

/// Whether a validated compound has feedback packets.
[[nodiscard]] bool has_feedback(Bytes compound) noexcept;

/// Calls `handler.on_sender_report(ssrc, ntp_middle)`, `handler.on_report(sender, ReportBlock)` and
/// `handler.on_bye(ssrc)` in order. Requires a validated compound.
template <class Handler>
void walk_rtcp(Bytes compound, Handler&& handler) {
  while (compound.size() >= 4) {
    const std::size_t size = 4u + 4u * read_u16(compound, 2);
    const Bytes packet = compound.first(size);
    const std::uint8_t type = read_u8(packet, 1);
    const std::size_t count = read_u8(packet, 0) & 0x1f;
    if (type == rtcp_type::kSr || type == rtcp_type::kRr) {
      const Ssrc sender{read_u32(packet, 4)};
      std::size_t at = 8;
      if (type == rtcp_type::kSr) {
        handler.on_sender_report(sender, (read_u32(packet, 8) << 16) | (read_u32(packet, 12) >> 16));
        at = 28;
      }
      for (std::size_t i = 0; i < count; ++i, at += 24) {
        ReportBlock block;
        block.about = Ssrc{read_u32(packet, at)};
        block.fraction_lost = read_u8(packet, at + 4);
        const std::uint32_t lost = read_u32(packet, at + 4) & 0xffffff;
        block.cumulative_lost = static_cast<std::int32_t>(lost << 8) >> 8;
        block.highest_sequence = read_u32(packet, at + 8);
        block.jitter = read_u32(packet, at + 12);
        block.last_sr = read_u32(packet, at + 16);
        block.delay_since_last_sr = read_u32(packet, at + 20);
        handler.on_report(sender, block);
      }
    } else if (type == rtcp_type::kBye) {
      for (std::size_t i = 0; i < count; ++i) handler.on_bye(Ssrc{read_u32(packet, 4 + 4 * i)});
    }
    compound = compound.subspan(size);
  }
}

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// RTCP compound packets (RFC 3550 §6 and app. A.2, RFC 3611, RFC 4585). A compound is validated as a whole
// first; all other functions rely on that.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/result.hpp"
#include "relay/base/types.hpp"

#include <cstdint>
#include <string_view>

namespace ferry {

/// The first rule that a compound packet breaks; `to_string` gives its words.
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
/// The error in words.
std::string_view to_string(RtcpError error) noexcept;

/// RTCP packet types (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2).
namespace rtcp_type {
constexpr std::uint8_t kSr = 200;
constexpr std::uint8_t kRr = 201;
constexpr std::uint8_t kSdes = 202;
constexpr std::uint8_t kBye = 203;
constexpr std::uint8_t kRtpFeedback = 205;
constexpr std::uint8_t kPayloadFeedback = 206;
constexpr std::uint8_t kXr = 207;
}  // namespace rtcp_type

/// One report block of a sender or receiver report (RFC 3550 §6.4.1), in host order.
struct ReportBlock {
  /// The stream that the block reports on.
  Ssrc about;
  /// Share lost since the previous report, in 256ths.
  std::uint8_t fraction_lost = 0;
  /// Packets lost since the stream began. Duplicates can make it negative.
  std::int32_t cumulative_lost = 0;
  /// Highest sequence number received; the upper 16 bits count the wrap-arounds.
  std::uint32_t highest_sequence = 0;
  /// Interarrival jitter in clock units of the reported stream.
  std::uint32_t jitter = 0;
  /// Middle 32 bits of the NTP time of the last sender report received; 0 = none came.
  std::uint32_t last_sr = 0;
  /// Time between receiving that sender report and sending this block, in 1/65,536 s.
  std::uint32_t delay_since_last_sr = 0;
};

/// Checks the whole compound packet, before any part of it is used (RTC-1).
///
/// `compound`      whole UDP payload, network order; borrowed.
/// `reduced_size`  also accept a first packet that is no SR or RR (RFC 5506).
/// Fails           with the first rule broken. No allocation; safe on any thread.
[[nodiscard]] Result<void, RtcpError> validate_rtcp(Bytes compound, bool reduced_size) noexcept;

/// SSRC of the sender of the first packet. The compound must be valid.
[[nodiscard]] Ssrc rtcp_sender(Bytes compound) noexcept;

/// Removes the feedback packets (types 205 and 206, RFC 4585 §6.1) from a valid compound, in place. The other
/// packets stay as they are and in order. If feedback stood first, an empty receiver report of its sender
/// takes its place, so that the rest does not become a reduced-size packet (RFC 5506 §3.4.2).
///
/// Returns the new size: that of `compound` if it held no feedback, 0 if it held nothing else.
[[nodiscard]] std::size_t cut_feedback(MutableBytes compound) noexcept;

/// What takes the place of a full intra request.
enum class InsteadOfFullIntra : std::uint8_t { kPictureLoss, kNothing };
/// Removes the full intra requests (FIR, RFC 5104 §4.3.1) from a valid compound, in place. With kPictureLoss
/// a picture loss indication (PLI, RFC 4585 §6.3.1) about the same stream stands there instead; of one
/// request only the first three streams count, because more indications are longer than the request, and the
/// others must ask again. Returns the new size; 0 if it held nothing else.
[[nodiscard]] std::size_t replace_full_intra(MutableBytes compound, InsteadOfFullIntra instead) noexcept;
/// True if a valid compound contains full intra requests.
[[nodiscard]] bool has_full_intra(Bytes compound) noexcept;

/// True if a valid compound contains feedback packets.
[[nodiscard]] bool has_feedback(Bytes compound) noexcept;

/// Calls the handler for each part of a valid compound, in order:
/// `on_sender_report(ssrc, ntp_middle)`, `on_report(sender, ReportBlock)` and `on_bye(ssrc)`.
/// `ntp_middle` is the middle 32 bits of the NTP time stamp, as receivers echo it in `last_sr`.
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
        // A signed number of 24 bits: shifting it up and down again extends its sign.
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

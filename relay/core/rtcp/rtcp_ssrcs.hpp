// SPDX-License-Identifier: Apache-2.0
// Finds the SSRCs inside RTCP packets (RFC 3550 §6, RFC 3611, RFC 4585, RFC 5104, RFC 8888, REMB), so that a
// relay that renamed a stream can rename it there too.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"
#include "relay/core/rtcp/rtcp.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace ferry {

/// Whose stream an SSRC in an RTCP packet names, seen from the party that sends the packet.
enum class SsrcRole : std::uint8_t {
  /// A stream that this party sends: reporter, SDES chunk, BYE, sender of feedback.
  kOwn,
  /// A stream that this party receives: report block, media source, target of FIR, TMMBR and REMB.
  kHeard
};

namespace rtcp_ssrcs {

/// Application-defined packets (RFC 3550 §6.7).
constexpr std::uint8_t kApp = 204;
// Formats of transport-layer feedback whose entries name SSRCs (RFC 5104 §4.2, RFC 8888 §3.1).
constexpr std::uint8_t kTmmbr = 3;
constexpr std::uint8_t kTmmbn = 4;
constexpr std::uint8_t kCcfb = 11;
// Formats of payload-specific feedback whose entries name SSRCs (RFC 5104 §4.3).
constexpr std::uint8_t kFir = 4;
constexpr std::uint8_t kTstr = 5;
constexpr std::uint8_t kTstn = 6;
constexpr std::uint8_t kVbcm = 7;
constexpr std::uint8_t kApplication = 15;
/// "REMB", the name in front of an application-layer feedback message of that kind.
constexpr std::uint32_t kRemb = 0x52454d42;
// XR report blocks that have no source SSRC right behind their header (RFC 3611 §4.4, §4.5).
constexpr std::uint8_t kReceiverTime = 4;
constexpr std::uint8_t kDlrr = 5;

/// Visits the SSRC at the start of each SDES chunk. A chunk ends with an item of type 0 and is padded to 32
/// bits.
template <class Visit>
void walk_sdes(MutableBytes packet, std::size_t chunks, Visit& visit) {
  std::size_t at = 4;
  for (std::size_t i = 0; i < chunks && at + 4 <= packet.size(); ++i) {
    visit(packet.subspan(at, 4), SsrcRole::kOwn);
    at += 4;
    while (at < packet.size() && read_u8(packet, at) != 0)
      at += at + 1 < packet.size() ? std::size_t{2} + read_u8(packet, at + 1) : 1;
    at = (at + 4) & ~std::size_t{3};
  }
}

/// Visits the SSRC at the start of each entry, from `at` on. Each entry has `step` octets.
template <class Visit>
void walk_entries(MutableBytes packet, std::size_t at, std::size_t step, Visit& visit) {
  for (; at + 4 <= packet.size(); at += step) visit(packet.subspan(at, 4), SsrcRole::kHeard);
}

/// Visits the SSRCs of a feedback packet: sender, media source, and those in the entries of known formats.
template <class Visit>
void walk_feedback(MutableBytes packet, bool is_payload, Visit& visit) {
  if (packet.size() < 12) return;
  visit(packet.subspan(4, 4), SsrcRole::kOwn);
  visit(packet.subspan(8, 4), SsrcRole::kHeard);
  const std::uint8_t format = read_u8(packet, 0) & 0x1f;
  if (is_payload) {
    if (format == kFir || format == kTstr || format == kTstn) walk_entries(packet, 12, 8, visit);
    if (format == kVbcm) walk_entries(packet, 12, packet.size(), visit);
    if (format == kApplication && packet.size() >= 20 && read_u32(packet, 12) == kRemb)
      walk_entries(packet, 20, 4, visit);
    return;
  }
  if (format == kTmmbr || format == kTmmbn) walk_entries(packet, 12, 8, visit);
  if (format != kCcfb || packet.size() < 16) return;
  // RFC 8888 §3.1: the first stream stands where the media source does, so the walk begins with the second
  // one. A time stamp of 32 bits ends the list.
  const auto next = [&](std::size_t at) { return at + 8 + ((read_u16(packet, at + 6) + 1u) / 2) * 4; };
  for (std::size_t at = next(8); at + 12 <= packet.size(); at = next(at))
    visit(packet.subspan(at, 4), SsrcRole::kHeard);
}

/// Visits the SSRCs of an extended report: its sender, and the source of each block that names one.
template <class Visit>
void walk_xr(MutableBytes packet, Visit& visit) {
  if (packet.size() < 8) return;
  visit(packet.subspan(4, 4), SsrcRole::kOwn);
  for (std::size_t at = 8; at + 4 <= packet.size();) {
    const std::size_t end = std::min(packet.size(), at + 4 + std::size_t{4} * read_u16(packet, at + 2));
    const std::uint8_t type = read_u8(packet, at);
    const MutableBytes block = packet.first(end);
    if (type == kDlrr)
      walk_entries(block, at + 4, 12, visit);
    else if (type != kReceiverTime)
      walk_entries(block, at + 4, block.size(), visit);
    at = end;
  }
}

}  // namespace rtcp_ssrcs

/// Calls `visit(octets, role)` with the four octets of each SSRC, in network order and in the order of the
/// packet. `visit` may overwrite them. The compound must be valid. SSRCs inside feedback formats that this
/// header does not know are not visited.
template <class Visit>
void for_each_ssrc(MutableBytes compound, Visit visit) {
  using namespace rtcp_ssrcs;
  while (compound.size() >= 8) {
    const std::size_t size = 4u + std::size_t{4} * read_u16(compound, 2);
    if (size > compound.size()) return;
    MutableBytes packet = compound.first(size);
    compound = compound.subspan(size);
    const std::uint8_t type = read_u8(packet, 1);
    const std::size_t count = read_u8(packet, 0) & 0x1f;
    if ((read_u8(packet, 0) & 0x20) != 0) {
      const std::size_t padding = read_u8(packet, packet.size() - 1);
      if (padding + 4 <= packet.size()) packet = packet.first(packet.size() - padding);
    }
    const std::size_t own = type == rtcp_type::kBye ? count : 1;
    const std::size_t first_block = type == rtcp_type::kSr ? 28 : 8;
    switch (type) {
      case rtcp_type::kSr:
      case rtcp_type::kRr:
      case rtcp_type::kBye:
      case kApp:
        for (std::size_t i = 0; i < own && 8 + 4 * i <= packet.size(); ++i)
          visit(packet.subspan(4 + 4 * i, 4), SsrcRole::kOwn);
        if (type != rtcp_type::kSr && type != rtcp_type::kRr) break;
        for (std::size_t i = 0, at = first_block; i < count && at + 24 <= packet.size(); ++i, at += 24)
          visit(packet.subspan(at, 4), SsrcRole::kHeard);
        break;
      case rtcp_type::kSdes:
        walk_sdes(packet, count, visit);
        break;
      case rtcp_type::kRtpFeedback:
      case rtcp_type::kPayloadFeedback:
        walk_feedback(packet, type == rtcp_type::kPayloadFeedback, visit);
        break;
      case rtcp_type::kXr:
        walk_xr(packet, visit);
        break;
      default:
        break;
    }
  }
}

}  // namespace ferry

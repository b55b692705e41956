// SPDX-License-Identifier: Apache-2.0
#include "relay/core/rtcp/rtcp_passing.hpp"

#include "relay/core/rtcp/rtcp.hpp"
#include "relay/core/rtcp/rtcp_ssrcs.hpp"

#include <algorithm>

namespace ferry {

namespace {

std::size_t whole_size(Bytes packet) noexcept { return 4u + 4u * read_u16(packet, 2); }

bool still_passes(Bytes packet, bool with_feedback) noexcept {
  switch (read_u8(packet, 1)) {
    case rtcp_ssrcs::kApp:
      return true;
    case rtcp_type::kRtpFeedback:
    case rtcp_type::kPayloadFeedback:
      return with_feedback;
    default:
      return false;
  }
}

}  // namespace

bool has_passing_rtcp(Bytes compound, bool with_feedback) noexcept {
  for (; compound.size() >= 4; compound = compound.subspan(whole_size(compound))) {
    if (still_passes(compound, with_feedback)) return true;
  }
  return false;
}

std::size_t keep_passing_rtcp(MutableBytes compound, bool with_feedback) noexcept {
  if (!has_passing_rtcp(compound, with_feedback)) return 0;
  constexpr std::size_t kEmptyReport = 8;
  const std::uint8_t first = read_u8(compound, 1);
  // A report has at least eight octets, so the empty one fits where it stood.
  const bool keeps_report = first == rtcp_type::kSr || first == rtcp_type::kRr;
  std::size_t kept = keeps_report ? kEmptyReport : 0;
  for (std::size_t at = 0; at < compound.size();) {
    const std::size_t size = whole_size(compound.subspan(at));
    if (still_passes(compound.subspan(at), with_feedback)) {
      // Copies to the left only: the kept part never overtakes the part that was read.
      std::ranges::copy(compound.subspan(at, size), compound.begin() + static_cast<std::ptrdiff_t>(kept));
      kept += size;
    }
    at += size;
  }
  if (keeps_report) {
    // Octets 4 to 7 still hold the SSRC of the report's sender.
    write_u8(compound, 0, 0x80);
    write_u8(compound, 1, rtcp_type::kRr);
    write_u16(compound, 2, 1);
  }
  return kept;
}

}  // namespace ferry

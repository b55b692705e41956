// SPDX-License-Identifier: Apache-2.0
// Splits RTCP compounds of a BUNDLE group by the medias that their packets speak of (RFC 9143 §9.2, FB-1,
// FB-2). Pure; any thread.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace ferry {

/// A set of the medias of a BUNDLE group: bit n is `sources[n]` of its plan. Sources from number 63 on share
/// bit 63.
using SectionMask = std::uint64_t;
constexpr SectionMask section_bit(std::size_t place) noexcept {
  return SectionMask{1} << std::min<std::size_t>(place, 63);
}

/// Knows the streams of the party that sends the RTCP.
class SectionDirectory {
 public:
  /// The medias in which the party sends the stream; 0 if in none.
  [[nodiscard]] virtual SectionMask sent_in(Ssrc ssrc) const noexcept = 0;
  /// The medias in which the party was sent the stream; 0 if in none.
  [[nodiscard]] virtual SectionMask heard_in(Ssrc ssrc) const noexcept = 0;

 protected:
  ~SectionDirectory() = default;
};

/// What one receiver gets of a group's RTCP.
struct RtcpAudience {
  /// The medias whose RTCP the receiver gets, but for feedback.
  SectionMask sections = 0;
  /// The medias whose feedback the receiver gets (RFC 4585 §4.2).
  SectionMask feedback = 0;
  /// True if the receiver also gets what belongs to no media.
  bool takes_rest = false;
  /// True if the receiver's compounds may begin without a report (RFC 5506).
  bool reduced_size = false;
};

/// The medias that a valid compound speaks of; 0 if none.
[[nodiscard]] SectionMask rtcp_topics(Bytes compound, const SectionDirectory& directory) noexcept;

/// Writes those parts of a valid compound that are for one receiver, in their order.
///
/// A sender report goes to the media of its sender, a report block to the media of the stream that it names.
/// Chunks of names and of a BYE, blocks of extended reports and entries of feedback are treated one by one in
/// the same way. If the receiver gets blocks of a sender report, but not the report, the blocks leave in a
/// receiver report of the same sender. If the result may not begin with its first packet (`reduced_size`), an
/// empty receiver report goes in front.
///
/// `into`    does not overlap the compound.
/// Returns   the size of what was written; 0 if nothing is for this receiver, or if there is no room.
[[nodiscard]] std::size_t write_rtcp_for(const RtcpAudience& audience, Bytes compound,
                                         const SectionDirectory& directory, MutableBytes into) noexcept;

}  // namespace ferry

// Takes RTCP compounds of a group of medias on one transport apart by what their packets speak of (RFC 9143
// §9.2, FB-1, FB-2).
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace ferry {

/// A set of the medias of a group, by their place in its plan: bit n is the n-th one. Those from the 64th on
/// share the last bit.
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

/// One receiver of a group's RTCP.
struct RtcpAudience {
  /// The medias whose RTCP the receiver gets, and those whose feedback it gets (RFC 4585 §4.2).
  SectionMask sections = 0;
  SectionMask feedback = 0;
  /// True if it also gets what belongs to no media.
  bool takes_rest = false;
  /// True if its packets may begin with something else than a report (RFC 5506).
  bool reduced_size = false;
};

/// The medias that a valid compound speaks of; 0 if none.
[[nodiscard]] SectionMask rtcp_topics(Bytes compound, const SectionDirectory& directory) noexcept;

/// Writes those parts of a valid compound that are for one receiver, in their order.
///
/// A sender report goes to the media of its sender, a report block to that of its stream. Chunks of names and
/// of a BYE, blocks of extended reports and entries of feedback are told apart in the same way. If not all
/// blocks of a sender report's media are wanted, or only blocks, they get a receiver report of its sender. An
/// empty receiver report goes in front if something else would be first and may not be.
///
/// `into`    does not overlap the compound.
/// Returns   the size of what was written; 0 if nothing is for this receiver, or if there is no room.
[[nodiscard]] std::size_t write_rtcp_for(const RtcpAudience& audience, Bytes compound,
                                         const SectionDirectory& directory, MutableBytes into) noexcept;

}  // namespace ferry

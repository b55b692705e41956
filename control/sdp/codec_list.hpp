// What of an offer's codecs the far side is shown (NG reference, section 9.7), on the SDP level.
#pragma once

#include "control/sdp/sdp.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// Lists of specifications `NAME[/clock[/channels[/bitrate[/ptime[/fmtp]]]]]`; parts given must match.
struct CodecOperations {
  std::vector<std::string> strip;
  std::vector<std::string> except;
  std::vector<std::string> offer;
  std::vector<std::string> transcode;
  std::vector<std::string> mask;
  std::vector<std::string> accept;
  std::vector<std::string> consume;
  std::vector<std::string> ignore;
  std::vector<std::string> set;

  [[nodiscard]] bool changes_offer() const {
    return !strip.empty() || !offer.empty() || !mask.empty() || !consume.empty();
  }
};

/// Whether `codec` is what `specification` names: as RFC 3551 has it or as the SDP writes it, without regard
/// to case, and old names count (`encoding_name`).
[[nodiscard]] bool matches_specification(std::string_view specification, const Codec& codec) noexcept;

/// The codecs to show, in order: copy, strip and mask, bring back what `offer` and `transcode` name, restore
/// the list if nothing is left (unless `may_be_empty`). Nothing is added that was not offered: that takes
/// codecs.
[[nodiscard]] std::vector<Codec> choose_codecs(const std::vector<Codec>& offered,
                                               const CodecOperations& operations, bool may_be_empty);

/// Events and comfort noise: alone they are no media.
[[nodiscard]] bool is_supplemental(const Codec& codec) noexcept;

/// The answered codecs that the offerer knows. Numbers stay the answerer's: RFC 3264 §6.1 lets them differ,
/// and without a codec in between both ends must speak of the same ones. The codec that was answered is never
/// lost: where no name is known, the numbers decide, and if they do not either, all that was answered stays.
[[nodiscard]] std::vector<Codec> common_codecs(const std::vector<Codec>& answered,
                                               const std::vector<Codec>& offered);

/// Leaves the first codec and the events and comfort noise of its clock rate.
void keep_first_codec(std::vector<Codec>& codecs);

}  // namespace ferry::sdp

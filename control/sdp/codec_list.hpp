// SPDX-License-Identifier: Apache-2.0
// Chooses which codecs of an offer the far side is shown (docs/reference/ng.md#codecs). It works on SDP only;
// it transcodes nothing. Pure.
#pragma once

#include "control/sdp/sdp.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// Operations of a request on codecs. Each is a list of specifications
/// `NAME[/clock[/channels[/bitrate[/ptime[/fmtp]]]]]`; the parts that are given must match.
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

  /// True if an operation removes or restores codecs of the offer.
  [[nodiscard]] bool changes_offer() const {
    return !strip.empty() || !offer.empty() || !mask.empty() || !consume.empty();
  }
  /// True if an operation may lead to audio that is converted.
  [[nodiscard]] bool may_convert() const {
    return !transcode.empty() || !mask.empty() || !accept.empty() || !consume.empty() || !ignore.empty();
  }
};

/// True if `specification` names `codec`, by its name in RFC 3551 or as the SDP writes it. Case means
/// nothing, and old names count (`encoding_name`).
[[nodiscard]] bool matches_specification(std::string_view specification, const Codec& codec) noexcept;

/// True if one of the specifications names `codec`, or is the word `all`.
[[nodiscard]] bool any_names(const std::vector<std::string>& specifications, const Codec& codec);

/// Returns the codecs of the offer that are left, in order: those that are not stripped, masked or consumed,
/// with those that `offer` and `transcode` bring back. It may be empty.
[[nodiscard]] std::vector<Codec> remaining_codecs(const std::vector<Codec>& offered,
                                                  const CodecOperations& operations);
/// Returns the codecs to show where nothing is converted: the remaining ones. If none of them is media, the
/// offer's list is restored unless `may_be_empty`.
[[nodiscard]] std::vector<Codec> choose_codecs(const std::vector<Codec>& offered,
                                               const CodecOperations& operations, bool may_be_empty);

/// True for telephone events and comfort noise, which alone are no media.
[[nodiscard]] bool is_supplemental(const Codec& codec) noexcept;

/// Returns the answered codecs that the offerer knows. Payload types stay those of the answerer (RFC 3264
/// §6.1), for sections in which the relay changes no packet. The answered codec is never lost: if no name
/// matches, the numbers decide, and if they do not either, the whole answer stays.
[[nodiscard]] std::vector<Codec> common_codecs(const std::vector<Codec>& answered,
                                               const std::vector<Codec>& offered);

/// Removes all codecs but the first one, and the events and comfort noise with its clock rate.
void keep_first_codec(std::vector<Codec>& codecs);

}  // namespace ferry::sdp

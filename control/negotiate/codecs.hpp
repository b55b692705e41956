// SPDX-License-Identifier: Apache-2.0
// What the codecs of one section mean for its media (RFC 3264 §5-6, docs/reference/ng.md#codecs).
// `codec_offer` and `codec_answer` choose them where audio may be converted. Pure. Control thread only.
#pragma once

#include "control/call/call.hpp"
#include "control/request/request.hpp"
#include "control/sdp/codec_list.hpp"
#include "control/sdp/sdp.hpp"

#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

namespace ferry {

/// Why a party is shown codecs.
enum class CodecPolicy : std::uint8_t {
  /// The partner's offer goes on to it. With flag `allow-no-codec-media` the request may take away
  /// every codec; the section then goes out with port 0.
  kOffer,
  /// The partner's answer goes on to it. As in an offer, but flag `single-codec` counts too.
  kAnswer,
  /// A subscriber gets a copy. At least one codec is left, because a rejected section would copy nothing.
  /// Both flags are about calls of two parties and mean nothing here.
  kCopy,
};
/// The codecs of `said` that the party is shown, in order: all but those that the words of the request take
/// away.
[[nodiscard]] std::vector<sdp::Codec> shown_codecs(const std::vector<sdp::Codec>& said,
                                                   const Request& request, CodecPolicy policy);
/// The codecs of a source's own SDP (`said`) that it may send: those that `terms` have shown to it, or all if
/// they have shown none.
[[nodiscard]] std::vector<sdp::Codec> sent_codecs(const std::vector<sdp::Codec>& said,
                                                  const MediaTerms& terms);

/// The codecs of the relay's own answer to a publisher: one, with its events and comfort noise. It is the
/// first that `accept` names (key `codec`, list `accept`), else the first that the relay knows, else the
/// first. With the word `all` the answer has every codec that the relay knows, and with `any` unknown ones
/// count as known.
[[nodiscard]] std::vector<sdp::Codec> accepted_codecs(const std::vector<sdp::Codec>& offered,
                                                      const std::vector<std::string>& accept);

/// The payload types of `codecs`, by number.
[[nodiscard]] std::bitset<128> types_of(const std::vector<sdp::Codec>& codecs);

/// Notes what the party says of itself in `section`: its codecs and its packet time.
void note_said(MediaTerms& media, const sdp::MediaSection& section);

/// Says whether the party may still send the payload types of the SDP that it was shown before this one.
enum class FormerTypes : std::uint8_t {
  /// They stay until `settle_codecs`: packets of the former agreement may be late, and the offer is only a
  /// proposal (DMX-4, LAT-15).
  kStay,
  /// They end at once. The relay is the other party itself: its answer settles a publisher's offer, and what
  /// it offers a subscriber or by `create` is no proposal of another party.
  kEnd,
};
/// Notes what the party of `media` may send, now that it is shown `codecs` of `section`: payload types and
/// rate (DMX-4, LIM-1).
void note_shown(Media& media, const sdp::MediaSection& section, const std::vector<sdp::Codec>& codecs,
                FormerTypes former);
/// Ends the types of the former agreement: the party has answered what it was shown last, and `note_said` has
/// its answer. If it knows a codec by another number than it was shown, it may send that number, too (RFC
/// 3264 §6.1), unless that means another codec.
void settle_codecs(Media& media);

/// True if the party's answer takes enough of what it was shown. It may leave out events and comfort noise,
/// and other codecs only if `may_drop_codecs` (flag `allow-transcoding`). It must take one type.
[[nodiscard]] bool takes_codecs(const Media& media, const sdp::MediaSection& answer, bool may_drop_codecs);

}  // namespace ferry

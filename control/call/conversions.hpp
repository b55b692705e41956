// SPDX-License-Identifier: Apache-2.0
// Decides what the audio of one party becomes for another: nothing, other numbers, or another codec. Pure;
// any thread.
#pragma once

#include "control/call/codec_catalogue.hpp"
#include "control/call/media_codecs.hpp"
#include "relay/core/audio/conversion.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// What is known of the codecs of one party.
struct PartyCodecs {
  /// Its own SDP: what it can receive. Empty = it has said nothing.
  CodecList said;
  /// The SDP that it was shown: what it may send. Empty = nothing was shown.
  CodecList shown;
  /// The packet time that its own SDP asks for (`a=ptime`), ms; 0 = none.
  std::uint16_t ptime_ms = 0;
  /// The words of the client about it.
  CodecWishes wishes;
};

/// What becomes of the audio of one party on its way to another. Both unset = it passes as it came.
struct AudioTreatment {
  std::optional<AudioConversion> conversion;
  std::optional<TypeRenumbering> renumbering;
  /// Packet time that the receiver is to get, ms; 0 = as the packets come. A conversion has its own.
  std::uint16_t ptime_ms = 0;
  bool operator==(const AudioTreatment&) const = default;
};

/// Decides it for the way from `from` to `to`.
///
/// Audio passes if the receiver has agreed on each codec of speech that the sender may be expected to send.
/// Else it is converted into the first codec of the receiver that `catalogue` can encode. If nothing can be
/// converted it passes, because the parties may know better. Until both have said something it passes, too.
[[nodiscard]] AudioTreatment treat_audio(const PartyCodecs& from, const PartyCodecs& to,
                                         const CodecCatalogue& catalogue);

/// How digits in the speech of `from` are listened for. Nothing if `catalogue` decodes nothing of it.
[[nodiscard]] std::optional<AudioConversion> listen_to(const PartyCodecs& from,
                                                       const CodecCatalogue& catalogue);

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// Decides what becomes of the audio of one media on its way to another, by everything that signalling and
// commands say of the two: keys, fax, codecs, mixing, digits. Pure. Control thread only.
#pragma once

#include "control/call/call.hpp"
#include "control/call/conversions.hpp"
#include "relay/core/forward/plan.hpp"

namespace ferry {

/// What is known of the codecs of a media by `terms`.
[[nodiscard]] PartyCodecs codecs_of(const MediaTerms& terms);

/// True if `receiver` hears all that it is sent at a time: it hears several others by sound, and not only
/// the branches of one call, or the client wants it so.
[[nodiscard]] bool hears_mixed(const Media& receiver);

/// True if packets to the party leave under the key of the other one, so that none can be changed or made
/// (SRT-9).
[[nodiscard]] bool has_relayed_key(const Media& receiver);

/// Decides what the audio of `media` becomes for `receiver`. Packets that leave under the key that they
/// came with pass. `known`: how it was treated before; null = it was not. The guard of digits is left out.
[[nodiscard]] AudioTreatment treatment_of(const Media& media, const Media& receiver, const Sink* known,
                                          const CodecCatalogue& catalogue);

}  // namespace ferry

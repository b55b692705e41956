// SPDX-License-Identifier: Apache-2.0
// Sections of fax (ITU-T T.38 Annex D, RFC 3362) that become sections of audio, and back. Pure; any thread.
//
// A party whose section the relay converts is shown what its partner would have written: `image_section` and
// `audio_section` make that section out of the partner's own, and the rest of offer and answer takes it as it
// is.
#pragma once

#include "control/request/fax_wishes.hpp"
#include "control/sdp/sdp.hpp"
#include "relay/core/audio/fax.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace ferry {

/// What becomes of a section on its way to the far side.
enum class FaxConversion : std::uint8_t {
  kNone,
  /// The offerer speaks T.38, and the far side gets audio.
  kToAudio,
  /// The offerer has audio, and the far side gets T.38.
  kToImage,
};
/// Decides it for a section of an offer. Only G.711 can carry a fax, so audio without it stays as it is.
[[nodiscard]] FaxConversion fax_conversion(const sdp::MediaSection& offered, const FaxWishes& wishes);
/// True if the section is T.38 over UDPTL, and not rejected.
[[nodiscard]] bool is_t38(const sdp::MediaSection& section);
/// The codecs of G.711 among `codecs`, in their order.
[[nodiscard]] std::vector<sdp::Codec> g711_of(const std::vector<sdp::Codec>& codecs);

/// What a section says of T.38.
struct T38Terms {
  /// T38FaxVersion; absent: 0.
  int version = 0;
  /// T38FaxUdpEC; absent: redundancy.
  UdptlView::Recovery recovery = UdptlView::Recovery::kEarlier;
  /// False with `t38UDPNoEC`: datagrams shall repeat nothing.
  bool takes_recovery = true;
  /// T38FaxMaxDatagram, octets; 0 = absent.
  std::uint32_t max_datagram = 0;
  /// T38MaxBitRate, bit/s; 0 = absent.
  std::uint32_t max_bit_rate = 0;
  /// False if T38FaxRateManagement is `localTCF`, which is not for UDPTL (T.38 Annex D).
  bool transfers_tcf = true;
  bool operator==(const T38Terms&) const = default;
};
/// Reads the attributes of a section, in any case. What cannot be read counts as absent.
[[nodiscard]] T38Terms read_t38(const sdp::MediaSection& image);

/// Makes the image section of an offer. `audio` is the partner's section; address, port and direction are its
/// own. The views of the result point into `texts` and into what `audio` points to.
[[nodiscard]] sdp::MediaSection image_offer(const sdp::MediaSection& audio, const FaxWishes& wishes,
                                            std::deque<std::string>& texts);
/// As `image_offer`, for the answer to `offered`: the version is not above its, and the protection is its.
[[nodiscard]] sdp::MediaSection image_answer(const sdp::MediaSection& audio, const T38Terms& offered,
                                             const FaxWishes& wishes, std::deque<std::string>& texts);
/// Makes an audio section out of the partner's `image`, with the codecs of `g711`; if that is empty, PCMU and
/// PCMA. For an offer `g711` has what the party used before, for an answer what it offered (`g711_of`); an
/// answer gets the first one. The views of the result point into what `image` and `g711` point to.
[[nodiscard]] sdp::MediaSection audio_section(const sdp::MediaSection& image,
                                              const std::vector<sdp::Codec>& g711, bool is_answer);

/// What the gateway of the call obeys, once the T.38 party has said `terms`. `shown_version` is the version
/// that the relay has shown to it; the lower one counts.
[[nodiscard]] T38Settings t38_settings(const T38Terms& terms, const FaxWishes& wishes, int shown_version);

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// What a party and the relay have told each other about the codecs of one audio section (RFC 3264). Pure
// values. Control thread only.
#pragma once

#include "control/request/wishes_about_sound.hpp"
#include "control/sdp/sdp.hpp"
#include "relay/base/types.hpp"
#include "relay/core/audio/conversion.hpp"

#include <bitset>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ferry {

/// One payload type of an SDP, and what its payloads are.
struct NumberedFormat {
  PayloadType type;
  /// The name as the relay knows it (`sdp::encoding_name`). Empty = the SDP does not say.
  AudioFormat format;
  bool operator==(const NumberedFormat&) const = default;
};

/// What the SDP says of one payload type.
[[nodiscard]] NumberedFormat numbered_format(const sdp::Codec& codec);
/// The same of all of them, in order.
[[nodiscard]] std::vector<NumberedFormat> numbered_formats(const std::vector<sdp::Codec>& codecs);

/// The codecs of one SDP, in order. It is packed, because every media keeps two of them: a list of PCMU, PCMA
/// and telephone-event needs no memory of its own.
class CodecList {
 public:
  CodecList() = default;
  explicit CodecList(std::span<const NumberedFormat> formats);
  /// The codecs, in the order in which they were given.
  [[nodiscard]] std::vector<NumberedFormat> formats() const;
  [[nodiscard]] bool empty() const { return packed_.empty(); }
  bool operator==(const CodecList&) const = default;

 private:
  std::string packed_;
};

/// Whether the payloads of a codec are speech, events, noise or redundancy. A codec without a name counts as
/// speech.
[[nodiscard]] AudioInput::Kind kind_of(const AudioFormat& format);
/// True for a codec of speech.
[[nodiscard]] inline bool is_speech(const AudioFormat& format) {
  return kind_of(format) == AudioInput::Kind::kSpeech;
}

/// True if an SDP that has `answered` can mean the codec `offered`: name, clock rate and channels are equal,
/// and so is the layout of the payloads (AMR, RFC 4867 §8.3.1). Numbers do not count. Names are compared
/// without regard to case.
[[nodiscard]] bool is_same_codec(const AudioFormat& offered, const AudioFormat& answered);
/// True if payloads of `from` can go as they are to a party that receives `to`. It is stricter than
/// `is_same_codec`: frames of iLBC have the length of one mode (RFC 3952 §5).
[[nodiscard]] bool passes_as(const AudioFormat& from, const AudioFormat& to);
/// The codec in `formats` that is the same as `wanted`, by preference under the same number. Null if there is
/// none.
[[nodiscard]] const NumberedFormat* find_codec(std::span<const NumberedFormat> formats,
                                               const NumberedFormat& wanted);

/// A codec that a party has agreed on with the relay.
struct AgreedCodec {
  /// The number under which the party sends it: that of the SDP that it was shown.
  PayloadType sends_as;
  /// The number under which the party receives it: that of its own SDP.
  PayloadType receives_as;
  /// With the parameters of the party's own SDP, as far as the other one leaves them in force.
  AudioFormat format;
  bool operator==(const AgreedCodec&) const = default;
};
/// The codecs of its own SDP (`said`) that the party was also shown, the preferred one first. The order is
/// that of the shorter list, which is the answer (RFC 3264 §6.1).
[[nodiscard]] std::vector<AgreedCodec> agreed_codecs(std::span<const NumberedFormat> said,
                                                     std::span<const NumberedFormat> shown);

/// What the client wants of one codec toward one party (key `codec`, lists `transcode` and `set`).
struct CodecWish {
  PayloadType type;
  /// Highest bitrate, bit/s; 0 = that of the codec.
  std::uint32_t bitrate_bps = 0;
  /// Packet time, ms; 0 = as the party's SDP says.
  std::uint16_t ptime_ms = 0;
  /// How hard the encoder works, 0 to 10; negative = as usual.
  int complexity = -1;
  bool operator==(const CodecWish&) const = default;
};

/// The words of the client about the codecs of one media. An offer sets them; they count until the next one.
struct CodecWishes {
  /// Types of the party's own SDP that it is told to send even if the far side takes others (lists `accept`
  /// and `consume`). None by default.
  std::bitset<128> accepted;
  /// Types of its own SDP that it is never told to send if the far side has another (list `ignore`).
  std::bitset<128> ignored;
  /// Types of its own SDP that the client took away (list `strip`): it is told to send them only if the far
  /// side names them, or if nothing else is left.
  std::bitset<128> stripped;
  /// Flag `force-transcoding`: what it sends is converted even if the codecs are equal.
  bool is_forced = false;
  /// Flag `allow-asymmetric-codecs`: it may send every codec that it was shown, and not only its own.
  bool is_asymmetric = false;
  /// Key `ptime`: packet time that it is sent, ms; 0 = as its SDP says.
  std::uint16_t ptime_ms = 0;
  /// Key `audio-player`: who makes what it hears.
  AudioPlayer player = AudioPlayer::kDefault;
  /// How it is sent some codecs. Empty by default.
  std::vector<CodecWish> codecs;
  bool operator==(const CodecWishes&) const = default;
  /// True if nothing is wanted.
  [[nodiscard]] bool is_empty() const { return *this == CodecWishes{}; }
};

}  // namespace ferry

// What the audio of a source becomes for a receiver that cannot decode it, or knows it by other numbers.
//
// Control decides it from what both parties have said (RFC 3264) and puts it into a `Sink`. Plain immutable
// values; plans share them.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/audio/codec.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace ferry {

/// One payload type that the source may send, and what its payloads are.
struct AudioInput {
  enum class Kind : std::uint8_t {
    /// Payloads of a codec.
    kSpeech,
    /// Telephone events (RFC 4733).
    kEvents,
    /// Comfort noise (RFC 3389).
    kComfortNoise,
    /// Redundant payloads of other types (RFC 2198).
    kRedundant,
  };
  PayloadType type;
  Kind kind = Kind::kSpeech;
  /// For kEvents and kComfortNoise only its clock rate counts.
  AudioFormat format;
  bool operator==(const AudioInput&) const = default;
};

/// A payload type of the receiver that is no codec of speech.
struct OtherType {
  PayloadType type;
  std::uint32_t clock_rate_hz = 8000;
  bool operator==(const OtherType&) const = default;
};

/// Audio is decoded and encoded anew: the receiver has not agreed on all of it, or the client wants it so.
struct AudioConversion {
  /// What the source may send.
  std::vector<AudioInput> inputs;
  /// The codec that the receiver gets, with its own parameters and number.
  PayloadType type;
  AudioFormat format;
  CodecSettings settings;
  /// Sound in one packet to the receiver, ms.
  std::uint16_t ptime_ms = 20;
  /// How the receiver gets digits. Nothing: it has no telephone-event, so it hears tones.
  std::optional<OtherType> events;
  /// How the receiver gets comfort noise. Nothing: it hears noise as speech.
  std::optional<OtherType> comfort_noise;
  /// True: the receiver has telephone-event and the source has not, so tones in the source's speech become
  /// events.
  bool detects_tones = false;
  /// Longest time that a packet may wait for earlier ones, ms; 0: what comes too early is not waited for.
  std::uint16_t most_delay_ms = 80;
  bool operator==(const AudioConversion&) const = default;
};

/// Payload types that the receiver knows by other numbers. Payloads stay as they are.
struct TypeRenumbering {
  /// By the number that the source uses: the receiver's number. 255: the type stays as it is.
  std::array<std::uint8_t, 128> to{};
  static constexpr std::uint8_t kStays = 255;
  TypeRenumbering() { to.fill(kStays); }
  /// True if the receiver knows `type` by another number.
  [[nodiscard]] bool changes(PayloadType type) const noexcept { return to[type.value & 127] != kStays; }
  /// The receiver's number of `type`.
  [[nodiscard]] PayloadType of(PayloadType type) const noexcept {
    return changes(type) ? PayloadType{to[type.value & 127]} : type;
  }
  bool operator==(const TypeRenumbering&) const = default;
};

}  // namespace ferry

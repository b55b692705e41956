// SPDX-License-Identifier: Apache-2.0
// What the audio of a source becomes for a receiver that cannot decode it, or knows it by other numbers.
//
// Control decides it from what both parties have said (RFC 3264) and puts it into a `Sink`. Plain immutable
// values; plans share them.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/audio/codec.hpp"
#include "relay/core/audio/fax.hpp"

#include <array>
#include <cstdint>
#include <memory>
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

/// One side of a fax call whose relay stands between T.38 and the sound of a modem.
struct FaxSide {
  enum class Role : std::uint8_t {
    /// The receiver speaks T.38: it gets datagrams made of the sound that the source sends.
    kToDatagrams,
    /// The receiver has sound: it gets G.711 made of the datagrams that the source sends.
    kToSound,
  };
  Role role = Role::kToSound;
  /// Names the gateway that both directions of the call share, within the process.
  std::uint64_t gateway = 0;
  /// What the T.38 party has agreed to.
  T38Settings t38{};
  bool operator==(const FaxSide&) const = default;
};

/// What the receiver gets in place of DTMF that the source sends, as events or as tones (NG key
/// `DTMF-security`).
enum class DigitCover : std::uint8_t {
  /// The digit itself.
  kNone,
  /// No event; a tone becomes silence. Without a conversion, tones stay.
  kDrop,
  kSilence,
  /// A tone of `DigitGuard::frequencies_hz`.
  kTone,
  /// A digit drawn by chance; it may be the pressed one.
  kRandomDigit,
  /// The digit 0.
  kZero,
  /// The same digit again, as DTMF that the relay makes.
  kDigit,
};
/// How digits and audio of a source are guarded on the way to a receiver.
struct DigitGuard {
  DigitCover cover = DigitCover::kNone;
  /// For kTone. Hz; empty: 400.
  std::vector<std::uint16_t> frequencies_hz;
  /// All audio leaves so much later, ms, so that a digit can be covered from its begin on (`delay-buffer`).
  std::uint16_t delay_ms = 0;
  /// Events leave so much later than that, ms (`DTMF-delay`).
  std::uint16_t events_delay_ms = 0;
  bool operator==(const DigitGuard&) const = default;
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
  /// True: nothing is made; the digits in the source's speech are found, and told to the worker.
  bool only_listens = false;
  /// Longest time that a packet may wait for earlier ones, ms; 0: what comes too early is not waited for.
  std::uint16_t most_delay_ms = 80;
  /// True: all sources of the receiver are heard at a time. False: one at a time.
  bool mixes = false;
  /// How digits are guarded; null: they pass.
  std::shared_ptr<const DigitGuard> guard;
  /// Set if the audio is that of a fax; null otherwise.
  std::shared_ptr<const FaxSide> fax;
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

// SPDX-License-Identifier: Apache-2.0
// The interface through which control finds sounds that are played to parties. `codecs/prompts` implements
// it, so that the code of calls knows nothing of files and codecs.
#pragma once

#include "relay/base/result.hpp"
#include "relay/base/types.hpp"
#include "relay/core/audio/codec.hpp"
#include "relay/core/output/prompt.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace ferry {

/// What is to be played, as a request names it.
struct SoundName {
  enum class Kind : std::uint8_t {
    /// Path of a file, absolute, or relative to one of the allowed folders.
    kFile,
    /// The octets of a file.
    kContent,
    /// The number of a file: `NUMBER.wav` in the folder of numbered files.
    kNumber,
    /// A tone, as `codecs/tone` names or writes it.
    kTone,
    /// A DTMF digit: its event, the level in dBm0 and the length in ms, with blanks between them.
    kDigit,
  };
  Kind kind = Kind::kFile;
  std::string text;
};

/// Why a sound cannot be played.
enum class SoundFault : std::uint8_t {
  /// No folder has been allowed from which such files are played.
  kNoFolder,
  /// There is no such file below the allowed folders, or it is none (CTL-10).
  kNoFile,
  /// It is too large, or lasts too long.
  kTooLarge,
  /// No known format, or damaged.
  kUnreadable,
  /// Nobody knows such a tone.
  kNoTone,
};
/// One sentence for the log and for `message` of a reply.
[[nodiscard]] constexpr const char* to_string(SoundFault fault) noexcept {
  switch (fault) {
    case SoundFault::kNoFolder:
      return "no folder is allowed for it (options media-files, media-numbers)";
    case SoundFault::kNoFile:
      return "there is no such file below the allowed folders";
    case SoundFault::kTooLarge:
      return "it is too large or lasts too long";
    case SoundFault::kUnreadable:
      return "it is no audio that can be read";
    case SoundFault::kNoTone:
      return "there is no such tone";
  }
  return "unknown";
}

/// A sound that was found. Immutable.
class Sound {
 public:
  virtual ~Sound() = default;
  /// Samples a second: `start-pos` and `last-frame-pos` count them.
  [[nodiscard]] virtual std::uint32_t rate_hz() const noexcept = 0;
  /// How long it lasts; of a tone, one turn of its cadence. Nothing if that is unknown, or if a tone has no
  /// turns.
  [[nodiscard]] virtual std::optional<Duration> length() const noexcept = 0;
  /// True for tones, which one hears until they are stopped. Their prompts have as many turns as fit packets.
  [[nodiscard]] virtual bool is_endless() const noexcept = 0;
};

/// Finds sounds and encodes them. Control thread only; what takes long is done elsewhere.
class SoundLibrary {
 public:
  virtual ~SoundLibrary() = default;
  /// Finds a sound. Reads the header of a file, never the whole of it.
  [[nodiscard]] virtual Result<std::shared_ptr<const Sound>, SoundFault> open(const SoundName& name) = 0;
  /// The sound in the encoding of one receiver, in packets of `packet_ms`, or of the nearest time that the
  /// codec can do. It is the same object for everybody with the same encoding, and grows while it is played.
  /// Null if the codec is not encoded here.
  [[nodiscard]] virtual std::shared_ptr<const Prompt> prompt(const std::shared_ptr<const Sound>& sound,
                                                             const AudioFormat& format,
                                                             unsigned packet_ms) = 0;
  /// True if `prompt` knows the codec.
  [[nodiscard]] virtual bool encodes(const AudioFormat& format) = 0;
};

}  // namespace ferry

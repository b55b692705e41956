// Codecs of audio as the core sees them: decoder, encoder and resampler. `codecs/audio` implements them.
//
// All samples are 16-bit linear, channels interleaved. The caller brings the room for what comes out, so that
// no packet costs an allocation: an object allocates when it is made and while it hears its first packets.
// Each object belongs to one stream and is used by one thread at a time; nothing here blocks.
#pragma once

#include "relay/base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace ferry {

/// The meaning of a payload type, as `a=rtpmap` and `a=fmtp` say (RFC 8866 §6.6, §6.15).
struct AudioFormat {
  /// Name of the encoding, compared without regard to case.
  std::string encoding;
  /// Rate of the RTP timestamps; 8000 for G.722, whatever its samples (RFC 3551 §4.5.2).
  std::uint32_t clock_rate_hz = 8000;
  unsigned channels = 1;
  /// The parameters of `a=fmtp` as they stand; may be empty.
  std::string parameters;

  bool operator==(const AudioFormat&) const = default;
};

/// Decodes one stream. Payloads come in order; state lasts from one to the next.
class AudioDecoder {
 public:
  virtual ~AudioDecoder() = default;
  /// Rate of the samples, which may differ from that of the timestamps.
  [[nodiscard]] virtual std::uint32_t sample_rate_hz() const noexcept = 0;
  /// Channels in the samples; 1 unless the codec says otherwise.
  [[nodiscard]] virtual unsigned channels() const noexcept { return 1; }
  /// Most samples that one payload may give, all channels counted. At most 65,535, whatever the format says.
  [[nodiscard]] virtual std::size_t max_samples() const noexcept = 0;
  /// Decodes one payload. `out` has room for `max_samples()`. Returns how many samples were written; nothing
  /// if the payload is damaged, and what `out` holds then is of no use.
  [[nodiscard]] virtual std::optional<std::size_t> decode(Bytes payload, std::span<std::int16_t> out) = 0;
  /// Fills `out` (whole samples of all channels) in place of lost samples: what the codec makes up, or a
  /// repetition that fades (ITU-T G.711 Appendix I).
  virtual void conceal(std::span<std::int16_t> out) = 0;
};

/// Encodes one stream of one channel. State lasts from one call to the next.
class AudioEncoder {
 public:
  virtual ~AudioEncoder() = default;
  /// Rate of the samples that it takes, which may differ from that of the timestamps.
  [[nodiscard]] virtual std::uint32_t sample_rate_hz() const noexcept = 0;
  /// Samples of the smallest part that can be encoded: 1 for G.711, 2 for G.722, 160 for GSM.
  [[nodiscard]] virtual std::size_t frame_samples() const noexcept = 0;
  /// Octets that so many samples become; those behind the last whole frame count for nothing.
  [[nodiscard]] virtual std::size_t octets_for(std::size_t samples) const noexcept = 0;
  /// Encodes the whole frames of `samples` and leaves the rest out. `out` has room for
  /// `octets_for(samples.size())`. Returns how many octets were written.
  virtual std::size_t encode(std::span<const std::int16_t> samples, MutableBytes out) = 0;
};

/// Changes the sample rate of one signal of one channel. Sample n of the output lies where sample n * from /
/// to of the input lay: no delay is left in it.
class AudioResampler {
 public:
  virtual ~AudioResampler() = default;
  /// Most samples that `run` makes of so many.
  [[nodiscard]] virtual std::size_t room_for(std::size_t samples) const noexcept = 0;
  /// Most samples that `drain` gives.
  [[nodiscard]] virtual std::size_t drain_room() const noexcept = 0;
  /// Resamples all of `in`; some samples stay inside the filter. `out` has room for `room_for(in.size())`.
  /// Returns how many samples were written.
  virtual std::size_t run(std::span<const std::int16_t> in, std::span<std::int16_t> out) = 0;
  /// Gives what is still inside, because a pause follows, and begins anew. `out` has room for `drain_room()`.
  /// Returns how many samples were written.
  virtual std::size_t drain(std::span<std::int16_t> out) = 0;
};

}  // namespace ferry

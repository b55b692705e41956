// Decoders of audio: an RTP payload goes in, samples come out.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// The format of a static payload type that is audio (RFC 3551 §6). Nothing for dynamic and unassigned ones,
/// and for video.
[[nodiscard]] std::optional<AudioFormat> static_audio_format(PayloadType type);

/// The value of one parameter of `a=fmtp`, for example `octet-align`; "1" if it stands without a value, empty
/// if it is not there. Borrowed from `parameters`.
[[nodiscard]] std::string_view format_parameter(std::string_view parameters, std::string_view name) noexcept;

/// Decodes one stream. Packets come in order; state lasts from one to the next. For one thread.
class AudioDecoder {
 public:
  virtual ~AudioDecoder() = default;
  /// Rate of the samples, which may differ from that of the timestamps.
  [[nodiscard]] virtual std::uint32_t sample_rate_hz() const noexcept = 0;
  /// Channels in the samples; 1 unless the codec says otherwise.
  [[nodiscard]] virtual unsigned channels() const noexcept { return 1; }
  /// Appends the samples of one payload to `out`, channels interleaved. False: the payload is damaged, and
  /// nothing was appended.
  [[nodiscard]] virtual bool decode(Bytes payload, std::vector<std::int16_t>& out) = 0;
  /// Appends `frames` samples for each channel in place of lost ones: what the codec makes up, or a
  /// repetition that fades (ITU-T G.711 Appendix I).
  virtual void conceal(std::size_t frames, std::vector<std::int16_t>& out) = 0;
};

}  // namespace ferry

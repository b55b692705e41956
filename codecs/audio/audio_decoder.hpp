// Decoders of audio: an RTP payload in, samples out. What the recorder and transcoding share.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/result.hpp"
#include "relay/base/types.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// What a payload type stands for: `a=rtpmap` and `a=fmtp` (RFC 8866 §6.6, §6.15).
struct AudioFormat {
  /// Name of the encoding, compared without regard to case.
  std::string encoding;
  /// Of RTP timestamps; 8000 for G.722 whatever its samples (RFC 3551 §4.5.2).
  std::uint32_t clock_rate_hz = 8000;
  unsigned channels = 1;
  std::string parameters;

  bool operator==(const AudioFormat&) const = default;
};

/// The format of a static payload type that is audio (RFC 3551 §6); nothing for dynamic and unassigned ones.
[[nodiscard]] std::optional<AudioFormat> static_audio_format(PayloadType type);

/// The value of one parameter of `a=fmtp`, e.g. `octet-align`; empty if it is not there.
[[nodiscard]] std::string_view format_parameter(std::string_view parameters, std::string_view name) noexcept;

/// Decodes one stream. Packets come in order; state lasts from one to the next. Not thread-safe.
class AudioDecoder {
 public:
  virtual ~AudioDecoder() = default;
  [[nodiscard]] virtual std::uint32_t sample_rate_hz() const noexcept = 0;
  [[nodiscard]] virtual unsigned channels() const noexcept { return 1; }
  /// Appends the samples of one payload to `out`, interleaved. False: the payload is damaged, and nothing was
  /// appended.
  [[nodiscard]] virtual bool decode(Bytes payload, std::vector<std::int16_t>& out) = 0;
  /// Appends `frames` samples for each channel in place of lost ones: what the codec does about loss, or a
  /// repetition that fades (ITU-T G.711 Appendix I).
  virtual void conceal(std::size_t frames, std::vector<std::int16_t>& out) = 0;
};

/// The decoder of a format; the error is a sentence that says why there is none.
[[nodiscard]] Result<std::unique_ptr<AudioDecoder>, std::string> make_audio_decoder(
    const AudioFormat& format);

/// Where codecs in packages of their own are looked for (`rtpferry-codec-NAME.so`): those whose licences do
/// not allow to link them. Once, at start. The default is the installed place.
void set_codec_plugin_folder(std::string folder);
/// The one in force; the installed one unless another was set.
[[nodiscard]] std::string codec_plugin_folder();

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
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

/// What the relay itself wants of a codec, beside what `AudioFormat` says. The defaults ask for nothing.
struct CodecSettings {
  /// Highest rate of samples that the other side can use, Hz; 0: no bound. Opus opens at the lowest of its
  /// rates that is not below this, which costs less and saves a resampler.
  std::uint32_t sample_rate_hz = 0;
  /// Channels of the samples, 1 or 2; 0: as the format says for a decoder, one for an encoder. Only Opus has
  /// a choice.
  unsigned channels = 0;
  /// Highest bitrate of an encoder, bit/s; 0: its own.
  std::uint32_t bitrate_bps = 0;
  /// How hard an encoder works, 0 to 10; negative: its own. Opus and Speex know it.
  int complexity = -1;
  /// True: an encoder sends nothing in silence, if the format allows it.
  bool dtx = false;

  bool operator==(const CodecSettings&) const = default;
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
  /// Fills `out` in place of samples that were lost right before those of `next`, a payload that has come
  /// already. Codecs that repeat themselves find some of the samples there (Opus, RFC 6716 §2.1.7); others
  /// conceal. `next` is decoded afterwards, as usual.
  virtual void recover(Bytes next, std::span<std::int16_t> out) {
    (void)next;
    conceal(out);
  }
  /// True if the payload that was decoded last had a copy of the samples before it: `recover` finds lost
  /// ones.
  [[nodiscard]] virtual bool has_copy() const noexcept { return false; }
  /// True if its sender has paused with the payload that was decoded last: what it leaves out from now on is
  /// silence, not lost, and `conceal` makes the noise of it.
  [[nodiscard]] virtual bool is_pausing() const noexcept { return false; }
  /// The mode in which the sender of the payloads wants to hear us, as its last whole payload said (CMR, RFC
  /// 4867 §4.3.1); 15: it has no preference. Nothing: no payload has said anything. Belongs to the encoder of
  /// the same peer: see `pass_requests`.
  [[nodiscard]] virtual std::optional<std::uint8_t> requested_mode() const noexcept { return std::nullopt; }
};

/// What became of the samples of one packet.
struct Encoded {
  /// Octets of the payload; 0: nothing is sent for these samples, because the stream pauses.
  std::size_t octets = 0;
  /// So many of the first samples are not in the payload, because a pause ended behind them: the packet's
  /// timestamp is theirs later.
  std::size_t skipped = 0;
  /// The payload only describes silence, or there is none. The first packet with another payload gets the
  /// marker (RFC 3551 §4.1).
  bool is_silence = false;
};

/// What is heard of the far side while a stream is encoded for it. A member without a value changes nothing.
struct EncoderFeedback {
  /// The mode that it asks for (`AudioDecoder::requested_mode`). One that was not negotiated is ignored.
  std::optional<std::uint8_t> mode;
  /// Highest bitrate from now on, bit/s; 0: the encoder's own again.
  std::optional<std::uint32_t> bitrate_bps;
  /// Share of our packets that it lost, percent: what receiver reports say.
  std::optional<std::uint8_t> loss_percent;
};

/// Encodes one stream. State lasts from one call to the next. Each call makes the payload of one packet.
/// Numbers of samples count all channels.
class AudioEncoder {
 public:
  virtual ~AudioEncoder() = default;
  /// Rate of the samples that it takes, which may differ from that of the timestamps.
  [[nodiscard]] virtual std::uint32_t sample_rate_hz() const noexcept = 0;
  /// Channels in the samples; 1 unless two were asked for.
  [[nodiscard]] virtual unsigned channels() const noexcept { return 1; }
  /// Samples of the smallest part that can be encoded: 1 for G.711, 2 for G.722, 160 for GSM.
  [[nodiscard]] virtual std::size_t frame_samples() const noexcept = 0;
  /// True if one payload may have exactly so many samples. Codecs of samples take any number of frames;
  /// others know a longest packet, and Opus only some lengths (RFC 6716 §2.1.4).
  [[nodiscard]] virtual bool takes(std::size_t samples) const noexcept {
    return samples > 0 && samples % frame_samples() == 0;
  }
  /// Most octets that so many samples become, and exactly so many where all frames have one size; samples
  /// behind the last whole frame count for nothing.
  [[nodiscard]] virtual std::size_t octets_for(std::size_t samples) const noexcept = 0;
  /// Encodes the whole frames of `samples` and leaves the rest out; what `takes` is never left out. `out` has
  /// room for `octets_for(samples.size())`.
  virtual Encoded encode(std::span<const std::int16_t> samples, MutableBytes out) = 0;
  /// Does what the far side asks for, as far as the codec and its format can.
  virtual void on_feedback(const EncoderFeedback& feedback) { (void)feedback; }
  /// Asks the peer, in all payloads from now on, to send in this mode (CMR); 15: no preference, which is the
  /// default.
  virtual void request_mode(std::uint8_t mode) { (void)mode; }
  /// The samples that follow do not follow on those before: something else was sent in between.
  virtual void restart() {}
};

/// Hands what a peer asks for in its payloads to the encoder of what it hears.
inline void pass_requests(const AudioDecoder& from, AudioEncoder& to) {
  if (const auto mode = from.requested_mode()) to.on_feedback({mode, {}, {}});
}

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

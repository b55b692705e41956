// SPDX-License-Identifier: Apache-2.0
// Comfort noise (CN, RFC 3389): silence described by a level and a spectrum, and noise made of that.
#pragma once

#include "codecs/audio/codec_results.hpp"

#include <array>
#include <span>

namespace ferry {

/// What a CN payload says (RFC 3389 §3).
struct SilenceDescriptor {
  /// Most coefficients that are used and written; further ones of a payload are left out, which is allowed.
  static constexpr std::size_t kMostCoefficients = 10;
  /// Level of the noise, dB below the overload point, 0 to 127. Here 0 is a square wave of full scale.
  std::uint8_t level = 127;
  /// Reflection coefficients of the all-pole model, in the order of the payload, each between -1 and 1.
  std::array<float, kMostCoefficients> reflection{};
  std::size_t count = 0;
};

/// Nothing if the payload is empty; everything else means something.
[[nodiscard]] std::optional<SilenceDescriptor> silence_descriptor(Bytes payload);
/// Writes a payload; `out` has room for 1 + `count` octets. Returns how many were written.
std::size_t write_silence_descriptor(const SilenceDescriptor& silence, MutableBytes out);
/// Describes samples: mono, at least one.
[[nodiscard]] SilenceDescriptor describe_silence(std::span<const std::int16_t> samples);

/// Makes noise. For one thread; allocates nothing.
class NoiseSource {
 public:
  /// The noise turns into what `silence` says within some milliseconds; the first one at once.
  void set(const SilenceDescriptor& silence);
  /// Fills `out` (mono) with noise; silence if nothing was set yet.
  void fill(std::span<std::int16_t> out);

 private:
  /// Uniform between -1 and 1.
  float random();
  SilenceDescriptor now_;
  float gain_ = 0;
  float wanted_gain_ = 0;
  bool is_set_ = false;
  /// Backward values of the lattice filter.
  std::array<float, SilenceDescriptor::kMostCoefficients + 1> state_{};
  std::uint32_t seed_ = 0x2545'f491;
};

/// The decoder: a payload becomes 20 ms of noise, and `conceal` goes on with it until the next one.
DecoderResult make_cn_decoder(const AudioFormat& format);
/// The encoder: takes samples that somebody else has found to be silence. It writes a payload for the first
/// ones (also behind `AudioEncoder::restart`), when the level changes by 3 dB, and each 400 ms; none
/// otherwise.
EncoderResult make_cn_encoder(const AudioFormat& format);

}  // namespace ferry

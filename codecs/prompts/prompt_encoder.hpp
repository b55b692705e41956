// SPDX-License-Identifier: Apache-2.0
// Encodes a sound into a prompt, a second of it at a time.
#pragma once

#include "codecs/audio/resampler.hpp"
#include "codecs/prompts/sample_source.hpp"
#include "relay/core/audio/codec.hpp"
#include "relay/core/output/prompt.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {

/// Encodes one sound for one codec and one packet time. It writes its prompt; one thread at a time.
class PromptEncoder {
 public:
  /// The longest sound that is encoded; the rest is left out.
  static constexpr Duration kLongest = std::chrono::hours(1);

  /// Makes the encoder of a sound. Null if the codec is not encoded here, or has no packets of that length.
  [[nodiscard]] static std::unique_ptr<PromptEncoder> make(std::unique_ptr<SampleSource> source,
                                                           const AudioFormat& format, unsigned packet_ms);

  [[nodiscard]] const std::shared_ptr<Prompt>& prompt() const noexcept { return prompt_; }
  /// Encodes the next packets, about a second of them, and fewer at the first call. False once the prompt is
  /// complete. If memory runs out, the prompt ends with the packets that it has.
  bool step() noexcept;
  /// True if the prompt has ended before its sound, because a step failed.
  [[nodiscard]] bool has_failed() const noexcept { return has_failed_; }

 private:
  PromptEncoder(std::unique_ptr<SampleSource> source, std::unique_ptr<AudioEncoder> encoder,
                const AudioFormat& format, unsigned packet_ms);
  /// Fills `pending_` until it has a packet, or the sound ends.
  void fill();
  /// Adds the next packets to the prompt. False if there are no more. Throws std::bad_alloc.
  bool encode_next();

  std::unique_ptr<SampleSource> source_;
  std::unique_ptr<AudioEncoder> encoder_;
  Resampler resampler_;
  std::shared_ptr<Prompt> prompt_;
  /// Samples of one packet, all channels counted.
  std::size_t packet_samples_;
  /// Samples at the encoder's rate that do not fill a packet yet.
  std::vector<std::int16_t> pending_;
  std::vector<std::int16_t> read_;
  std::vector<std::int16_t> resampled_;
  /// True once the source has no more samples.
  bool has_ended_ = false;
  bool has_failed_ = false;
  /// Packets that were made.
  std::uint64_t made_ = 0;
};

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// The codecs of speech that this build can convert. It is made once, at the start, by whoever knows the
// codecs; control asks it before it promises anything. Immutable afterwards; any thread.
#pragma once

#include "relay/core/audio/codec.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace ferry {

/// What was found out about one format.
struct KnownCodec {
  /// Name, clock rate and channels. The parameters stay empty.
  AudioFormat format;
  /// Rate of the samples inside, Hz: 16000 for G.722, whose clock is 8000.
  std::uint32_t sample_rate_hz = 8000;
  bool decodes = false;
  bool encodes = false;
};

/// All of them. By default there are none, so that nothing is converted.
class CodecCatalogue {
 public:
  CodecCatalogue() = default;
  explicit CodecCatalogue(std::vector<KnownCodec> codecs) : codecs_(std::move(codecs)) {}
  /// The row of a format; null if the build has no such codec. Parameters do not count.
  [[nodiscard]] const KnownCodec* find(const AudioFormat& format) const;
  [[nodiscard]] bool decodes(const AudioFormat& format) const;
  [[nodiscard]] bool encodes(const AudioFormat& format) const;
  /// True if it goes both ways.
  [[nodiscard]] bool converts(const AudioFormat& format) const { return decodes(format) && encodes(format); }

 private:
  std::vector<KnownCodec> codecs_;
};

}  // namespace ferry

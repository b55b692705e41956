// SPDX-License-Identifier: Apache-2.0
// PRC-3: packets of every payload type into a transcoder, in any order and at any time, while signalling
// changes what they mean, and whether they are mixed. What comes out is bounded and on one timeline, and
// something that is due is done when it is.
#include "codecs/transcode/mixing_stage.hpp"
#include "tests/fuzz/stage_input.hpp"

#include <algorithm>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace ferry;
  Bytes left(reinterpret_cast<const std::byte*>(data), size);
  if (left.size() < 2) return 0;
  MixingStage stage;
  fuzz::StageFacts out;
  Instant now(std::chrono::hours(1));
  const auto terms_of = [](std::uint8_t a, std::uint8_t b) {
    return std::make_shared<const AudioConversion>(fuzz::conversion_of(a, b));
  };
  auto terms = terms_of(read_u8(left, 0), read_u8(left, 1));
  left = left.subspan(2);
  while (left.size() >= 7) {
    const std::uint8_t kind = read_u8(left, 0);
    const std::size_t length = std::min<std::size_t>(read_u8(left, 1) * 2u, left.size() - 7);
    // Mostly a packet time, sometimes much more.
    now += std::chrono::milliseconds((kind & 0x80) != 0 ? read_u8(left, 2) * 20 : read_u8(left, 2) % 32);
    if (kind % 61 == 60) terms = terms_of(read_u8(left, 3), read_u8(left, 4));
    fuzz::drive_until(stage, now, out);
    const RtpView rtp = fuzz::packet_of(kind, read_u16(left, 3), read_u16(left, 5), left.subspan(7, length));
    stage.hear(kind % 3, terms, rtp, now, out);
    left = left.subspan(7 + length);
  }
  fact(stage.sources() <= MixingStage::kMostSources);
  const TranscodeFigures& figures = stage.receiver().figures();
  fact(figures.packets_in >= figures.other_speaks);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// PRC-3: payloads around payloads. RED (RFC 2198) is taken apart and put together again, and descriptors of
// silence (RFC 3389) become noise that stays within bounds.
#include "codecs/audio/comfort_noise.hpp"
#include "codecs/audio/red.hpp"
#include "tests/fuzz/facts.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace {

using namespace ferry;

void read_red(Bytes payload) {
  const auto blocks = red_blocks(payload);
  if (!blocks) return;
  fact(blocks->count > 0 && blocks->count <= RedBlocks::kMost);
  const std::byte* end = payload.data() + payload.size();
  std::size_t octets = (blocks->count - 1) * 4 + 1;
  for (const RedBlock& each : blocks->all()) {
    fact(each.payload.data() >= payload.data() && each.payload.data() + each.payload.size() <= end);
    fact(each.age <= RedWriter::kOldest && each.type.value < 128);
    octets += each.payload.size();
  }
  fact(octets == payload.size());
  fact(blocks->newest().age == 0);
}

// Octets as packets of one stream: a length, a step of time, room, then the payload.
void write_red(Bytes octets) {
  RedWriter writer(1 + read_u8(octets, 0) % 15);
  std::uint32_t timestamp = read_u8(octets, 0) * 0x0101'0101u;
  octets = octets.subspan(1);
  while (octets.size() >= 3) {
    const std::size_t length = std::min<std::size_t>(read_u8(octets, 0) * 5, octets.size() - 3);
    timestamp += read_u8(octets, 1) * 80u;
    const Bytes payload = octets.subspan(3, length);
    // Room to the very octet: the address sanitizer sees whoever writes more.
    std::vector<std::byte> out(
        std::min<std::size_t>(writer.octets_for(length), length + read_u8(octets, 2) * 8));
    const std::size_t size =
        writer.write(PayloadType{static_cast<std::uint8_t>(length % 128)}, timestamp, payload, out);
    fact(size <= out.size());
    fact(size > 0 || out.size() < length + 1);
    if (size > 0) {
      const auto blocks = red_blocks(Bytes(out).first(size));
      fact(blocks.has_value());
      if (blocks) fact(std::ranges::equal(blocks->newest().payload, payload));
    }
    octets = octets.subspan(3 + length);
  }
}

void make_noise(Bytes payload) {
  const auto silence = silence_descriptor(payload);
  fact(silence.has_value() == !payload.empty());
  if (!silence) return;
  std::array<std::byte, 1 + SilenceDescriptor::kMostCoefficients> written{};
  fact(write_silence_descriptor(*silence, written) == 1 + silence->count);
  NoiseSource noise;
  noise.set(*silence);
  std::array<std::int16_t, 480> out{};
  noise.fill(out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const Bytes octets(reinterpret_cast<const std::byte*>(data), size);
  read_red(octets);
  make_noise(octets);
  if (!octets.empty()) write_red(octets);
  return 0;
}

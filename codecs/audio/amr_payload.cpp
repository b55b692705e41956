// SPDX-License-Identifier: Apache-2.0
// A payload is a request for a mode, then a table of contents with an entry for each frame, then the frames'
// bits. In the octet-aligned form every part is padded to whole octets; in the bandwidth-efficient form
// nothing is, so everything is read and written bit by bit.
#include "codecs/audio/amr_payload.hpp"

#include <algorithm>

namespace ferry {

namespace {

constexpr std::array<int, 16> kNarrowBits = {95, 103, 118, 134, 148, 159, 204, 244,
                                             39, -1,  -1,  -1,  -1,  -1,  -1,  0};
constexpr std::array<int, 16> kWideBits = {132, 177, 253, 285, 317, 365, 397, 461,
                                           477, 40,  -1,  -1,  -1,  -1,  0,   0};

/// Reads bits, the most significant one of each octet first.
class BitReader {
 public:
  explicit BitReader(Bytes bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t left() const { return bytes_.size() * 8 - at_; }
  unsigned take(std::size_t bits) {
    unsigned value = 0;
    for (; bits > 0; --bits, ++at_) value = value << 1 | ((read_u8(bytes_, at_ / 8) >> (7 - at_ % 8)) & 1u);
    return value;
  }
  // Goes on at the next whole octet.
  void align() { at_ = (at_ + 7) / 8 * 8; }

 private:
  Bytes bytes_;
  std::size_t at_ = 0;
};

/// Writes bits in the same order. Bits behind the last one are 0.
class BitWriter {
 public:
  explicit BitWriter(MutableBytes bytes) : bytes_(bytes) {}
  void put(unsigned value, std::size_t bits) {
    for (; bits > 0; --bits, ++at_) {
      if (at_ % 8 == 0) write_u8(bytes_, at_ / 8, 0);
      const unsigned bit = value >> (bits - 1) & 1u;
      bytes_[at_ / 8] |= static_cast<std::byte>(bit << (7 - at_ % 8));
    }
  }
  void align() { at_ = octets() * 8; }
  [[nodiscard]] std::size_t octets() const { return (at_ + 7) / 8; }

 private:
  MutableBytes bytes_;
  std::size_t at_ = 0;
};

}  // namespace

int amr_bits(std::uint8_t type, bool wideband) noexcept {
  return type > 15 ? -1 : (wideband ? kWideBits : kNarrowBits)[type];
}

std::optional<AmrFrames> amr_frames(Bytes payload, AmrLayout layout) {
  BitReader bits(payload);
  const std::size_t entry = layout.octet_align ? 8 : 6;
  if (bits.left() < (layout.octet_align ? 8u : 4u)) return std::nullopt;
  AmrFrames all;
  all.request = static_cast<std::uint8_t>(bits.take(4));
  if (layout.octet_align) bits.align();
  // The table of contents: the first bit of an entry says whether another one follows.
  for (bool more = true; more;) {
    if (bits.left() < entry || all.count == AmrFrames::kMost) return std::nullopt;
    more = bits.take(1) != 0;
    AmrFrame& frame = all.frames[all.count++];
    frame.type = static_cast<std::uint8_t>(bits.take(4));
    frame.good = bits.take(1) != 0;
    if (layout.octet_align) bits.align();
    if (amr_bits(frame.type, layout.wideband) < 0) return std::nullopt;
  }
  for (AmrFrame& frame : std::span(all.frames).first(all.count)) {
    auto size = static_cast<std::size_t>(amr_bits(frame.type, layout.wideband));
    if (bits.left() < size) return std::nullopt;
    // The header of the storage form: type and quality bit (RFC 4867 §5.3).
    frame.storage[frame.size++] = static_cast<std::uint8_t>(frame.type << 3 | (frame.good ? 4 : 0));
    for (; size >= 8; size -= 8) frame.storage[frame.size++] = static_cast<std::uint8_t>(bits.take(8));
    if (size > 0) frame.storage[frame.size++] = static_cast<std::uint8_t>(bits.take(size) << (8 - size));
    if (layout.octet_align) bits.align();
  }
  return all;
}

std::size_t amr_most_octets(std::size_t frames, bool wideband) noexcept {
  const auto most = static_cast<std::size_t>(*std::ranges::max_element(wideband ? kWideBits : kNarrowBits));
  // The octet-aligned form is the longer one: a header, and for each frame an entry and its bits.
  return 1 + frames * (1 + (most + 7) / 8);
}

std::size_t write_amr_payload(std::span<const AmrFrame> frames, std::uint8_t request, AmrLayout layout,
                              MutableBytes out) {
  BitWriter bits(out);
  bits.put(request, 4);
  if (layout.octet_align) bits.align();
  for (std::size_t i = 0; i < frames.size(); ++i) {
    bits.put(i + 1 < frames.size() ? 1 : 0, 1);
    bits.put(frames[i].type, 4);
    bits.put(frames[i].good ? 1 : 0, 1);
    if (layout.octet_align) bits.align();
  }
  for (const AmrFrame& frame : frames) {
    auto size = static_cast<std::size_t>(amr_bits(frame.type, layout.wideband));
    std::size_t at = 1;
    for (; size >= 8; size -= 8) bits.put(frame.storage[at++], 8);
    if (size > 0) bits.put(static_cast<unsigned>(frame.storage[at]) >> (8 - size), size);
    if (layout.octet_align) bits.align();
  }
  return bits.octets();
}

}  // namespace ferry

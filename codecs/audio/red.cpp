// SPDX-License-Identifier: Apache-2.0
// RED. Each earlier payload has a header of four octets (RFC 2198 §3): a set bit, 7 bits payload type, 14
// bits age, 10 bits length. The newest has one octet, with the bit clear; its length is the rest.
#include "codecs/audio/red.hpp"

#include <algorithm>

namespace ferry {

namespace {

constexpr std::size_t kEarlierHeader = 4;
constexpr std::size_t kNewestHeader = 1;

}  // namespace

std::optional<RedBlocks> red_blocks(Bytes payload) {
  RedBlocks found;
  std::array<std::size_t, RedBlocks::kMost> lengths{};
  std::size_t at = 0;
  std::size_t earlier = 0;
  while (true) {
    if (at >= payload.size() || found.count == RedBlocks::kMost) return std::nullopt;
    const std::uint8_t first = read_u8(payload, at);
    RedBlock& block = found.blocks[found.count];
    block.type = PayloadType{static_cast<std::uint8_t>(first & 0x7f)};
    if ((first & 0x80) == 0) break;
    if (payload.size() - at < kEarlierHeader) return std::nullopt;
    const std::uint32_t rest = read_u32(payload, at) & 0xff'ffff;
    block.age = rest >> 10;
    lengths[found.count++] = rest & 0x3ff;
    earlier += rest & 0x3ff;
    at += kEarlierHeader;
  }
  at += kNewestHeader;
  if (payload.size() - at < earlier) return std::nullopt;
  lengths[found.count++] = payload.size() - at - earlier;
  for (std::size_t i = 0; i < found.count; ++i) {
    found.blocks[i].payload = payload.subspan(at, lengths[i]);
    at += lengths[i];
  }
  return found;
}

RedWriter::RedWriter(std::size_t generations)
    : sent_(std::clamp<std::size_t>(generations, 1, RedBlocks::kMost - 1)) {
  for (Sent& each : sent_) each.payload.resize(kLongestEarlier);
}

std::size_t RedWriter::octets_for(std::size_t octets) const noexcept {
  std::size_t all = kNewestHeader + octets;
  for (std::size_t n = 1; n <= count_; ++n) all += kEarlierHeader + last(n).size;
  return all;
}

std::size_t RedWriter::write(PayloadType type, std::uint32_t timestamp, Bytes payload, MutableBytes out) {
  std::size_t size = kNewestHeader + payload.size();
  if (out.size() < size) return 0;
  // As many of the last packets as fit, without a hole: an older one alone helps less.
  std::size_t earlier = 0;
  for (std::size_t n = 1; n <= count_; ++n) {
    const Sent& sent = last(n);
    const std::uint32_t age = timestamp - sent.timestamp;
    if (age == 0 || age > kOldest || size + kEarlierHeader + sent.size > out.size()) break;
    size += kEarlierHeader + sent.size;
    earlier = n;
  }
  std::size_t header = 0;
  std::size_t at = earlier * kEarlierHeader + kNewestHeader;
  for (std::size_t n = earlier; n > 0; --n) {
    const Sent& sent = last(n);
    const auto length = static_cast<std::uint32_t>(sent.size);
    write_u32(
        out, header,
        0x8000'0000 | std::uint32_t{sent.type.value} << 24 | (timestamp - sent.timestamp) << 10 | length);
    header += kEarlierHeader;
    std::ranges::copy(Bytes(sent.payload).first(sent.size), out.begin() + static_cast<std::ptrdiff_t>(at));
    at += sent.size;
  }
  write_u8(out, header, type.value & 0x7f);
  std::ranges::copy(payload, out.begin() + static_cast<std::ptrdiff_t>(at));
  remember(type, timestamp, payload);
  return size;
}

// What is too long for the format cannot travel again, and nothing before it: the chain would have a hole.
void RedWriter::remember(PayloadType type, std::uint32_t timestamp, Bytes payload) {
  if (payload.size() > kLongestEarlier) {
    restart();
    return;
  }
  Sent& sent = sent_[next_];
  sent.type = type;
  sent.timestamp = timestamp;
  sent.size = payload.size();
  std::ranges::copy(payload, sent.payload.begin());
  next_ = (next_ + 1) % sent_.size();
  count_ = std::min(count_ + 1, sent_.size());
}

}  // namespace ferry

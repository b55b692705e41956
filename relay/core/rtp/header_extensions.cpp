// SPDX-License-Identifier: Apache-2.0
#include "relay/core/rtp/header_extensions.hpp"

#include "relay/core/rtp/rtp.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

namespace ferry {

namespace {

/// Octets of the block's header: profile and length in words.
constexpr std::size_t kBlockHeader = 4;
// ID 15 is reserved in the one-byte form (RFC 8285 §4.2).
constexpr unsigned kLargestOneByteId = 14;
// Most octets of data in an element of the one-byte and of the two-byte form.
constexpr std::size_t kLongestOneByteElement = 16;
constexpr std::size_t kLongestElement = 255;

/// Position of a packet's extension block: `elements` to `end`, without the block's header.
struct Block {
  std::size_t elements = 0;
  std::size_t end = 0;
  bool is_one_byte = false;
};

/// Finds the extension block. Nothing if the packet has none in a form of RFC 8285.
std::optional<Block> find_block(Bytes rtp) noexcept {
  if (rtp.size() < kRtpFixedHeaderSize || (read_u8(rtp, 0) & 0x10) == 0) return std::nullopt;
  const std::size_t at = kRtpFixedHeaderSize + 4u * (read_u8(rtp, 0) & 0x0f);
  if (rtp.size() < at + kBlockHeader) return std::nullopt;
  const std::uint16_t profile = read_u16(rtp, at);
  const bool is_one_byte = profile == 0xbede;
  if (!is_one_byte && (profile & 0xfff0) != 0x1000) return std::nullopt;
  const std::size_t end = at + kBlockHeader + 4u * read_u16(rtp, at + 2);
  if (end > rtp.size()) return std::nullopt;
  return Block{at + kBlockHeader, end, is_one_byte};
}

/// One element, its header included.
struct Element {
  std::size_t at = 0;
  std::size_t size = 0;
  unsigned id = 0;
};

/// Reads the next element and moves `at` behind it. Nothing at the end, and where reading has to stop; `at`
/// then stands in front of what is left.
std::optional<Element> next_element(Bytes rtp, const Block& block, std::size_t& at) noexcept {
  while (at < block.end && read_u8(rtp, at) == 0) ++at;  // padding between elements
  if (at >= block.end) return std::nullopt;
  const std::uint8_t first = read_u8(rtp, at);
  const unsigned id = block.is_one_byte ? first >> 4 : first;
  // RFC 8285 §4.2: ID 15, or ID 0 with a length, ends the reading.
  if (block.is_one_byte && (id == 0 || id == 15)) return std::nullopt;
  if (!block.is_one_byte && at + 1 >= block.end) return std::nullopt;
  const std::size_t size = block.is_one_byte ? 2u + (first & 0x0fu) : 2u + read_u8(rtp, at + 1);
  if (at + size > block.end) return std::nullopt;
  const Element element{at, size, id};
  at += size;
  return element;
}

void write_id(MutableBytes rtp, std::size_t at, std::uint8_t id, bool is_one_byte) noexcept {
  write_u8(rtp, at, is_one_byte ? static_cast<std::uint8_t>(id << 4 | (read_u8(rtp, at) & 0x0f)) : id);
}

/// Cuts the octets from `from` to `to` out of a packet and returns its new size.
std::size_t cut(MutableBytes rtp, std::size_t from, std::size_t to) noexcept {
  std::ranges::copy(rtp.subspan(to), rtp.begin() + static_cast<std::ptrdiff_t>(from));
  return rtp.size() - (to - from);
}

}  // namespace

std::uint8_t HeaderExtensionMap::id_for(unsigned id, bool is_one_byte) const noexcept {
  for (const Entry& entry : kept_) {
    if (entry.from == id) return is_one_byte && entry.to > kLargestOneByteId ? std::uint8_t{0} : entry.to;
  }
  return 0;
}

bool HeaderExtensionMap::changes(Bytes rtp) const noexcept {
  const auto block = rewrites_ ? find_block(rtp) : std::nullopt;
  if (!block) return false;
  std::size_t at = block->elements;
  while (const auto element = next_element(rtp, *block, at)) {
    if (id_for(element->id, block->is_one_byte) != element->id) return true;
  }
  // Octets that cannot be read as elements are removed, so the packet changes.
  return at < block->end;
}

std::size_t HeaderExtensionMap::apply(MutableBytes rtp) const noexcept {
  const auto block = rewrites_ ? find_block(rtp) : std::nullopt;
  if (!block || !changes(rtp)) return rtp.size();
  // If nothing is removed, the IDs are replaced in place and the size stays.
  bool removes = false;
  std::size_t at = block->elements;
  while (const auto element = next_element(rtp, *block, at)) {
    removes = removes || id_for(element->id, block->is_one_byte) == 0;
  }
  removes = removes || at < block->end;
  // Elements that stay are moved to the left over those that go.
  std::size_t kept = block->elements;
  at = block->elements;
  while (const auto element = next_element(rtp, *block, at)) {
    const std::uint8_t id = id_for(element->id, block->is_one_byte);
    if (id == 0) continue;
    if (!removes) {
      write_id(rtp, element->at, id, block->is_one_byte);
      continue;
    }
    std::ranges::copy(rtp.subspan(element->at, element->size),
                      rtp.begin() + static_cast<std::ptrdiff_t>(kept));
    write_id(rtp, kept, id, block->is_one_byte);
    kept += element->size;
  }
  if (!removes) return rtp.size();
  // Nothing is left: the block goes, and the X bit with it.
  if (kept == block->elements) {
    write_u8(rtp, 0, static_cast<std::uint8_t>(read_u8(rtp, 0) & ~0x10));
    return cut(rtp, block->elements - kBlockHeader, block->end);
  }
  // The block is padded to whole words again (RFC 3550 §5.3.1).
  const std::size_t words = (kept - block->elements + 3) / 4;
  const std::size_t end = block->elements + 4 * words;
  std::ranges::fill(rtp.subspan(kept, end - kept), std::byte{0});
  write_u16(rtp, block->elements - 2, static_cast<std::uint16_t>(words));
  return cut(rtp, end, block->end);
}

std::optional<std::size_t> write_extension(MutableBytes room, std::size_t size, std::uint8_t id,
                                           Bytes value) noexcept {
  if (size > room.size() || size < kRtpFixedHeaderSize || id == 0 || value.size() > kLongestElement)
    return std::nullopt;
  const MutableBytes rtp = room.first(size);
  const bool has_block = (read_u8(rtp, 0) & 0x10) != 0;
  const auto block = has_block ? find_block(rtp) : std::nullopt;
  const std::size_t begin = kRtpFixedHeaderSize + 4u * (read_u8(rtp, 0) & 0x0f);
  if ((has_block && !block) || begin > size) return std::nullopt;
  const bool fits_one_byte =
      id <= kLargestOneByteId && !value.empty() && value.size() <= kLongestOneByteElement;
  const bool is_one_byte = block ? block->is_one_byte : fits_one_byte;
  if (is_one_byte && !fits_one_byte) return std::nullopt;
  // The sizes come first, because a packet without room for the element stays as it is.
  const std::size_t header = is_one_byte ? 1 : 2;
  std::size_t kept = 0;
  const auto for_each = [&](auto visit) {
    if (!block) return;
    for (std::size_t at = block->elements; const auto element = next_element(rtp, *block, at);) {
      if (element->id != id) visit(*element);
    }
  };
  for_each([&](const Element& element) { kept += element.size; });
  const std::size_t words = (kept + header + value.size() + 3) / 4;
  const std::size_t elements = begin + kBlockHeader;
  const std::size_t end = elements + 4 * words;
  const std::size_t old_end = block ? block->end : begin;
  if (words > 0xffff || size - old_end + end > room.size()) return std::nullopt;
  // The elements that stay move together to the front of the block. Then what follows the block moves to its
  // new place.
  std::size_t at = elements;
  for_each([&](const Element& element) {
    std::memmove(&rtp[at], &rtp[element.at], element.size);
    at += element.size;
  });
  if (size > old_end && end != old_end) std::memmove(&room[end], &room[old_end], size - old_end);
  write_u8(room, 0, static_cast<std::uint8_t>(read_u8(room, 0) | 0x10));
  if (!block) write_u16(room, begin, is_one_byte ? 0xbede : 0x1000);
  write_u16(room, begin + 2, static_cast<std::uint16_t>(words));
  const auto length = static_cast<std::uint8_t>(value.size());
  if (is_one_byte) {
    write_u8(room, at, static_cast<std::uint8_t>(id << 4 | (length - 1)));
  } else {
    write_u8(room, at, id);
    write_u8(room, at + 1, length);
  }
  at += header;
  std::ranges::copy(value, room.begin() + static_cast<std::ptrdiff_t>(at));
  at += value.size();
  std::ranges::fill(room.subspan(at, end - at), std::byte{0});
  return size - old_end + end;
}

std::optional<Bytes> find_extension(Bytes rtp, std::uint8_t id) noexcept {
  const auto block = find_block(rtp);
  if (!block) return std::nullopt;
  const std::size_t header = block->is_one_byte ? 1 : 2;
  for (std::size_t at = block->elements; const auto element = next_element(rtp, *block, at);) {
    if (element->id == id) return rtp.subspan(element->at + header, element->size - header);
  }
  return std::nullopt;
}

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
#include "relay/core/udptl/udptl.hpp"

#include <algorithm>

namespace ferry {

namespace {

// Some senders fill UDPTL up to whole words; fewer octets than this may follow the packet.
constexpr std::size_t kMostPadding = 8;

/// Reads a datagram from its front. Each function fails once there is too little left.
class Reader {
 public:
  explicit Reader(Bytes rest) : rest_(rest) {}

  std::optional<std::uint8_t> octet() noexcept {
    if (rest_.empty()) return std::nullopt;
    const std::uint8_t value = read_u8(rest_, 0);
    rest_ = rest_.subspan(1);
    return value;
  }
  bool skip(std::size_t octets) noexcept {
    if (octets > rest_.size()) return false;
    rest_ = rest_.subspan(octets);
    return true;
  }
  [[nodiscard]] Bytes rest() const noexcept { return rest_; }

 private:
  Bytes rest_;
};

/// A length in aligned PER (ITU-T X.691 §11.9): one octet, or two if the first bit is set. The form for
/// 16,384 octets and more is refused, as no fax datagram is that long.
std::optional<std::size_t> per_length(Reader& reader) noexcept {
  const auto first = reader.octet();
  if (!first || (*first & 0x80) == 0) return first;
  const auto second = reader.octet();
  if (!second || (*first & 0x40) != 0) return std::nullopt;
  return static_cast<std::size_t>((*first & 0x3f) << 8 | *second);
}

/// Cuts off a part with its length in front.
std::optional<Bytes> part(Reader& reader) noexcept {
  const auto length = per_length(reader);
  const Bytes rest = reader.rest();
  if (!length || !reader.skip(*length)) return std::nullopt;
  return rest.first(*length);
}

/// Reads a count, and as many parts.
bool read_parts(Reader& reader, UdptlView& view) noexcept {
  const auto count = per_length(reader);
  if (!count) return false;
  const Bytes rest = reader.rest();
  for (std::size_t i = 0; i < *count; ++i)
    if (!part(reader)) return false;
  view.count = *count;
  view.parts = rest.first(rest.size() - reader.rest().size());
  return true;
}

/// Reads the error recovery field: its first bit chooses between earlier packets and parity.
bool read_recovery(Reader& reader, UdptlView& view) noexcept {
  const auto choice = reader.octet();
  if (!choice) return false;
  if (const bool has_parity = (*choice & 0x80) != 0; has_parity) {
    // Parity begins with the number of packets that it covers: an integer of one octet.
    if (reader.octet() != std::uint8_t{1}) return false;
    const auto span = reader.octet();
    if (!span) return false;
    view.recovery = UdptlView::Recovery::kParity;
    view.span = *span;
  }
  return read_parts(reader, view);
}

}  // namespace

std::optional<UdptlView> parse_udptl(Bytes datagram) noexcept {
  if (datagram.size() < 2) return std::nullopt;
  UdptlView view;
  view.sequence = SeqNo{read_u16(datagram, 0)};
  Reader reader(datagram.subspan(2));
  const auto primary = part(reader);
  if (!primary) return std::nullopt;
  view.primary = *primary;
  if (!read_recovery(reader, view)) return std::nullopt;
  const Bytes padding = reader.rest();
  const bool is_zero = std::ranges::all_of(padding, [](std::byte octet) { return octet == std::byte{0}; });
  if (padding.size() >= kMostPadding || !is_zero) return std::nullopt;
  return view;
}

Bytes next_udptl_part(Bytes& parts) noexcept {
  Reader reader(parts);
  const auto found = part(reader);
  parts = found ? reader.rest() : Bytes{};
  return found.value_or(Bytes{});
}

std::size_t write_udptl_length(MutableBytes out, std::size_t octets) noexcept {
  if (octets < 0x80) {
    write_u8(out, 0, static_cast<std::uint8_t>(octets));
    return 1;
  }
  write_u16(out, 0, static_cast<std::uint16_t>(0x8000 | octets));
  return 2;
}

}  // namespace ferry

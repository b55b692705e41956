// RTP header extensions (RFC 8285) on their way from one party to another.
#pragma once

#include "relay/base/bytes.hpp"

#include <cstdint>
#include <vector>

namespace ferry {

/// Says which header extension elements of a source reach one receiver, and under which IDs. Each party has
/// numbers of its own for the URIs that it agreed to (RFC 8285 §6, webrtc EXT-2).
///
/// Control makes it; in a plan it never changes. By default packets stay as they are.
class HeaderExtensionMap {
 public:
  /// One extension that both parties agreed to: its ID (1-255) in packets of the source, and the receiver's.
  struct Entry {
    std::uint8_t from = 0;
    std::uint8_t to = 0;
    bool operator==(const Entry&) const = default;
  };

  HeaderExtensionMap() = default;
  /// Elements of `kept` pass under their new IDs; all others are removed.
  explicit HeaderExtensionMap(std::vector<Entry> kept) : kept_(std::move(kept)), rewrites_(true) {}

  /// False: every packet stays as it is.
  [[nodiscard]] bool rewrites() const noexcept { return rewrites_; }

  /// Whether `apply` would change this packet. `rtp` is a whole valid packet.
  [[nodiscard]] bool changes(Bytes rtp) const noexcept;

  /// Rewrites the elements of the one-byte and two-byte forms in place (RFC 8285 §4.2, §4.3) and gives the
  /// new size of the packet, which is never larger. A removed element leaves nothing behind: the block
  /// becomes shorter, and without elements it goes away with the X bit. What RFC 8285 lets a receiver ignore
  /// is removed too: all that follows ID 15 or a broken element. Blocks of other forms belong to profiles and
  /// stay. An ID above 14 does not fit into the one-byte form: such an element is removed from it. `rtp` is a
  /// whole valid packet, before encryption.
  [[nodiscard]] std::size_t apply(MutableBytes rtp) const noexcept;

  bool operator==(const HeaderExtensionMap&) const = default;

 private:
  /// The receiver's ID; 0 = the element is removed.
  [[nodiscard]] std::uint8_t id_for(unsigned id, bool is_one_byte) const noexcept;

  std::vector<Entry> kept_;
  bool rewrites_ = false;
};

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// Translates RTP header extensions (RFC 8285) on their way from one party to another.
#pragma once

#include "relay/base/bytes.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace ferry {

/// Says which header extension elements of a source reach one receiver, and under which IDs. Each party
/// numbers the URIs that it agreed to in its own way (RFC 8285 §6, EXT-2).
///
/// Control makes it, and within a plan it never changes. The default leaves packets as they are.
class HeaderExtensionMap {
 public:
  /// One extension that both parties agreed to. IDs are 1 to 255.
  struct Entry {
    /// Its ID in packets of the source.
    std::uint8_t from = 0;
    /// Its ID for the receiver.
    std::uint8_t to = 0;
    bool operator==(const Entry&) const = default;
  };

  HeaderExtensionMap() = default;
  /// Elements in `kept` pass under their new IDs; all others are removed.
  explicit HeaderExtensionMap(std::vector<Entry> kept) : kept_(std::move(kept)), rewrites_(true) {}

  /// False if every packet stays as it is.
  [[nodiscard]] bool rewrites() const noexcept { return rewrites_; }

  /// True if `apply` would change this packet. `rtp` is a whole valid packet.
  [[nodiscard]] bool changes(Bytes rtp) const noexcept;

  /// Rewrites the elements of the one-byte and the two-byte form in place (RFC 8285 §4.2, §4.3) and returns
  /// the new size of the packet, which is never larger.
  ///
  /// `rtp` is a whole valid packet before encryption. A removed element leaves no gap: the block becomes
  /// shorter, and a block without elements disappears together with the X bit. An element whose new ID is
  /// above 14 does not fit the one-byte form and is removed. So is everything behind ID 15 or a broken
  /// element, which RFC 8285 lets a receiver ignore. Blocks of other forms belong to RTP profiles and stay.
  [[nodiscard]] std::size_t apply(MutableBytes rtp) const noexcept;

  bool operator==(const HeaderExtensionMap&) const = default;

 private:
  /// The receiver's ID; 0 if the element is removed.
  [[nodiscard]] std::uint8_t id_for(unsigned id, bool is_one_byte) const noexcept;

  std::vector<Entry> kept_;
  bool rewrites_ = false;
};

/// The contents of the first header extension element with this ID (RFC 8285), borrowed from `rtp`; nothing
/// if there is none. `rtp` need not be valid, and may be encrypted as SRTP.
[[nodiscard]] std::optional<Bytes> find_extension(Bytes rtp, std::uint8_t id) noexcept;

/// Writes a header extension element into a packet before encryption, in place (RFC 8285 §4.2, §4.3).
///
/// An element with this ID is replaced, and another one is added behind those that are there. A packet
/// without a block gets one, in the one-byte form if the element fits that.
///
/// `room`    begins with the whole valid packet of `size` octets; the packet may grow to its end.
/// `id`      1 to 255.
/// Returns   the new size. Nothing if the element does not fit into the room or the form of the packet's
///           block, or if the block belongs to an RTP profile. The packet has not changed then.
[[nodiscard]] std::optional<std::size_t> write_extension(MutableBytes room, std::size_t size, std::uint8_t id,
                                                         Bytes value) noexcept;

}  // namespace ferry

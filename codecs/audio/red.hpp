// SPDX-License-Identifier: Apache-2.0
// Redundant audio (RED, RFC 2198): payloads of earlier packets of any codec travel again with the newest one.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ferry {

/// One payload inside a RED payload.
struct RedBlock {
  PayloadType type{};
  /// How much earlier than the packet's timestamp it was, in units of the clock; 0 for the newest one.
  std::uint32_t age = 0;
  /// Borrowed from the whole payload; may be empty.
  Bytes payload;
};

/// All payloads of one RED payload, in its order: the oldest first as a rule, the newest always last.
struct RedBlocks {
  /// More are not believed.
  static constexpr std::size_t kMost = 16;
  std::array<RedBlock, kMost> blocks;
  std::size_t count = 0;

  [[nodiscard]] std::span<const RedBlock> all() const { return std::span(blocks).first(count); }
  /// What the packet itself is about.
  [[nodiscard]] const RedBlock& newest() const { return blocks[count - 1]; }
};

/// Takes a RED payload apart. Nothing if it is damaged: a header that is cut off, or lengths beyond the end.
[[nodiscard]] std::optional<RedBlocks> red_blocks(Bytes payload);

/// Makes the RED payloads of one stream. For one thread; allocates only when it is made.
class RedWriter {
 public:
  /// The format has ten bits for the length of an earlier payload, and fourteen for its age.
  static constexpr std::size_t kLongestEarlier = 1023;
  static constexpr std::uint32_t kOldest = 16'383;

  /// `generations`: how many earlier payloads travel again, at most `RedBlocks::kMost` - 1.
  explicit RedWriter(std::size_t generations);
  /// Octets of the payload that `write` makes of one with so many, if there is no bound.
  [[nodiscard]] std::size_t octets_for(std::size_t octets) const noexcept;
  /// Writes `payload` and those of the packets before it into `out`, and remembers it. `timestamp` is that of
  /// its packet. Earlier ones are left out, oldest first, where `out` has no room for them, and where they do
  /// not fit the format. Returns how many octets were written; 0 if `out` has no room for `payload` with its
  /// header.
  std::size_t write(PayloadType type, std::uint32_t timestamp, Bytes payload, MutableBytes out);
  /// Forgets what was sent: nothing of it travels again.
  void restart() noexcept { count_ = 0; }

 private:
  struct Sent {
    PayloadType type{};
    std::uint32_t timestamp = 0;
    std::size_t size = 0;
    std::vector<std::byte> payload;
  };
  /// The n-th last packet, from 1.
  [[nodiscard]] const Sent& last(std::size_t n) const {
    return sent_[(next_ + sent_.size() - n) % sent_.size()];
  }
  void remember(PayloadType type, std::uint32_t timestamp, Bytes payload);
  /// A ring of the packets that may travel again.
  std::vector<Sent> sent_;
  std::size_t next_ = 0;
  std::size_t count_ = 0;
};

}  // namespace ferry

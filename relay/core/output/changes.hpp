// What is changed in a packet that is passed on, for one receiver.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/output/output.hpp"

#include <cstddef>

namespace ferry {

/// True if media for this sink leaves as it came, but for payloads that are overwritten with a fixed silence,
/// which the kernel can do, too. `output` is that of the receiver; null: it makes nothing. A prompt does not
/// count: it ends soon, and the receiver is left out meanwhile.
[[nodiscard]] inline bool is_plain(const Sink& sink, const Output* output) noexcept {
  return sink.ptime_ms == 0 && !sink.extensions.rewrites() && (output == nullptr || !output->makes_media());
}

/// The changes that one packet needs on its way to one sink. They put silence in place of the payload,
/// replace header extensions (RFC 8285), or cut RTCP feedback that the receiver's profile lacks (RFC 4585).
class PacketChanges {
 public:
  /// `packet` is a whole valid plain packet; `payload` is its entry, or null if it has none or it does not
  /// matter. `is_rtp`: it is RTP, and no other protocol that is passed whole.
  PacketChanges(const Sink& sink, Bytes packet, const PayloadEntry* payload, bool is_rtcp,
                bool is_rtp) noexcept;

  [[nodiscard]] bool any() const noexcept { return silences_ || rewrites_ || cuts_; }
  /// Makes the changes in place and returns the new size, which is never larger; 0 if nothing is left.
  [[nodiscard]] std::size_t apply(MutableBytes packet) const noexcept;

 private:
  const Sink& sink_;
  std::uint8_t silence_ = 0;
  bool silences_ = false;
  bool rewrites_ = false;
  bool cuts_ = false;
};

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// What is changed in a packet that is passed on, for one receiver.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/forward/streams.hpp"
#include "relay/core/output/output.hpp"

#include <cstddef>

namespace ferry {

/// True if RTP of the stream `ssrc` has to carry the MID of this sink, because the receiver has not reported
/// about the stream yet (BND-22). `receiver` has the streams that leave for the receiver.
[[nodiscard]] inline bool writes_mid(const Sink& sink, const Streams& receiver, Ssrc ssrc) noexcept {
  return sink.mid_extension != 0 && sink.mid && !receiver.is_reported(sink.to, ssrc);
}
/// The longest datagram that a MID is written into: the UDP payload of a full Ethernet frame. A larger one
/// would be fragmented, or lost.
constexpr std::size_t kLongestWithMid = 1472;
/// Writes a MID into an RTP packet of `size` octets at the start of `room`, as the header extension `id`.
/// Returns the new size; the packet stays as it is if there is no room, or if the datagram would become
/// longer than `kLongestWithMid`. `keys` protect the packet afterwards; null: it stays plain.
[[nodiscard]] std::size_t write_mid(std::uint8_t id, const std::string& mid, MutableBytes room,
                                    std::size_t size, const SrtpPlan* keys) noexcept;

/// True if the relay makes packets of its own for this sink from those of its source.
[[nodiscard]] inline bool is_remade(const Sink& sink) noexcept {
  return sink.ptime_ms != 0 || sink.conversion != nullptr;
}

/// How a stream leaves for a sink, as far as the kernel can do that.
struct PlainPassing {
  /// False: its packets have to be made, or looked at one by one.
  bool is_plain = false;
  /// The numbers by which they leave; null: they keep their own. Borrowed from the output.
  const StreamShift* shift = nullptr;
};
/// Says whether media of the stream `ssrc` of `source` leaves for this sink as it came, but for payloads that
/// are overwritten with a fixed silence, and for numbers that are shifted: the kernel can do both.
///
/// `output`    that of the receiver; null: it makes nothing. A prompt does not count: it ends soon, and the
///             receiver is left out meanwhile.
/// `receiver`  has the streams that leave for the receiver.
[[nodiscard]] inline PlainPassing plain_passing(const Sink& sink, const Output* output,
                                                const Streams& receiver, MediaId source, Ssrc ssrc) noexcept {
  if (is_remade(sink) || sink.renumbering || sink.extensions.rewrites()) return {};
  const bool is_shifted = output != nullptr && output->makes_media();
  const StreamShift* shift = is_shifted ? output->settled_shift(source.value, ssrc) : nullptr;
  if (is_shifted && shift == nullptr) return {};
  return {!writes_mid(sink, receiver, shift != nullptr ? shift->ssrc : ssrc), shift};
}

/// The changes that one packet needs on its way to one sink. They put silence in place of the payload, give
/// it the receiver's number of its payload type, replace header extensions (RFC 8285), or cut RTCP feedback
/// that the receiver did not agree to (RFC 4585).
class PacketChanges {
 public:
  /// True if this sink can need changes in such packets at all. Cheap, because it is asked for every packet.
  [[nodiscard]] static bool are_possible(const Sink& sink, bool is_rtcp) noexcept {
    return is_rtcp ? !sink.takes_feedback || sink.full_intra != FullIntra::kPass
                   : sink.silenced || sink.renumbering != nullptr || sink.extensions.rewrites();
  }
  /// `packet` is a whole valid plain packet; `payload` is its entry, or null if it has none or it does not
  /// matter. `is_rtp`: it is RTP, and no other protocol that is passed whole.
  PacketChanges(const Sink& sink, Bytes packet, const PayloadEntry* payload, bool is_rtcp,
                bool is_rtp) noexcept;

  [[nodiscard]] bool any() const noexcept {
    return silences_ || renumbers_ || rewrites_ || cuts_ || replaces_;
  }
  /// Makes the changes in place and returns the new size, which is never larger; 0 if nothing is left.
  [[nodiscard]] std::size_t apply(MutableBytes packet) const noexcept;

 private:
  const Sink& sink_;
  std::uint8_t silence_ = 0;
  bool silences_ = false;
  bool renumbers_ = false;
  bool rewrites_ = false;
  bool cuts_ = false;
  bool replaces_ = false;
};

/// Writes the numbers by which an RTP packet goes on in the relay's stream. `rtp` holds at least a header.
void write_passage(const Passage& passage, MutableBytes rtp) noexcept;

/// Replaces the full intra requests of a valid compound as the plan of its receiver says. Returns the new
/// size; 0 if nothing is left.
[[nodiscard]] std::size_t replace_full_intra(FullIntra policy, MutableBytes compound) noexcept;

}  // namespace ferry

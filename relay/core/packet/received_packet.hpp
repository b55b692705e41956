// SPDX-License-Identifier: Apache-2.0
// A received datagram, and what is known of it.
#pragma once

#include "relay/core/classify.hpp"
#include "relay/core/forward/component.hpp"
#include "relay/core/rtp/rtp.hpp"
#include "relay/core/srtp/srtp_context.hpp"

#include <optional>

namespace ferry {

struct PayloadEntry;

/// A received datagram on its way through the relay. Each fact is found out once, where the way begins or
/// where it is first needed, and carried along from there.
///
/// The octets are borrowed: they belong to a buffer of the engine, which lives as long as this object is
/// used. Once the buffer goes on to a receiver, `datagram` and `rtp` must not be used any more; the other
/// members stay good.
struct ReceivedPacket {
  /// A datagram that came to the port `to` from the address `source`, and is taken in at `now`.
  ReceivedPacket(LocalPort to, const Endpoint& source, MutableBytes octets, Instant now) noexcept
      : port(to), from(source), datagram(octets), kind(classify(octets)), at(now) {}

  /// The port that it came to.
  LocalPort port;
  /// The address that it came from.
  Endpoint from;
  /// The whole UDP payload. `Transport::unprotect` decrypts it in place and makes it shorter.
  MutableBytes datagram;
  /// Its protocol by the first octets. They are the same in SRTP and RTP, so decrypting does not change it.
  DatagramClass kind;
  /// When the worker took it in.
  Instant at;
  /// True if it may have come long before `at`, because nobody received for a while (C-13).
  bool has_waited = false;
  /// The key and index that it came with, if it came as SRTP or SRTCP and was opened.
  SrtpOrigin origin;
  /// The RTP packet, once `Transport::on_datagram` has parsed it; nothing for other protocols.
  std::optional<RtpView> rtp;
  /// The entry of its payload type in the plan that accepted it; null if it has none.
  const PayloadEntry* payload = nullptr;

  /// The component that it came to. With rtcp-mux that of RTCP is kRtp too.
  [[nodiscard]] Component component() const noexcept { return port.component; }
  /// True if it begins with the fixed header of RTP, whatever follows.
  [[nodiscard]] bool has_rtp_header() const noexcept {
    return kind == DatagramClass::kRtp && datagram.size() >= kRtpFixedHeaderSize;
  }
};

}  // namespace ferry

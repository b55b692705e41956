// SPDX-License-Identifier: Apache-2.0
// What becomes of a received datagram.
#pragma once

#include "relay/core/forward/drop_reason.hpp"

#include <cstdint>

namespace ferry {

/// Verdict on a received datagram: what the worker has to do with it.
struct Verdict {
  /// What to do:
  /// - kForward: send it to the sinks.
  /// - kHold: hold it, because its source or SSRC is not confirmed yet.
  /// - kRelease: the source or SSRC was just confirmed; judge the held packet, then this one again.
  /// - kKeep: keep it for the answer, as nobody may hear it yet; nothing was counted (LAT-14).
  /// - kDrop: it was dropped and counted.
  enum class Kind : std::uint8_t { kForward, kHold, kRelease, kKeep, kDrop };
  Kind kind = Kind::kDrop;
  /// Reason of kDrop and kKeep.
  DropReason reason = DropReason::kNone;
  /// Place of the held packet, for kHold and kRelease.
  std::uint8_t slot = 0;
  /// kForward: index in `plan().sources`.
  std::uint8_t source = 0;
  /// kForward: true for RTCP.
  bool is_rtcp = false;
  /// kForward: false if no SDP has the payload type of the packet (DMX-4).
  bool is_negotiated = true;
  /// kForward: true if this packet confirms that its sender began its sequence anew (SSR-4).
  bool restarts = false;
};

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// Copies of what parties send, to addresses that a command names (`start forwarding`, command `C` of
// rtpproxy).
#pragma once

#include "control/call/call.hpp"
#include "control/call/totals.hpp"
#include "control/session/services.hpp"

#include <vector>

namespace ferry {

/// True for a party that the relay made itself to send copies.
[[nodiscard]] bool is_forward(const Leg& leg);

/// Starts and ends copies on behalf of one command. Holds no state; construct it where it is needed. Control
/// thread only.
class Forwarding {
 public:
  explicit Forwarding(const Services& services) : services_(services) {}

  /// Refuses an address that media may not be sent to (LAT-11a). `local` is where it would leave from; null =
  /// nowhere.
  Result<void, RequestError> check(const Endpoint& to, const LocalAddress* local);
  /// Makes a party of our own that sends copies of what `sources` send, on consecutive pairs of ports from
  /// `to` on. The caller syncs the plans. Borrowed from the call.
  Result<Leg*, RequestError> start(Call& call, const std::vector<Media*>& sources, const Endpoint& to,
                                   const Clock& clock);
  /// Ends the copies of what `party` sends, or of what anybody sends (null). False if there were none.
  bool stop(Call& call, const Leg* party, const Clock& clock);

 private:
  const Services& services_;
};

}  // namespace ferry

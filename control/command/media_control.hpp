// SPDX-License-Identifier: Apache-2.0
// Commands on the media of a running call: block, silence, forwarding (docs/reference/ng.md#blocking).
#pragma once

#include "control/call/call.hpp"
#include "control/call/totals.hpp"
#include "control/session/services.hpp"

#include <string>
#include <vector>

namespace ferry {

/// The mark that a command sets or clears.
enum class MediaMark : std::uint8_t { kBlock, kSilence };

/// Carries out one command. It changes the call and its plans, or nothing. Control thread only.
class MediaControl {
 public:
  MediaControl(const Services& services, const Request& request, const Clock& clock)
      : services_(services), request_(request), clock_(clock) {}

  /// Sets or clears a mark of the call, of a party or of one flow.
  Result<void, RequestError> mark(MediaMark what, bool on);
  /// Sends copies of what the parties send to an address (key `output-destination`). The call itself does not
  /// change.
  Result<void, RequestError> start_forwarding();
  Result<void, RequestError> stop_forwarding();

 private:
  /// The party that the request names, or null for the whole call (docs/reference/ng.md#party-selection).
  Result<Leg*, RequestError> select(Call& call, bool tag_needs_directional);
  /// Sets or clears the mark of the flows from `from` to the parties that the request names.
  Result<void, RequestError> mark_flows(Call& call, Leg& from, MediaMark what, bool on);
  /// Clears the mark of every flow of `from`, or of the whole call (null).
  static void clear_flows(Call& call, const Leg* from, MediaMark what);
  /// Syncs the plans after a change.
  void done(Call& call);

  const Services& services_;
  const Request& request_;
  Clock clock_;
};

/// The call that a request names.
Result<Call*, RequestError> find_call(const Services& services, const Request& request);
/// The party that `label`, `address` or `from-tag` name, in this order. Null if none of them is given.
Result<Leg*, RequestError> select_party(Call& call, const Request& request, bool use_from_tag);

}  // namespace ferry

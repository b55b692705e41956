// Commands on the media of a running call: block, silence, DTMF, forwarding (NG reference, section 16).
#pragma once

#include "control/session/manager.hpp"

#include <string>
#include <vector>

namespace ferry {

/// Which mark a command sets or clears.
enum class MediaMark : std::uint8_t { kBlock, kSilence, kBlockEvents };

/// Lives for one command. Control thread only; changes the call and its plans, or nothing.
class MediaControl {
 public:
  MediaControl(SessionManager& manager, const Request& request, const Clock& clock)
      : manager_(manager), request_(request), clock_(clock) {}

  Result<Dict, RequestError> mark(MediaMark what, bool on);
  /// Copies what the parties send to an address, without changing it (`output-destination`).
  Result<Dict, RequestError> start_forwarding();
  Result<Dict, RequestError> stop_forwarding();

 private:
  Result<Call*, RequestError> find_call();
  /// The party that the request names, or nullptr for the whole call (NG section 6, "party selection").
  Result<Leg*, RequestError> select(Call& call, bool tag_needs_directional);
  Result<void, RequestError> mark_flows(Call& call, Leg& from, MediaMark what, bool on);
  /// Clears the mark of every flow of `from`; null = of the whole call.
  static void clear_flows(Call& call, const Leg* from, MediaMark what);
  void done(Call& call);

  SessionManager& manager_;
  const Request& request_;
  Clock clock_;
};

/// The party that `label`, `address` or `from-tag` name, in this order; nullptr if none of them is given.
Result<Leg*, RequestError> select_party(Call& call, const Request& request, bool use_from_tag);

/// A party of our own that `start forwarding` made.
[[nodiscard]] bool is_forward(const Leg& leg);

}  // namespace ferry

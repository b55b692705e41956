// SPDX-License-Identifier: Apache-2.0
// Beginning and end of calls, and the time at which a call is over by itself.
#pragma once

#include "control/call/session_config.hpp"
#include "control/session/call_register.hpp"
#include "control/session/media_plane.hpp"
#include "control/session/observer.hpp"
#include "control/session/pauses.hpp"
#include "control/session/ports_desk.hpp"
#include "control/session/worker_events.hpp"

#include <functional>
#include <queue>
#include <string>
#include <vector>

namespace ferry {

/// Begins and ends calls. A queue holds when each call is looked at again, so that a sweep passes only those
/// that may be over. Control thread only. Borrows everything.
class Lifetime {
 public:
  Lifetime(const SessionConfig& config, MediaPlane& plane, CallRegister& calls, PortsDesk& ports,
           WorkerEvents& events, const CallObservers& observers)
      : config_(config),
        plane_(plane),
        calls_(calls),
        ports_(ports),
        events_(events),
        observers_(observers) {}

  /// Makes a call without parties, on the worker with the fewest transports. `id` must not be taken. Throws
  /// if an observer has no memory for it; the call is gone then.
  Call& create(const std::string& id, const Clock& clock);
  /// Ends the call: tells the observers, closes its ports, and forgets it.
  void end(Call& call, EndReason reason, const Clock& clock);
  /// Closes the ports of one party. With `keep_counts` their counts stay in `MediaExtras::last`, because the
  /// call goes on.
  void end_leg(Call& call, Leg& leg, bool keep_counts = true);
  /// Closes the ports of the media.
  void close_media(Call& call, Media& media) { ports_.close_all(call, *media.via); }
  /// Waits until the workers have done everything they were told, then closes the ports that are not used any
  /// more (LAT-13).
  void settle(Instant now);
  /// Destroys the call; its ports must be closed.
  void forget(Call& call);

  /// When the call is over if nothing more comes, and why. The time lies in the future while the call is
  /// alive.
  [[nodiscard]] Due due(const Call& call) const;
  /// When the sweep must look at the call: it may be over, or an offer may have waited too long.
  [[nodiscard]] Instant next_look(const Call& call) const;
  /// Has the call looked at again at `at`, and within a minute in any case.
  void schedule(Call& call, Instant at, Instant now);
  /// Has the call looked at as soon as it may be over, if that is earlier than what was planned.
  void schedule_next(Call& call, Instant now);
  /// The next call that must be looked at now. Null if there is none. It leaves the queue, so the caller
  /// schedules it again.
  Call* next_due(Instant now);

  /// Notes a pause of the process: it was no silence of any party (C-13).
  void after_pause(Instant began, Instant now) { pauses_.add(began, now); }
  [[nodiscard]] const Pauses& pauses() const { return pauses_; }

 private:
  /// An entry of the queue. A call may have several; only the serial number is kept, so the call may be gone.
  struct Expiry {
    Instant at;
    std::uint64_t serial;
    bool operator>(const Expiry& other) const { return at > other.at; }
  };
  /// `due` as the media of an NG call has it, without deletion and final time-out.
  [[nodiscard]] Due media_due(const Call& call) const;

  const SessionConfig& config_;
  MediaPlane& plane_;
  CallRegister& calls_;
  PortsDesk& ports_;
  WorkerEvents& events_;
  const CallObservers& observers_;
  Pauses pauses_;
  std::priority_queue<Expiry, std::vector<Expiry>, std::greater<>> expiries_;
};

}  // namespace ferry

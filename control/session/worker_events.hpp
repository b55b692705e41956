// SPDX-License-Identifier: Apache-2.0
// What the workers notice about media, passed on to the observers.
#pragma once

#include "control/session/media_plane.hpp"
#include "control/session/observer.hpp"

namespace ferry {

/// Hands events of the workers to the observers. Control thread only. Borrows.
class WorkerEvents {
 public:
  WorkerEvents(MediaPlane& plane, const CallObservers& observers) : plane_(plane), observers_(observers) {}

  /// Takes the events of all workers and tells the observers of them.
  void pass();
  /// Reports key presses that are open on these ports as ended, before the ports close. Waits for the worker.
  void end_presses(const Call& call, const LocalPorts& ports);
  /// The same for all ports of the call.
  void end_presses(const Call& call);

 private:
  MediaPlane& plane_;
  const CallObservers& observers_;
};

}  // namespace ferry

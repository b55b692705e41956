// SPDX-License-Identifier: Apache-2.0
// What the daemon tells the service manager that started it (sd_notify(3)): systemd shows it in
// `systemctl status`, and with Type=notify it starts what depends on the relay only when calls may come.
#pragma once

#include "relay/base/types.hpp"

#include <cstddef>

namespace ferry {

/// Reports the daemon's state. Does nothing if no service manager asked for it by `NOTIFY_SOCKET`. Errors are
/// passed over: a relay without a service manager relays as well. Control thread only.
///
/// There is no keep-alive (WatchdogSec=): after a host was paused, systemd would end a relay that is sound,
/// and all its calls with it (C-13).
class ServiceManager {
 public:
  /// The listeners are open and new calls are taken.
  void serving() const;
  /// The configuration is read again. `now` is monotonic, as systemd wants it. `serving` or `draining` ends
  /// it.
  void reloading(Instant now) const;
  /// So many calls go on, and no new ones are taken.
  void draining(std::size_t calls) const;
  /// The daemon ends, and so many calls with it.
  void stopping(std::size_t calls) const;
};

}  // namespace ferry

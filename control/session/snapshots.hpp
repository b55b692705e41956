// State of all transports of one call, read from its worker. Internal to the session library.
#pragma once

#include "control/session/manager.hpp"

#include <deque>

namespace ferry {

/// By media, not by port: what was read stays valid when the ports are closed.
struct SessionManager::Snapshots {
  struct Entry {
    Entry(MediaId m, bool a, TransportSnapshot s) : media(m), active(a), snapshot(std::move(s)) {}
    MediaId media;
    bool active = false;
    TransportSnapshot snapshot;
  };
  std::deque<Entry> entries;  // addresses must not move while the worker fills them in
};

}  // namespace ferry

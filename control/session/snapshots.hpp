// State of all transports of one call, read from its worker. Internal to the session library.
#pragma once

#include "control/diagnose/media_view.hpp"
#include "control/session/manager.hpp"

#include <deque>

namespace ferry {

/// By media, not by port: what was read stays valid when the ports are closed.
struct SessionManager::Snapshots {
  struct Entry {
    Entry(MediaId m, bool a, const Endpoint& l) : media(m), active(a), local(l) {}
    MediaId media;
    bool active = false;
    Endpoint local;  // its RTP port; unset if it is closed
    TransportSnapshot snapshot;
  };
  std::deque<Entry> entries;  // addresses must not move while the worker fills them in

  /// Borrows from here.
  [[nodiscard]] MediaView view_of(MediaId media) const {
    MediaView view;
    for (const Entry& entry : entries) {
      if (entry.media == media) view.add(media, entry.snapshot, entry.active, entry.local);
    }
    return view;
  }
};

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// The state of all transports of one call, read from its worker.
#pragma once

#include "control/call/call.hpp"
#include "control/diagnose/media_view.hpp"
#include "control/session/media_plane.hpp"

#include <algorithm>
#include <list>
#include <vector>

namespace ferry {

/// The medias that one transport carries. Nearly always there is one, which needs no memory of its own.
class CarriedMedias {
 public:
  CarriedMedias() = default;
  explicit CarriedMedias(MediaId only) { add(only); }
  void add(MediaId media) {
    if (is_empty_)
      first_ = media;
    else
      more_.push_back(media);
    is_empty_ = false;
  }
  [[nodiscard]] bool contain(MediaId media) const {
    return !is_empty_ && (first_ == media || std::ranges::find(more_, media) != more_.end());
  }

 private:
  bool is_empty_ = true;
  MediaId first_;
  std::vector<MediaId> more_;
};

/// Snapshots by media, not by port: they stay valid when the ports are closed.
struct CallSnapshots {
  /// The state of one transport, for each of the medias that it carries.
  struct Entry {
    Entry(CarriedMedias m, bool a, const Endpoint& l) : medias(std::move(m)), active(a), local(l) {}
    [[nodiscard]] bool carries(MediaId media) const { return medias.contain(media); }
    /// The medias that the transport carries.
    CarriedMedias medias;
    /// True for the ports that packets use now.
    bool active = false;
    /// Its RTP port. Unset if it is closed.
    Endpoint local;
    TransportSnapshot snapshot;
  };
  /// A list, because the worker writes into elements, which must not move. Entries are large, and an empty
  /// list takes no memory.
  std::list<Entry> entries;

  /// Adds what closed ports of `media` had counted.
  void add_last_of(const Media& media) {
    if (!media.extras) return;
    for (const auto& last : media.extras->last)
      entries.emplace_back(CarriedMedias(media.id), false, Endpoint{}).snapshot = *last;
  }

  /// What is known of one media, over all its ports. Borrows from this object.
  [[nodiscard]] MediaView view_of(MediaId media) const {
    MediaView view;
    for (const Entry& entry : entries) {
      if (entry.carries(media)) view.add(media, entry.snapshot, entry.active, entry.local);
    }
    return view;
  }
};

/// Asks the workers what they know. Control thread only. Borrows the plane.
class SnapshotReader {
 public:
  explicit SnapshotReader(MediaPlane& plane) : plane_(plane) {}
  /// Reads the state of every transport of the call now.
  CallSnapshots read(const Call& call);
  /// Begins to read it: `snapshots` is complete after the next fence, and must not move until then.
  void post(const Call& call, CallSnapshots& snapshots);
  /// Reads the state of one transport. Empty if its worker does not know it.
  [[nodiscard]] TransportSnapshot read_one(const Call& call, const LocalPorts& ports);

 private:
  MediaPlane& plane_;
};

}  // namespace ferry

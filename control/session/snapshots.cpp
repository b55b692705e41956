// SPDX-License-Identifier: Apache-2.0
#include "control/session/snapshots.hpp"

namespace ferry {

void SnapshotReader::post(const Call& call, CallSnapshots& snapshots) {
  for (const auto& leg : call.legs) {
    for (MediaTransport& transport : leg->transports) {
      CarriedMedias carried;
      transport.each_media([&](const Media& media) { carried.add(media.id); });
      for (const LocalPorts& ports : transport.ports) {
        if (ports.closed || !ports.plan) continue;
        auto& entry = snapshots.entries.emplace_back(carried, &ports == transport.used_ports(),
                                                     Endpoint{ports.local->address, ports.port});
        plane_.post(call.worker, ReadTransport{ports.transport, &entry.snapshot}, true);
      }
    }
    for (const auto& media : leg->medias) snapshots.add_last_of(*media);
  }
}

CallSnapshots SnapshotReader::read(const Call& call) {
  CallSnapshots snapshots;
  const FenceAtEnd fence(plane_);
  post(call, snapshots);
  plane_.fence();
  return snapshots;
}

TransportSnapshot SnapshotReader::read_one(const Call& call, const LocalPorts& ports) {
  TransportSnapshot snapshot;
  if (ports.closed || !ports.plan) return snapshot;
  plane_.post(call.worker, ReadTransport{ports.transport, &snapshot}, true);
  plane_.fence();
  return snapshot;
}

}  // namespace ferry

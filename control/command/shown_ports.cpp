// SPDX-License-Identifier: Apache-2.0
#include "control/command/shown_ports.hpp"

#include "control/call/media_dtls.hpp"
#include "control/session/snapshots.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace ferry {

void show_dtls_at_ports(const Services& services, Call& call, MediaTransport& transport) {
  LocalPorts* ports = transport.active_ports();
  if (ports == nullptr) return;
  MediaDtls& dtls = *transport.dtls;
  const MediaDtls::Agreed former = dtls.agreed;
  show_at(dtls, {ports->local->address, ports->port});
  if (!dtls.in_use || former.at == dtls.shown_at || ports->plan) return;
  const auto left = std::ranges::find_if(transport.ports, [&](const LocalPorts& each) {
    return Endpoint{each.local->address, each.port} == former.at;
  });
  if (left == transport.ports.end()) return;
  auto handed_on = std::make_shared<TransportSnapshot>();
  handed_on->dtls = services.snapshots.read_one(call, *left).dtls;
  if (!handed_on->dtls) return;
  handed_on->only_keys = true;
  for (auto& handshake : *handed_on->dtls) handshake.association = former.association;
  ports->restored = std::move(handed_on);
}

}  // namespace ferry

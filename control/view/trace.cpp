// SPDX-License-Identifier: Apache-2.0
// Two threads meet here: the worker calls `on_judged` and fills the ring, control empties it in `poll`. Names
// of ports are control's alone, so packets carry the name of their transport only.
#include "control/view/trace.hpp"

#include "control/session/call_register.hpp"
#include "control/session/media_plane.hpp"

#include <algorithm>

namespace ferry {

Trace::~Trace() {
  services_.taps.detach(tap_);
  services_.plane.fence();
}

void Trace::on_judged(const TapPacket& packet, DropReason reason) noexcept {
  TracedPacket traced;
  traced.transport = packet.transport;
  traced.at = packet.received_at;
  traced.from = packet.from;
  traced.size = static_cast<std::uint32_t>(packet.size);
  traced.kept = static_cast<std::uint8_t>(std::min(packet.datagram.size(), traced.start.size()));
  std::copy_n(packet.datagram.begin(), traced.kept, traced.start.begin());
  traced.reason = reason;
  traced.port = packet.port;
  traced.is_rtcp = packet.is_rtcp;
  if (!ring_.push(std::move(traced))) lost_.fetch_add(1, std::memory_order_relaxed);
}

void Trace::attach(Call& call) {
  tap_ = services_.taps.attach(
      call,
      {.tap = this,
       .hears = [](const MediaTransport&, const LocalPorts&) { return true; },
       .on_attached =
           [this](const MediaTransport& transport, const LocalPorts& ports) {
             // The name may have been another transport's, at another worker.
             std::erase_if(named_, [&](const Named& n) { return n.transport == ports.transport; });
             for (const Media* media : transport.medias()) {
               named_.push_back(
                   {ports.transport, transport.leg->tag, media->index, {ports.local->address, ports.port}});
             }
           }});
  services_.plane.fence();
}

bool Trace::poll(const std::function<void(const Seen&)>& visit) {
  Call* call = services_.calls.find(call_id_);
  // The tap follows its call. There is none at the first poll, and none if another call has the id now.
  if (call != nullptr && !services_.taps.is_there(tap_)) attach(*call);
  for (TracedPacket packet; ring_.pop(packet);) {
    const auto known = std::ranges::find(named_, packet.transport, &Named::transport);
    if (known != named_.end()) visit({packet, known->leg, known->media, known->local});
  }
  return call != nullptr;
}

}  // namespace ferry

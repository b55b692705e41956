#include "control/session/trace.hpp"

#include <algorithm>

namespace ferry {

Trace::~Trace() { detach(); }

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

void Trace::follow(const Call& call) {
  if (!attached_.empty() && worker_ != call.worker) detach();  // it moved
  worker_ = call.worker;
  bool any = false;
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      for (const PortSet& ports : media->ports) {
        const bool known =
            std::ranges::find(attached_, ports.transport, &Attached::transport) != attached_.end();
        if (ports.closed || !ports.plan || known) continue;
        attached_.push_back({ports.transport, leg->tag, media->index, {ports.local->address, ports.port}});
        manager_.plane().post(worker_, AttachTap{ports.transport, this}, false);
        any = true;
      }
    }
  }
  if (any) manager_.plane().fence();
}

void Trace::detach() {
  for (const Attached& each : attached_)
    manager_.plane().post(worker_, DetachTap{each.transport, this}, true);
  attached_.clear();
  manager_.plane().fence();
}

bool Trace::poll(const std::function<void(const Seen&)>& visit) {
  const Call* call = manager_.find(call_id_);
  if (call != nullptr) follow(*call);
  for (TracedPacket packet; ring_.pop(packet);) {
    const auto known = std::ranges::find(attached_, packet.transport, &Attached::transport);
    if (known != attached_.end()) visit({packet, known->leg, known->media, known->local});
  }
  return call != nullptr;
}

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// A tap keeps the list of transports that it hears. `follow` compares it with what the tap wants and tells
// the worker the difference, after every change of the plans; a closing port leaves the list by itself.
#include "control/session/taps.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

TapId Taps::attach(Call& call, TapOrder order) {
  const TapId id{next_++};
  OfCall& taps = calls_[call.serial];
  taps.call = &call;
  call_of_[id.value] = call.serial;
  taps.taps.push_back({id, std::move(order), {}, {}});
  follow(call, taps.taps.back());
  return id;
}

void Taps::detach(TapId id) {
  const auto owner = call_of_.find(id.value);
  if (owner == call_of_.end()) return;
  const auto found = calls_.find(owner->second);
  call_of_.erase(owner);
  OfCall& taps = found->second;
  const auto tap = std::ranges::find(taps.taps, id, &Attached::id);
  end_move(*tap);
  for (const TransportId transport : tap->transports)
    plane_.post(taps.call->worker, DetachTap{transport, tap->order.tap}, true);
  taps.taps.erase(tap);
  if (taps.taps.empty()) calls_.erase(found);
}

void Taps::renew(Call& call) {
  const auto found = calls_.find(call.serial);
  if (found == calls_.end()) return;
  for (Attached& tap : found->second.taps) follow(call, tap);
}

void Taps::end_move(Attached& tap) {
  tap.transports.insert(tap.transports.end(), tap.moved.begin(), tap.moved.end());
  tap.moved.clear();
}

void Taps::follow(Call& call, Attached& tap) {
  end_move(tap);
  for (const auto& leg : call.legs) {
    for (MediaTransport& transport : leg->transports) {
      for (const LocalPorts& ports : transport.ports) {
        if (ports.closed || !ports.plan) continue;
        const auto known = std::ranges::find(tap.transports, ports.transport);
        const bool is_heard = known != tap.transports.end();
        if (tap.order.hears(transport, ports) == is_heard) continue;
        if (is_heard) {
          tap.transports.erase(known);
          plane_.post(call.worker, DetachTap{ports.transport, tap.order.tap}, true);
          continue;
        }
        tap.transports.push_back(ports.transport);
        plane_.post(call.worker, AttachTap{ports.transport, tap.order.tap}, true);
        if (tap.order.on_attached) tap.order.on_attached(transport, ports);
      }
    }
  }
}

const Taps::Attached* Taps::find(TapId id) const {
  const auto owner = call_of_.find(id.value);
  if (owner == call_of_.end()) return nullptr;
  const std::vector<Attached>& taps = calls_.at(owner->second).taps;
  return &*std::ranges::find(taps, id, &Attached::id);
}

bool Taps::hears(TapId id, TransportId transport) const {
  const Attached* tap = find(id);
  return tap != nullptr && std::ranges::find(tap->transports, transport) != tap->transports.end();
}

void Taps::on_moved(Call& call, const MediaTransport& transport, const LocalPorts& ports,
                    TransportId before) {
  const auto found = calls_.find(call.serial);
  if (found == calls_.end()) return;
  // The transport takes its taps along; only its name changes.
  for (Attached& tap : found->second.taps) {
    if (std::erase(tap.transports, before) == 0) continue;
    tap.moved.push_back(ports.transport);
    if (tap.order.on_attached) tap.order.on_attached(transport, ports);
  }
}

void Taps::on_closing(Call& call, const LocalPorts& ports, RemoveTransport&) {
  const auto found = calls_.find(call.serial);
  if (found == calls_.end()) return;
  for (Attached& tap : found->second.taps) std::erase(tap.transports, ports.transport);
}

void Taps::on_merged(Call& call, Call& other) {
  auto moved = calls_.extract(other.serial);
  if (moved.empty()) return;
  OfCall& taps = calls_[call.serial];
  taps.call = &call;
  for (Attached& tap : moved.mapped().taps) {
    call_of_[tap.id.value] = call.serial;
    taps.taps.push_back(std::move(tap));
  }
}

void Taps::on_forgotten(Call& call) {
  const auto gone = calls_.extract(call.serial);
  if (gone.empty()) return;
  for (const Attached& tap : gone.mapped().taps) call_of_.erase(tap.id.value);
}

}  // namespace ferry

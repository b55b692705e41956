// SPDX-License-Identifier: Apache-2.0
#include "control/session/worker_events.hpp"

namespace ferry {

void WorkerEvents::pass() {
  plane_.poll_events([&](std::size_t worker, const WorkerEvent& event) {
    if (event.event == TransportEvent::kPromptEnded) {
      observers_.tell(&CallObserver::on_prompt_ended);
      return;
    }
    const MediaTransport* transport = plane_.owner(worker, event.id);
    if (transport == nullptr) return;
    Leg& leg = *transport->leg;
    if (event.event == TransportEvent::kDtmf)
      observers_.tell(&CallObserver::on_dtmf, *leg.call, leg, event.dtmf);
    else
      observers_.tell(&CallObserver::on_event, *transport, event.event);
  });
}

void WorkerEvents::end_presses(const Call& call, const LocalPorts& ports) {
  if (!ports.plan || !ports.activity->has_open_press.load(std::memory_order_relaxed)) return;
  plane_.post(call.worker, EndPresses{ports.transport}, true);
  plane_.fence();
  pass();
}

void WorkerEvents::end_presses(const Call& call) {
  for (const auto& leg : call.legs) {
    for (MediaTransport& transport : leg->transports) {
      for (const LocalPorts& ports : transport.ports) {
        if (!ports.closed) end_presses(call, ports);
      }
    }
  }
}

}  // namespace ferry

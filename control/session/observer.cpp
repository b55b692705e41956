// SPDX-License-Identifier: Apache-2.0
#include "control/session/observer.hpp"

namespace ferry {

void CallObserver::on_created(Call&, Instant) {}
void CallObserver::on_planned(Call&) {}
void CallObserver::on_moved(Call&, const MediaTransport&, const LocalPorts&, TransportId) {}
void CallObserver::on_merged(Call&, Call&) {}
void CallObserver::on_closing(Call&, const LocalPorts&, RemoveTransport&) {}
void CallObserver::on_event(const MediaTransport&, TransportEvent) {}
void CallObserver::on_dtmf(Call&, Leg&, const DtmfEvent&) {}
void CallObserver::on_prompt_ended() {}
void CallObserver::on_ending(Call&, EndReason, const Clock&) {}
void CallObserver::on_closed(Call&) {}
void CallObserver::on_settled() {}
void CallObserver::on_forgotten(Call&) {}
void CallObserver::on_report(const CallReport&) {}
void CallObserver::on_health(const Call&, const HealthNews&) {}
bool CallObserver::wants_decisions(const Call&) { return false; }
void CallObserver::on_decision(const Call&, const std::string&) {}
void CallObserver::on_unrecorded(const Call&) {}
void CallObserver::on_recording(const Call&, RecordingStep, std::string_view) {}

}  // namespace ferry

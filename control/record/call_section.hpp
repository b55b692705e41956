// SPDX-License-Identifier: Apache-2.0
// The section of the call itself.
#pragma once

#include "control/record/digit_fields.hpp"
#include "control/record/section.hpp"

namespace ferry {

template <>
inline constexpr unsigned kEnumerators<LatchPolicy> = 4;
template <>
inline constexpr unsigned kEnumerators<LearningAlgorithm> = 4;

template <>
struct Fields<CallExtras> {
  static constexpr bool kEmptyIsNone = true;
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("other_ids", v.other_ids);
    a("digits", v.digits);
    a("dtmf_log_destination", v.dtmf_log_destination);
    a("xmlrpc_callback", v.xmlrpc_callback);
    a("client", v.client);
    a.skip(v.recording, v.recording_tap, v.policy);  // sections of their own
    a.skip(v.refused, v.at_deletion);                // for the operator of this process
  }
};

template <>
struct Fields<Call> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("created", v.created);
    a("created_at", v.created_at);
    a("last_signal", v.last_signal_unix);
    a("last_signal_at", v.last_signal);
    a("touched", v.touched);
    a("metadata", v.metadata);
    a("next_leg", v.next_leg);
    a("next_label", v.next_label);
    a("tos", v.tos);
    a("latch", v.latch);
    a("learning", v.learning);
    a("strict_types", v.strict_payload_types);
    a("passthrough_unknown", v.passthrough_unknown);
    a("generates_rtcp", v.generates_rtcp);
    a("answered", v.answered);
    a("blocked", v.blocked);
    a("silenced", v.silenced);
    a("events_blocked", v.events_blocked);
    a("drop_traffic", v.drop_traffic);
    a("debug", v.debug);
    a("recording_decided", v.is_recording_decided);
    a("extras", v.extras);
    a("delete_at", v.delete_at);
    a("not_in_force", v.not_in_force);
    a("signals", v.signals);
    a.skip(v.legs, v.proposals);                                // sections of their own
    a.skip(v.id);                                               // names the record
    a.skip(v.worker, v.serial, v.watch_place, v.scheduled_at);  // of this process
  }
};

struct CallSection {
  static constexpr std::string_view kName = "call";
  static constexpr int kVersion = 2;
  static void save(const Call& call, ComponentsWriter& out) { out.add(CallPlace{}, call); }
  static void load(Call& call, const SavedComponent& saved) { saved.read(call); }
};

}  // namespace ferry

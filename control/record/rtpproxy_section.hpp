// SPDX-License-Identifier: Apache-2.0
// The sections of a session of the rtpproxy protocol, and of the prompts that wait for its parties.
#pragma once

#include "control/record/section.hpp"
#include "control/rtpproxy/session.hpp"

namespace ferry {

template <>
struct Fields<RtpproxyParty::Extras> {
  static constexpr bool kEmptyIsNone = true;
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("dtmf_tag", v.dtmf_tag);
    a("dtmf_type", v.dtmf_type);
    a("dtmf_hidden", v.hides_dtmf);
    a.skip(v.waiting);  // a section of its own
  }
};

template <>
struct Fields<RtpproxyParty> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("codecs", v.codecs);
    a("local", v.local);
    a("ttl", v.ttl);
    a("refreshed", v.refreshed);
    a("tos", v.tos);
    a("weak", v.is_weak);
    a("rare", v.extras);
  }
};

/// Where Call-ID and tag meet in the id of the call.
struct SessionPlace {
  std::size_t call_id_size = 0;
};
template <>
struct Fields<SessionPlace> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("call_id_size", v.call_id_size);
  }
};

template <>
struct Fields<RtpproxySession> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("parties", v.parties);
    a("notify_target", v.notify_target);
    a("notify_tag", v.notify_tag);
    a("strong", v.is_strong);
    a("has_answers", v.has_answers);
    a.skip(v.call_id, v.tag);            // parts of the id of the call
    a.skip(v.recordings);                // a file begun again would take the place of the old one
    a.skip(v.fed_by, v.is_fed_swapped);  // of another session, which may not be there
  }
};

struct RtpproxySection {
  static constexpr std::string_view kName = "rtpproxy";
  static constexpr int kVersion = 1;
  static void save(const Call& call, ComponentsWriter& out);
  /// The register does not know its shared name yet.
  static void load(Call& call, const SavedComponent& saved);
};

/// A whole prompt, as a record has it.
struct SavedPrompt {
  /// Payloads of packets of one size, one behind the other.
  std::vector<std::byte> payloads;
  PayloadType type;
  std::size_t packet_octets = 0;
  Duration packet_time{0};
  std::uint32_t units = 0;
};
template <>
struct Fields<SavedPrompt> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("payloads", v.payloads);
    a("type", v.type);
    a("packet_octets", v.packet_octets);
    a("packet_time", v.packet_time);
    a("units", v.units);
  }
};

/// A prompt that is to be played once its party has a port. One that is being played is known to the worker
/// alone, and ends with it.
struct WaitingPrompt {
  SavedPrompt prompt;
  std::int64_t rounds = 1;
};
template <>
struct Fields<WaitingPrompt> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("prompt", v.prompt);
    a("rounds", v.rounds);
  }
};

/// Behind the section of the session. `place` is the party, 0 or 1.
struct PromptSection {
  static constexpr std::string_view kName = "prompts";
  static constexpr int kVersion = 1;
  static void save(const Call& call, ComponentsWriter& out);
  static void load(Call& call, const SavedComponent& saved);
};

template <>
struct Fields<RunningRecording> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("paused", v.is_paused);
    a("files", v.files);
  }
};

/// The recording of the call. A relay that takes the call over begins a new one.
struct RecordingSection {
  static constexpr std::string_view kName = "recordings";
  static constexpr int kVersion = 1;
  static void save(const Call& call, ComponentsWriter& out);
  static void load(Call& call, const SavedComponent& saved);
};

}  // namespace ferry

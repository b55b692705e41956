// SPDX-License-Identifier: Apache-2.0
// How a request passes: the protocol reads it, a command changes the call, the plans are synced, and `flush`
// waits for the workers before the reply leaves.
//
// How a call ends: `remove` marks parties, or the call, with `delete_at`; `sweep` ends them when that time
// has come, or when the call has been silent for too long. Without a delay `remove` ends them itself.
//
// Order: observers are told in the order of the constructor, and `Endings` is among the first, so that it
// notes a call before others change it. Members that borrow others are declared after them.
//
// Trap: `Call*` dies with `lifetime_.end` and `lifetime_.forget`. Look a call up again after anything that
// may end it.
#include "control/manager/manager.hpp"

#include "control/call/media_rules.hpp"
#include "control/command/offer_answer.hpp"
#include "control/command/recordings.hpp"
#include "control/diagnose/explain.hpp"
#include "control/rtpproxy/sessions.hpp"
#include "control/session/endings.hpp"
#include "control/session/evidence.hpp"
#include "control/session/proposals.hpp"
#include "control/session/snapshots.hpp"
#include "relay/base/random.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry {

using namespace std::chrono_literals;

namespace {

bool is_deleted(const Leg& leg) { return leg.delete_at.has_value(); }

/// True if a party is left that another one could hear.
bool has_source(const Call& call) {
  return std::ranges::any_of(call.legs, [](const auto& leg) {
    return !is_deleted(*leg) && std::ranges::any_of(leg->medias, [](const auto& media) {
      return !media->via->ports.empty() && !media->only_listens();
    });
  });
}

}  // namespace

SessionManager::SessionManager(const SessionConfig& config, const InterfaceSet& interfaces, MediaPlane& plane,
                               PortProvider& ports, Listener listener, CallRecorder* recorder,
                               SoundLibrary* sounds)
    : config_(config),
      interfaces_(interfaces),
      plane_(plane),
      loop_mark_(config.software_name + ":" + random_hex(16)),
      guard_(config_.peers, interfaces),
      peers_(config_.unheard_per_address),
      limits_(config_, totals_, listener.memory_is_short),
      events_(plane, observers_),
      desk_(plane, ports, events_, observers_),
      identities_(config_.dtls),
      snapshots_(plane),
      plans_(config_, interfaces, plane, guard_, calls_, peers_, observers_),
      lifetime_(config_, plane, calls_, desk_, events_, observers_),
      endings_(totals_, observers_),
      taps_(plane),
      services_{config_,   interfaces,  plane,  calls_,      desk_,      plans_,
                lifetime_, limits_,     guard_, identities_, snapshots_, observers_,
                totals_,   recordings_, taps_,  recorder,    sounds,     loop_mark_},
      recordings_(services_),
      triggers_(services_),
      rtpproxy_(services_),
      lists_(services_, rtpproxy_, watch_),
      explanations_(services_, endings_, refused_),
      rounds_(services_, watch_),
      watch_observer_(watch_),
      listener_(std::move(listener)) {
  // `Endings` notes a call as it is before the others change it.
  for (CallObserver* each : std::initializer_list<CallObserver*>{
           &watch_observer_, &endings_, &listener_, &taps_, &rtpproxy_, &recordings_, &triggers_})
    observers_.add(*each);
  desk_.open_shared(interfaces_);
}

SessionManager::~SessionManager() {
  // The parts of the listener may be gone: they end with whoever made this manager.
  observers_.remove(listener_);
  for (const auto& [id, call] : calls_.all()) {
    recordings_.end(*call, "the relay stopped");
    if (call->rtpproxy() != nullptr) rtpproxy_.end_recordings(*call, "the relay stopped");
    for (auto& leg : call->legs) {
      for (MediaTransport& transport : leg->transports) desk_.close_all(*call, transport);
    }
  }
  plane_.fence();
  recordings_.finish_ended();
}

std::vector<std::string> SessionManager::sessions_of(std::string_view call_id) const {
  std::vector<std::string> ids;
  for (const auto& [name, call] : calls_.sharing(call_id)) ids.push_back(call->id);
  std::ranges::sort(ids);
  return ids;
}

Result<MessageTaken, RequestError> SessionManager::offer(const Request& request, const Clock& clock) {
  if (!request.sdp) return fail(RequestFault::kNoSdp);
  if (!request.call_id) return fail(RequestFault::kNoCallId);
  if (!request.from_tag) return fail(RequestFault::kNoFromTag);
  if (request.has_flag(Flag::kFragment)) return fragment(request, clock);
  return signal(request, false, clock);
}

Result<MessageTaken, RequestError> SessionManager::fragment(const Request& request, const Clock& clock) {
  const auto fragment = sdp::parse_fragment(*request.sdp);
  if (!fragment) return fail(RequestFault::kUnreadableSdp);
  Call* call = find(*request.call_id);
  Leg* leg = call == nullptr ? nullptr : call->leg_by_tag(*request.from_tag);
  // Its credentials are those of an SDP that has not come yet, or they are old.
  if (leg == nullptr || !add_fragment(*leg, *fragment))
    early_fragments_.hold(*request.call_id, *request.from_tag, *request.sdp, clock.now);
  if (leg == nullptr) return MessageTaken();
  call->touched = clock.now;
  plans_.sync(*call);
  return MessageTaken();
}

bool SessionManager::add_fragment(Leg& leg, const sdp::IceFragment& fragment) {
  const auto add = [&](Media& media, const sdp::IceDescription& ice) {
    bool is_taken = media.via->ice && add_ice_candidates(*media.via->ice, ice);
    // While an offer waits, the agreed ICE gets the candidates too (LAT-15).
    if (media.via->agreed && media.via->agreed->ice)
      is_taken = add_ice_candidates(*media.via->agreed->ice, ice) || is_taken;
    if (is_taken) note_candidates(media, ice);
    return is_taken;
  };
  bool is_taken = false;
  for (std::size_t i = 0; i < fragment.sections.size(); ++i) {
    const sdp::IceFragment::Section& section = fragment.sections[i];
    for (const auto& media : leg.medias) {
      const bool is_it = section.mid.empty() ? media->index == i + 1 : media->mid == section.mid;
      if (is_it) is_taken = add(*media, section.ice) || is_taken;
    }
  }
  if (fragment.session.candidates.empty()) return is_taken;
  // The sections of a group have one transport, so any of them will do.
  for (const auto& media : leg.medias) {
    if (add(*media, fragment.session)) return true;
  }
  return is_taken;
}

void SessionManager::add_early_fragments(const Request& request, bool is_answer, const Clock& clock) {
  if (early_fragments_.size() == 0) return;
  const std::string& tag = is_answer ? *request.to_tag : *request.from_tag;
  const auto texts = early_fragments_.take(*request.call_id, tag, clock.now);
  Call* call = texts.empty() ? nullptr : find(*request.call_id);
  Leg* leg = call == nullptr ? nullptr : call->leg_by_tag(tag);
  if (leg == nullptr) return;
  bool is_taken = false;
  for (const std::string& text : texts) {
    if (const auto fragment = sdp::parse_fragment(text)) is_taken = add_fragment(*leg, *fragment) || is_taken;
  }
  if (is_taken) plans_.sync(*call);
}

Result<MessageTaken, RequestError> SessionManager::answer(const Request& request, const Clock& clock) {
  if (!request.sdp) return fail(RequestFault::kNoSdp);
  if (!request.call_id) return fail(RequestFault::kNoCallId);
  if (!request.from_tag) return fail(RequestFault::kNoFromTag);
  if (!request.to_tag) return fail(RequestFault::kNoToTag);
  return signal(request, true, clock);
}

Result<MessageTaken, RequestError> SessionManager::signal(const Request& request, bool is_answer,
                                                          const Clock& clock) {
  Call* call = find(*request.call_id);
  const bool is_new = call == nullptr;
  if (!is_new && call->policy() != nullptr) return fail(RequestFault::kOtherProtocolsCall);
  if (is_new) {
    if (is_answer) return fail(RequestFault::kUnknownCall);
    if (const auto limit = limits_.exceeded(calls_.size())) return fail(fault_for_limit(*limit));
    call = &lifetime_.create(*request.call_id, clock);
  }
  auto reply = OfferAnswer(services_, *call, request, is_answer, clock).run();
  if (!reply) {
    if (is_new) count_rejected();
    if (is_new)
      lifetime_.forget(*call);
    else
      call->ensure_extras().refused = RefusedMessage{
          is_answer, reply.error().origin() == RequestFault::kNoFamily, in_words(reply.error()), clock.now};
    return fail(std::move(reply.error()));
  }
  if (!is_new && call->extras) call->extras->refused.reset();
  // No legs: an SDP of ours came back and is passed on unchanged (flag `loop-protect`).
  if (is_new && call->legs.empty()) {
    lifetime_.forget(*call);
  } else if (is_new) {
    ++totals_.managed;
    call->scheduled_at = Instant::max();
  }
  if (call = find(*request.call_id); call != nullptr) lifetime_.schedule_next(*call, clock.now);
  add_early_fragments(request, is_answer, clock);
  MessageTaken taken{std::move(reply->sdp), {}, std::move(reply->warnings)};
  if (reply->sender != nullptr)
    taken.packet_files =
        recordings_.note_message(*call, *reply->sender, is_answer ? "answer" : "offer", *request.sdp);
  return taken;
}

void SessionManager::after_pause(Instant began, Instant now) {
  lifetime_.after_pause(began, now);
  watch_.after_pause(now);
  const Duration pause = now - began;
  peers_.skip(pause, now);
  for (const auto& [id, call] : calls_.all()) {
    if (call->proposals.empty()) continue;
    Proposals::skip(*call, pause);
    plans_.sync(*call);
  }
}

void SessionManager::flush(const Clock& clock) { lifetime_.settle(clock.now); }

void SessionManager::sweep(const Clock& clock) {
  std::vector<Call*> again;
  while (Call* call = lifetime_.next_due(clock.now)) {
    if (Proposals(services_, *call).expire(clock.now)) plans_.sync(*call);
    const Due end = lifetime_.due(*call);
    if (end.at > clock.now) {
      // Each call has one entry that counts. Entries of an earlier deletion come up here once and go.
      if (call->scheduled_at <= clock.now) again.push_back(call);
      continue;
    }
    if (end.deleted && !call->delete_at) {
      for (auto& leg : call->legs) {
        if (leg->delete_at && *leg->delete_at <= clock.now) lifetime_.end_leg(*call, *leg);
      }
      plans_.sync(*call);
      again.push_back(call);
      continue;
    }
    lifetime_.end(*call, end.reason, clock);
  }
  for (Call* call : again) lifetime_.schedule(*call, lifetime_.next_look(*call), clock.now);
  poll_events();
  triggers_.expire(clock.now);
  plans_.pierce(clock.now);
  plans_.limit_unheard(clock.now);
  if (guard_.follow_host(clock.now)) plans_.sync_all();
  flush(clock);
  watch(clock);
}

void SessionManager::poll_events() {
  events_.pass();
  if (!recordings_.has_ended()) return;
  plane_.fence();
  recordings_.finish_ended();
}

void SessionManager::withdraw_offers(Call& call, const std::vector<Leg*>& parties) {
  bool any = false;
  for (const Leg* each : parties) any |= Proposals(services_, call).drop(*each);
  if (any) plans_.sync(call);
}

Result<void, RequestError> SessionManager::remove(const Request& request, const Clock& clock,
                                                  const Farewell& show) {
  if (!request.call_id) return fail(RequestFault::kNoCallId);
  Call* call = find(*request.call_id);
  if (call == nullptr) return fail(RequestFault::kNothingToDelete);

  const bool to_tag_counts = request.has_flag(Flag::kToTag) && request.to_tag;
  Leg* leg = nullptr;
  bool whole = false;
  if (!request.from_tag) {
    // A branch names the party to delete even if the proxy sends no tags (OpenSIPS).
    leg = call->leg_by_branch(request.via_branch);
    whole = request.via_branch.empty();
  } else {
    if (!to_tag_counts) leg = call->leg_by_branch(request.via_branch);
    if (leg == nullptr) leg = call->leg_by_tag(to_tag_counts ? *request.to_tag : *request.from_tag);
    if (leg == nullptr) leg = call->leg_by_branch(request.via_branch);
    if (leg == nullptr && to_tag_counts) {
      // A CANCEL names a callee that never answered, so no leg has its tag.
      if (const Leg* from = call->leg_by_tag(*request.from_tag)) {
        const auto partners = call->associated(*from);
        whole = partners.size() == 1 && partners.front()->tag.empty();
      }
    }
  }
  if (leg == nullptr && !whole) return fail(RequestFault::kNothingToDelete);

  const auto delay = request.delete_delay_s && *request.delete_delay_s >= 0
                         ? std::chrono::seconds(std::min<std::int64_t>(*request.delete_delay_s, 86'400))
                         : config_.delete_delay;
  const Instant at = clock.now + delay;
  std::vector<Leg*> going;
  if (whole && call->extras && !call->extras->other_ids.empty()) {
    // If calls were merged, only the parties that came under this id go (docs/reference/ng.md#delete).
    const std::uint8_t index = CallRegister::id_index(*call, *request.call_id);
    for (auto& each : call->legs) {
      if (each->id_index == index) going.push_back(each.get());
    }
  } else if (whole) {
    for (auto& each : call->legs) going.push_back(each.get());
  } else {
    // One party: partners that are left alone by its going go with it.
    going.push_back(leg);
    for (Leg* partner : call->associated(*leg)) {
      if (is_deleted(*partner)) continue;
      const auto left = call->associated(*partner);
      const bool alone = std::ranges::all_of(left, [&](const Leg* other) {
        return std::ranges::find(going, other) != going.end() || is_deleted(*other);
      });
      if (alone) going.push_back(partner);
    }
  }
  CallSnapshots snapshots = snapshots_.read(*call);
  if (call->recording() != nullptr && request.has_flag(Flag::kDiscardRecording)) call->recording()->discard();
  for (Leg* each : going) each->delete_at = at;
  whole = std::ranges::all_of(call->legs, [](const auto& each) { return is_deleted(*each); });
  if (whole) call->delete_at = at;
  if (!whole) withdraw_offers(*call, going);
  // A deleted call is judged now, because afterwards its parties fall silent. Without a delay its end judges
  // it.
  if (whole && delay > 0s && !call->ensure_extras().at_deletion) {
    CallEvidence evidence = evidence_of(*call, snapshots, clock);
    evidence.is_over = true;
    call->extras->at_deletion = std::make_unique<Explanation>(ferry::explain(evidence));
    watch_.show(*call, worst_of(*call->extras->at_deletion, evidence), clock.now);
  }

  if (delay > 0s) {
    if (show) show(*call, snapshots);
    lifetime_.schedule(*call, at, clock.now);
    return {};
  }
  if (whole) endings_.begin(*call, EndReason::kRegular, clock);
  // A whole call is shown as it was; a party is shown as it is now, with its ports closed
  // (docs/reference/ng.md#delete).
  if (leg != nullptr || !whole) {
    for (Leg* each : going) lifetime_.end_leg(*call, *each, !whole);
    plans_.sync(*call);
  }
  if (show) show(*call, snapshots);
  if (whole) {
    lifetime_.end(*call, EndReason::kRegular, clock);
  } else if (!has_source(*call)) {
    // Only subscribers are left, and nobody that they could hear: they must not wait for a time-out.
    call->delete_at = clock.now + config_.delete_delay;
    lifetime_.schedule(*call, *call->delete_at, clock.now);
  }
  return {};
}

bool SessionManager::terminate(std::string_view call_id, const Clock& clock) {
  Call* call = find(call_id);
  if (call == nullptr) return false;
  lifetime_.end(*call, EndReason::kForced, clock);
  return true;
}

std::size_t SessionManager::terminate_all(const Clock& clock) {
  const std::size_t count = calls_.size();
  while (!calls_.empty()) lifetime_.end(*calls_.all().begin()->second, EndReason::kForced, clock);
  return count;
}

Result<std::vector<std::string>, RequestError> SessionManager::list(const Request& request) const {
  const std::int64_t limit = request.limit.value_or(32);
  if (limit < 0) return fail(RequestFault::kNegativeLimit);
  std::vector<std::string> ids;
  const auto add = [&](const std::string& id) {
    if (static_cast<std::int64_t>(ids.size()) < limit) ids.emplace_back(id);
  };
  for (const auto& [id, call] : calls_.all()) {
    if (static_cast<std::int64_t>(ids.size()) >= limit) break;
    add(id);
    if (call->extras) std::ranges::for_each(call->extras->other_ids, add);
  }
  return ids;
}

void SessionManager::set_config(const SessionConfig& config) {
  config_ = config;
  if (guard_.set_rules(config_.peers)) plans_.sync_all();
}

void SessionManager::note_candidates(Media& media, const sdp::IceDescription& ice) {
  // ICE-4
  constexpr std::size_t kMaxNoted = 20;
  const LocalAddress* local = media.via->local();
  if (local == nullptr) return;
  NamedPeer named;
  named.has_ice = named.trickles = true;
  for (const sdp::IceCandidateLine& each : ice.candidates) named.candidates.push_back(each.at);
  const auto left_out = guard_.admit(named, *local);
  if (!left_out || left_out->empty()) return;
  auto& noted = media.ensure_extras().left_out;
  for (const LeftOutPeer& each : *left_out) {
    if (noted.size() < kMaxNoted && std::ranges::find(noted, each) == noted.end()) noted.push_back(each);
  }
}

nlohmann::json SessionManager::show(std::string_view call_id, const Clock& clock) {
  return lists_.show(call_id, clock);
}

nlohmann::json SessionManager::explain(std::string_view call_id, bool packets, const Clock& clock) {
  return explanations_.explain(call_id, packets, clock);
}

nlohmann::json SessionManager::where(std::string_view call_id, const WherePacket& packet,
                                     const Clock& clock) {
  return ferry::where(services_, call_id, packet, clock);
}

bool SessionManager::move_call(std::string_view call_id, std::size_t worker) {
  Call* call = find(call_id);
  return call != nullptr && plans_.move(*call, worker);
}

void SessionManager::ListenerObserver::on_event(const MediaTransport& transport, TransportEvent event) {
  if (listener_.on_event) listener_.on_event(transport.call(), *transport.leg, event);
}
void SessionManager::ListenerObserver::on_dtmf(Call& call, Leg& leg, const DtmfEvent& event) {
  if (listener_.on_dtmf) listener_.on_dtmf(call, leg, event);
}
void SessionManager::ListenerObserver::on_ending(Call& call, EndReason reason, const Clock&) {
  if (listener_.on_end) listener_.on_end(call, reason);
}
void SessionManager::ListenerObserver::on_report(const CallReport& report) {
  if (listener_.on_report) listener_.on_report(report);
}
void SessionManager::ListenerObserver::on_health(const Call& call, const HealthNews& news) {
  if (listener_.on_health) listener_.on_health(call, news);
}
bool SessionManager::ListenerObserver::wants_decisions(const Call& call) {
  return listener_.on_decision && listener_.wants_decisions && listener_.wants_decisions(call);
}
void SessionManager::ListenerObserver::on_decision(const Call& call, const std::string& sentence) {
  if (listener_.on_decision && wants_decisions(call)) listener_.on_decision(call, sentence);
}
void SessionManager::ListenerObserver::on_unrecorded(const Call& call) {
  if (listener_.on_unrecorded) listener_.on_unrecorded(call);
}

}  // namespace ferry

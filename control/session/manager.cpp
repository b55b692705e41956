#include "control/session/manager.hpp"

#include "control/session/classic.hpp"
#include "control/session/endings.hpp"
#include "control/session/media_rules.hpp"
#include "control/session/offer_answer.hpp"
#include "control/session/proposals.hpp"
#include "control/session/recordings.hpp"
#include "control/session/snapshots.hpp"
#include "relay/base/random.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr unsigned kPortTries = 64;
constexpr Duration kLongestLook = 60s;

bool is_deleted(const Leg& leg) { return leg.delete_at.has_value(); }

/// Anybody left whom another party could hear.
bool has_source(const Call& call) {
  return std::ranges::any_of(call.legs, [](const auto& leg) {
    return !is_deleted(*leg) && std::ranges::any_of(leg->medias, [](const auto& media) {
      return !media->ports.empty() && !media->only_listens();
    });
  });
}

}  // namespace

std::string_view to_string(EndReason reason) noexcept {
  switch (reason) {
    case EndReason::kRegular:
      return "regular";
    case EndReason::kForced:
      return "forced";
    case EndReason::kTimeout:
      return "timeout";
    case EndReason::kSilentTimeout:
      return "silent-timeout";
    case EndReason::kOfferTimeout:
      return "offer-timeout";
    case EndReason::kFinalTimeout:
      return "final-timeout";
  }
  return "unknown";
}

SessionManager::SessionManager(const SessionConfig& config, const InterfaceSet& interfaces, MediaPlane& plane,
                               PortProvider& ports, Listener listener, CallRecorder* recorder)
    : config_(config),
      interfaces_(interfaces),
      plane_(plane),
      ports_(ports),
      listener_(std::move(listener)),
      recorder_(recorder),
      guard_(config_.peers, interfaces),
      peers_(config_.unheard_per_address),
      loop_mark_(config.software_name + ":" + random_hex(16)) {}

SessionManager::~SessionManager() {
  listener_ = {};  // its parts may be gone: they end with whoever made this manager
  for (auto& [id, call] : calls_) {
    Recordings(*this).end(*call, "the relay stopped");
    if (call->classic() != nullptr) ClassicSessions(*this).end_recordings(*call, "the relay stopped");
    for (auto& leg : call->legs) {
      for (auto& media : leg->medias) close_media(*call, *media);
    }
  }
  plane_.fence();
  finish_recordings();
  for (const Closing& closing : closing_) {
    for (const PortHandle handle : closing.handles) ports_.release(handle);
  }
}

Call* SessionManager::find(std::string_view call_id) {
  if (const auto found = calls_.find(call_id); found != calls_.end()) return found->second.get();
  if (const auto merged = merged_ids_.find(call_id); merged != merged_ids_.end()) return merged->second;
  // A session of the classic protocol by its Call-ID, if there is but one.
  const auto [first, last] = classic_calls_.equal_range(call_id);
  return first != last && std::next(first) == last ? first->second : nullptr;
}

std::vector<std::string> SessionManager::sessions_of(std::string_view call_id) const {
  std::vector<std::string> ids;
  const auto [first, last] = classic_calls_.equal_range(call_id);
  for (auto each = first; each != last; ++each) ids.push_back(each->second->id);
  std::ranges::sort(ids);
  return ids;
}

std::optional<RefusalReason> SessionManager::exceeded_limit() {
  std::optional<RefusalReason> exceeded;
  if (draining_) {
    exceeded = RefusalReason::kDraining;
  } else if (config_.max_sessions != 0 && calls_.size() >= config_.max_sessions) {
    exceeded = RefusalReason::kSessions;
  } else if (config_.max_cpu_percent > 0 && load_.cpu_percent > config_.max_cpu_percent) {
    exceeded = RefusalReason::kCpu;
  } else if (config_.max_load > 0 && load_.load_average > config_.max_load) {
    exceeded = RefusalReason::kLoad;
  } else if (config_.max_bandwidth_bytes != 0 && load_.bytes_per_second > config_.max_bandwidth_bytes) {
    exceeded = RefusalReason::kBandwidth;
  } else if (listener_.memory_is_short && listener_.memory_is_short()) {
    exceeded = RefusalReason::kMemoryLimit;
  }
  if (!exceeded) return exceeded;
  ++totals_.rejected;
  last_limit_ = *exceeded;
  return exceeded;
}

std::optional<RequestError> SessionManager::check_limits(const Request& request) {
  const auto exceeded = exceeded_limit();
  if (!exceeded) return std::nullopt;
  return limit_error(*exceeded, request.supports_load_limit);
}

Call& SessionManager::create(const std::string& id, const Clock& clock) {
  auto call = std::make_unique<Call>();
  call->id = id;
  call->worker = plane_.least_loaded();
  call->created = clock.wall;
  call->created_at = call->last_signal = clock.now;
  call->tos = config_.tos;
  call->serial = next_serial_++;
  Call& created = *call;
  watch_.add(created, clock.now);
  by_serial_.emplace(call->serial, call.get());
  calls_.emplace(id, std::move(call));
  return created;
}

Leg& SessionManager::add_leg(Call& call, std::string tag, const Clock& clock) {
  auto leg = std::make_unique<Leg>();
  leg->call = &call;
  leg->tag = std::move(tag);
  leg->number = call.next_leg++;
  leg->created_unix = std::chrono::duration_cast<std::chrono::seconds>(clock.wall.time_since_epoch()).count();
  call.legs.push_back(std::move(leg));
  return *call.legs.back();
}

Media& SessionManager::add_media(Leg& leg, unsigned index, std::string_view type) {
  auto media = std::make_unique<Media>();
  media->call = leg.call;
  media->leg = &leg;
  media->id = MediaId{next_media_++};
  media->index = index;
  media->type = type;
  leg.medias.push_back(std::move(media));
  return *leg.medias.back();
}

std::uint8_t SessionManager::id_index(const Call& call, std::string_view id) {
  if (call.id == id || !call.extras) return 0;
  const auto& others = call.extras->other_ids;
  const auto found = std::ranges::find(others, id);
  return found == others.end() ? std::uint8_t{0} : static_cast<std::uint8_t>(found - others.begin() + 1);
}

Result<Dict, RequestError> SessionManager::offer(const Request& request, const Clock& clock) {
  if (!request.sdp) return fail(error(RefusalReason::kMessage, "No SDP body in message"));
  if (!request.call_id) return fail(error(RefusalReason::kMessage, "No call-id in message"));
  if (!request.from_tag) return fail(error(RefusalReason::kMessage, "No from-tag in message"));
  if (request.has_flag(Flag::kFragment)) return fragment(request, clock);
  return signal(request, false, clock);
}

Result<Dict, RequestError> SessionManager::fragment(const Request& request, const Clock& clock) {
  const auto fragment = sdp::parse_fragment(*request.sdp);
  if (!fragment) return fail(error(RefusalReason::kSdp, "Failed to parse SDP"));
  Call* call = find(*request.call_id);
  Leg* leg = call == nullptr ? nullptr : call->leg_by_tag(*request.from_tag);
  if (leg == nullptr) return Dict{};  // its SDP will have candidates of its own
  for (std::size_t i = 0; i < fragment->sections.size(); ++i) {
    const sdp::IceFragment::Section& section = fragment->sections[i];
    for (const auto& media : leg->medias) {
      const bool is_it = section.mid.empty() ? media->index == i + 1 : media->mid == section.mid;
      if (is_it) note_candidates(*media, section.ice);
      if (is_it && media->ice) add_ice_candidates(*media->ice, section.ice);
      if (is_it && media->agreed && media->agreed->ice) add_ice_candidates(*media->agreed->ice, section.ice);
    }
  }
  call->touched = clock.now;
  sync_plans(*call);
  return Dict{};
}

Result<Dict, RequestError> SessionManager::answer(const Request& request, const Clock& clock) {
  if (!request.sdp) return fail(error(RefusalReason::kMessage, "No SDP body in message"));
  if (!request.call_id) return fail(error(RefusalReason::kMessage, "No call-id in message"));
  if (!request.from_tag) return fail(error(RefusalReason::kMessage, "No from-tag in message"));
  if (!request.to_tag) return fail(error(RefusalReason::kMessage, "No to-tag in message"));
  return signal(request, true, clock);
}

Result<Dict, RequestError> SessionManager::signal(const Request& request, bool is_answer,
                                                  const Clock& clock) {
  Call* call = find(*request.call_id);
  const bool is_new = call == nullptr;
  if (!is_new && call->classic() != nullptr)
    return fail(error(RefusalReason::kNameTaken, "The call belongs to the rtpproxy protocol"));
  if (is_new) {
    if (is_answer) return fail(error(RefusalReason::kUnknownCall, "Unknown call-id"));
    if (auto refused = check_limits(request)) return fail(*refused);
    call = &create(*request.call_id, clock);
  }
  auto reply = OfferAnswer(*this, *call, request, is_answer, clock).run();
  if (!reply) {
    const RequestError& refused = reply.error();
    if (is_new) count_rejected();
    if (is_new)
      forget(*call);
    else
      call->made_extras().refused =
          RefusedMessage{is_answer, refused.wrong_family, refused.reason(), clock.now};
    return fail(std::move(reply.error()));
  }
  if (!is_new && call->extras) call->extras->refused.reset();
  if (is_new && call->legs.empty()) {  // an SDP of ours that came back and is passed on untouched
    forget(*call);
  } else if (is_new) {
    ++totals_.managed;
    call->scheduled_at = Instant::max();
  }
  if (call = find(*request.call_id); call != nullptr) {
    if (const Instant at = next_look(*call); at < call->scheduled_at) schedule(*call, at, clock.now);
  }
  Dict dict;
  dict.set("sdp", std::move(reply->sdp));
  if (reply->sender != nullptr)
    Recordings(*this).note_message(*call, *reply->sender, is_answer ? "answer" : "offer", *request.sdp, dict);
  return dict;
}

PortFailure SessionManager::note_port_failure(PortFailure failure, Instant now) {
  const auto index = static_cast<std::size_t>(failure);
  ++port_failures_.times[index];
  port_failures_.last_at[index] = now;
  return port_failures_.last = failure;
}

Result<SessionManager::OpenedPair, PortFailure> SessionManager::open_pair(const Call& call,
                                                                          const LocalAddress& local,
                                                                          Instant now) {
  std::vector<UdpPort> foreign;  // held by another process
  Result<OpenedPair, PortFailure> result = fail(PortFailure::kExhausted);
  for (unsigned attempt = 0; attempt < kPortTries; ++attempt) {
    const auto pair = local.ports->draw(now);
    if (!pair) break;
    auto rtp = ports_.activate({local.address, pair->rtp}, call.tos);
    auto rtcp = rtp ? ports_.activate(
                          {local.address, UdpPort{static_cast<std::uint16_t>(pair->rtp.value + 1)}}, call.tos)
                    : rtp;
    if (rtcp) {
      result = OpenedPair{*pair, {*rtp, *rtcp}};
      break;
    }
    if (rtp) ports_.release(*rtp);
    foreign.push_back(pair->rtp);
    if (rtcp.error() == PortError::kInUse) continue;
    result = fail(failure_of(rtcp.error()));
    break;
  }
  for (const UdpPort port : foreign) local.ports->give_back(port, {}, now);
  if (!result) note_port_failure(result.error(), now);
  return result;
}

Result<PortSet, PortFailure> SessionManager::open_ports(Call& call, const LocalAddress& local, Instant now) {
  const auto pair = open_pair(call, local, now);
  if (!pair) return fail(pair.error());
  PortSet ports;
  ports.local = &local;
  ports.port = pair->drawn.rtp;
  ports.barred = pair->drawn.barred;
  ports.handles = pair->handles;
  ports.activity = std::make_shared<TransportActivity>();
  ports.transport = plane_.allocate(call.worker);
  return ports;
}

void SessionManager::close_more(const Call& call, const PortSet::More& more) {
  closing_.emplace_back(more.handles, more.local->ports.get(), more.port, Endpoint{}, call.worker,
                        std::nullopt);
  more.local->ports->set_owner(more.port, nullptr);
}

const std::string& SessionManager::foundation_of(const LocalAddress& local) {
  std::string& foundation = foundations_[&local];
  if (foundation.empty()) foundation = random_hex(16);
  return foundation;
}

std::vector<std::string> SessionManager::candidates_of(const PortSet& ports, bool has_rtcp,
                                                       const std::optional<IpAddress>& advertised) {
  std::vector<std::string> lines;
  const auto add = [&](const LocalAddress& local, UdpPort rtp, LocalPort port, bool is_first) {
    const auto component = static_cast<unsigned>(port.component);
    lines.push_back(fmt::format(
        "{} {} UDP {} {} {} typ host", foundation_of(local), component + 1, host_priority(port),
        (is_first && advertised ? *advertised : local.advertised).to_string(), rtp.value + component));
  };
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    if (component == Component::kRtcp && !has_rtcp) continue;
    add(*ports.local, ports.port, {component, 0}, true);
    for (std::size_t i = 0; i < ports.more.size(); ++i)
      add(*ports.more[i].local, ports.more[i].port, {component, static_cast<std::uint8_t>(i + 1)}, false);
  }
  return lines;
}

void SessionManager::close_ports(Call& call, PortSet& ports, TransportFigures* figures) {
  if (ports.closed) return;
  end_presses(call, ports);
  ports.closed = true;
  ports.peer.reset();
  const bool installed = ports.plan != nullptr;
  const Endpoint signalled = installed ? ports.plan->rtp_latch.signalled : Endpoint{};
  Closing& closing = closing_.emplace_back(ports.handles, ports.local->ports.get(), ports.port, signalled,
                                           call.worker, ports.transport);
  if (installed) {
    RemoveTransport removal{ports.transport, &closing.peer, figures};
    if (current_ending_ != nullptr) current_ending_->expect(ports, removal);
    plane_.post(call.worker, removal, true);
    ports.local->ports->set_owner(ports.port, nullptr);
    plane_.set_owner(call.worker, ports.transport, nullptr);
  }
  for (const PortSet::More& more : ports.more) close_more(call, more);
}

void SessionManager::set_tos(Call& call, std::uint8_t tos) {
  if (call.tos == tos) return;
  call.tos = tos;
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      for (const PortSet& ports : media->ports) {
        if (ports.closed) continue;
        for (const PortHandle handle : ports.handles)
          ports_.set_tos(handle, ports.local->address.family(), tos);
        for (const PortSet::More& more : ports.more) {
          for (const PortHandle handle : more.handles)
            ports_.set_tos(handle, more.local->address.family(), tos);
        }
      }
    }
  }
}

void SessionManager::close_media(Call& call, Media& media) {
  for (PortSet& ports : media.ports) close_ports(call, ports);
  media.ports.clear();
  media.active = media.sending = 0;
}

void SessionManager::finish_recordings() {
  for (const auto& recording : ended_recordings_) recording->finish();
  ended_recordings_.clear();
}

void SessionManager::flush(const Clock& clock) {
  plane_.fence();
  finish_recordings();
  for (const Closing& closing : closing_) {
    for (const PortHandle handle : closing.handles) ports_.release(handle);
    closing.pool->give_back(closing.port, closing.peer, clock.now);
    if (closing.transport) plane_.free(closing.worker, *closing.transport);
  }
  closing_.clear();
  for (const ClassicEnd& end : classic_ended_) ClassicSessions::count(classic_totals_, end);
  classic_ended_.clear();
  finish_endings();
}

SessionManager::Due SessionManager::due(const Call& call) const {
  Due due =
      call.classic() != nullptr ? ClassicSessions::due(call, config_.classic, pauses_) : media_due(call);
  if (config_.final_timeout > 0s && call.created_at + config_.final_timeout < due.at) {
    due = {call.created_at + config_.final_timeout, EndReason::kFinalTimeout};
  }
  if (call.delete_at && *call.delete_at < due.at) due = {*call.delete_at, EndReason::kRegular, true};
  for (const auto& leg : call.legs) {
    if (leg->delete_at && *leg->delete_at < due.at && !leg->medias.empty() &&
        !leg->medias.front()->ports.empty()) {
      due = {*leg->delete_at, EndReason::kRegular, true};
    }
  }
  return due;
}

SessionManager::Due SessionManager::media_due(const Call& call) const {
  Due due{call.last_signal, EndReason::kTimeout};
  bool has_stream = false;
  bool has_listener = false;
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      // Who only listens does not keep a call alive whose parties are gone.
      if (media->only_listens()) {
        has_listener = true;
        continue;
      }
      Instant last = call.last_signal;
      for (const PortSet& ports : media->ports) {
        last =
            std::max(last, Instant{Duration{ports.activity->last_packet_ns.load(std::memory_order_relaxed)}});
      }
      if (media->untouched) continue;
      has_stream = true;
      Due end{pauses_.after(last, config_.timeout), EndReason::kTimeout};
      if (!media->remote_known) {
        end = {pauses_.after(last, config_.offer_timeout), EndReason::kOfferTimeout};
      } else if (!media->in_force().may_send || media->in_force().rejected) {
        end = {pauses_.after(last, config_.silent_timeout), EndReason::kSilentTimeout};
      }
      if (end.at > due.at) due = end;
    }
  }
  if (!has_stream && !has_listener) due = {Instant::max(), EndReason::kTimeout};
  if (!has_stream && has_listener) due = {pauses_.after(call.touched, config_.timeout), EndReason::kTimeout};
  return due;
}

Instant SessionManager::next_look(const Call& call) const {
  return std::min(due(call).at, Proposals::next_end(call));
}

void SessionManager::schedule(Call& call, Instant at, Instant now) {
  // Looked at once a minute at least: an entry of a call that is gone does not stay for its hour.
  call.scheduled_at = std::min(at, now + kLongestLook);
  expiries_.push({call.scheduled_at, call.serial});
}

void SessionManager::after_pause(Instant began, Instant now) {
  pauses_.add(began, now);
  watch_.after_pause(now);
  const Duration pause = now - began;
  peers_.skip(pause, now);
  for (const auto& [id, call] : calls_) {
    if (call->proposals.empty()) continue;
    Proposals::skip(*call, pause);
    sync_plans(*call);
  }
}

void SessionManager::sweep(const Clock& clock) {
  std::vector<Call*> again;
  while (!expiries_.empty() && expiries_.top().at <= clock.now) {
    const Expiry entry = expiries_.top();
    expiries_.pop();
    const auto found = by_serial_.find(entry.serial);
    if (found == by_serial_.end()) continue;
    Call* call = found->second;
    if (Proposals(*this, *call).expire(clock.now)) sync_plans(*call);
    const Due end = due(*call);
    if (end.at > clock.now) {
      // One live entry a call: those pushed by an earlier deletion come up here once and go.
      if (call->scheduled_at <= clock.now) again.push_back(call);
      continue;
    }
    if (end.deleted && !call->delete_at) {
      for (auto& leg : call->legs) {
        if (leg->delete_at && *leg->delete_at <= clock.now) destroy_leg(*call, *leg);
      }
      sync_plans(*call);
      again.push_back(call);
      continue;
    }
    destroy(*call, end.reason, clock);
  }
  for (Call* call : again) schedule(*call, next_look(*call), clock.now);
  poll_events();
  if (!piercing_.empty()) pierce(clock.now);
  limit_unheard(clock.now);
  if (guard_.follow_host(clock.now)) sync_all();
  flush(clock);
  watch(clock);
}

void SessionManager::end_presses(const Call& call, const PortSet& ports) {
  if (!ports.plan || !ports.activity->has_open_press.load(std::memory_order_relaxed)) return;
  plane_.post(call.worker, EndPresses{ports.transport}, true);
  plane_.fence();
  pass_worker_events();
}

void SessionManager::end_presses(const Call& call) {
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      for (const PortSet& ports : media->ports) {
        if (!ports.closed) end_presses(call, ports);
      }
    }
  }
}

void SessionManager::poll_events() {
  pass_worker_events();
  if (ended_recordings_.empty()) return;
  plane_.fence();
  finish_recordings();
}

void SessionManager::pass_worker_events() {
  plane_.poll_events([&](std::size_t worker, const WorkerEvent& event) {
    if (event.event == TransportEvent::kPromptEnded) {
      ++classic_totals_.prompts_ended;
      return;
    }
    const auto* media = static_cast<Media*>(plane_.owner(worker, event.id));
    if (media == nullptr) return;
    if (event.event == TransportEvent::kDtmf) {
      static constexpr std::string_view kDigits = "0123456789*#ABCD";
      if (event.dtmf.event < kDigits.size())
        Recordings(*this).on_digit(*media->call, *media->leg, kDigits[event.dtmf.event]);
      if (listener_.on_dtmf) listener_.on_dtmf(*media->call, *media->leg, event.dtmf);
    } else if (listener_.on_event) {
      listener_.on_event(*media->call, *media->leg, event.event);
    }
  });
}

void SessionManager::count_ended(Call& call, EndReason reason, const Clock& clock) {
  ++totals_.ended[static_cast<std::size_t>(reason)];
  const double seconds = std::chrono::duration<double>(clock.now - call.created_at).count();
  totals_.duration_sum_s += seconds;
  totals_.duration_square_sum_s2 += seconds * seconds;
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      const bool is_relayed = !media->untouched && !media->rejected && media->kind != TransportKind::kOverTcp;
      if (!is_relayed || media->subscriptions.empty()) continue;
      const auto heard = [](const Media& m) {
        return std::ranges::any_of(m.ports,
                                   [](const PortSet& p) { return p.activity->last_rtp_ns.load() != 0; });
      };
      const Media& partner = *media->subscriptions.front().source;
      if (media.get() > &partner) continue;  // each pair once
      if (!heard(*media) && !heard(partner)) {
        ++totals_.zero_way;
      } else if (heard(*media) != heard(partner)) {
        ++totals_.one_way;
      }
    }
  }
}

void SessionManager::destroy(Call& call, EndReason reason, const Clock& clock) {
  end_presses(call);  // before the call and its parties are gone
  begin_ending(call, reason, clock);
  if (listener_.on_end) listener_.on_end(call, reason);
  if (call.classic() != nullptr) ClassicSessions(*this).end(call, reason, clock);
  Recordings(*this).end(call, std::string("the call ended: ").append(to_string(reason)));
  for (auto& leg : call.legs) {
    for (auto& media : leg->medias) close_media(call, *media);
  }
  current_ending_ = nullptr;
  forget(call);
}

void SessionManager::forget(Call& call) {
  watch_.remove(call);
  by_serial_.erase(call.serial);
  if (const ClassicSession* classic = call.classic()) {
    const auto [first, last] = classic_calls_.equal_range(classic->call_id);
    const auto found = std::find_if(first, last, [&](const auto& each) { return each.second == &call; });
    if (found != last) classic_calls_.erase(found);
  }
  if (call.extras) {
    for (const std::string& other : call.extras->other_ids) merged_ids_.erase(other);
  }
  const std::string id = call.id;  // the key must not die while it is looked for
  calls_.erase(id);
}

bool SessionManager::merge(Call& call, Call& other) {
  auto& ids = call.made_extras().other_ids;
  std::vector<std::string> more = {other.id};
  if (other.extras) more.insert(more.end(), other.extras->other_ids.begin(), other.extras->other_ids.end());
  if (call.legs.size() + other.legs.size() > kMaxLegs || ids.size() + more.size() > 100) return false;
  // Numbers of medias are unique in this process; two restored calls may come from two others.
  for (const auto& a : call.legs) {
    for (const auto& b : other.legs) {
      for (const auto& x : a->medias) {
        if (std::ranges::any_of(b->medias, [&](const auto& y) { return x->id == y->id; })) return false;
      }
    }
  }
  if (other.worker != call.worker && !move_call(other.id, call.worker)) return false;
  if (call.recording() != nullptr && other.recording() != nullptr)
    Recordings(*this).end(other, "the call became part of another");
  const auto offset = static_cast<std::uint8_t>(ids.size() + 1);
  for (auto& leg : other.legs) {
    leg->call = &call;
    leg->number = call.next_leg++;
    leg->id_index = static_cast<std::uint8_t>(leg->id_index + offset);
    // What was said about its whole call goes on for it.
    leg->blocked = leg->blocked || other.blocked || other.drop_traffic;
    leg->silenced = leg->silenced || other.silenced;
    leg->events_blocked = leg->events_blocked || other.events_blocked;
    for (auto& media : leg->medias) media->call = &call;
    call.legs.push_back(std::move(leg));
  }
  call.proposals.insert(call.proposals.end(), std::make_move_iterator(other.proposals.begin()),
                        std::make_move_iterator(other.proposals.end()));
  other.legs.clear();
  Recordings(*this).merge(call, other);
  call.answered = call.answered || other.answered;
  call.next_label = std::max(call.next_label, other.next_label);
  if (call.metadata.empty()) call.metadata = other.metadata;
  forget(other);
  for (const std::string& id : more) merged_ids_.emplace(id, &call);
  ids.insert(ids.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  return true;
}

void SessionManager::destroy_leg(Call& call, Leg& leg, bool keep_counts) {
  // What it counted is shown as long as the call lives.
  for (auto& media : leg.medias) {
    for (const PortSet& ports : media->ports) {
      if (!keep_counts || ports.closed || !ports.plan) continue;
      auto& last = media->made_extras().last;
      last.push_back(std::make_unique<TransportSnapshot>());
      plane_.post(call.worker, ReadTransport{ports.transport, last.back().get()}, true);
    }
    close_media(call, *media);
  }
  if (keep_counts) plane_.fence();  // the worker writes into what may die next
}

void SessionManager::withdraw_offers(Call& call, const std::vector<Leg*>& parties) {
  bool any = false;
  for (const Leg* each : parties) any |= Proposals(*this, call).drop(*each);
  if (any) sync_plans(call);
}

Result<Dict, RequestError> SessionManager::remove(const Request& request, const Clock& clock) {
  if (!request.call_id) return fail(error(RefusalReason::kMessage, "No call-id in message"));
  static constexpr const char* kNothing = "Call-ID not found or tags didn't match";
  const auto nothing = [&]() -> Result<Dict, RequestError> {
    if (request.has_flag(Flag::kFatal)) return fail(error(RefusalReason::kUnknownCall, kNothing));
    Dict dict;
    dict.set("warning", kNothing);
    return dict;
  };
  Call* call = find(*request.call_id);
  if (call == nullptr) return nothing();

  const bool to_tag_counts = request.has_flag(Flag::kToTag) && request.to_tag;
  Leg* leg = nullptr;
  bool whole = false;
  if (!request.from_tag) {
    // A branch names the part to delete also when the proxy sends no tags (OpenSIPS).
    leg = call->leg_by_branch(request.via_branch);
    whole = request.via_branch.empty();
  } else {
    if (!to_tag_counts) leg = call->leg_by_branch(request.via_branch);
    if (leg == nullptr) leg = call->leg_by_tag(to_tag_counts ? *request.to_tag : *request.from_tag);
    if (leg == nullptr) leg = call->leg_by_branch(request.via_branch);
    if (leg == nullptr && to_tag_counts) {
      // A CANCEL names a callee that never answered.
      if (const Leg* from = call->leg_by_tag(*request.from_tag)) {
        const auto partners = call->associated(*from);
        whole = partners.size() == 1 && partners.front()->tag.empty();
      }
    }
  }
  if (leg == nullptr && !whole) return nothing();

  const auto delay = request.delete_delay_s && *request.delete_delay_s >= 0
                         ? std::chrono::seconds(std::min<std::int64_t>(*request.delete_delay_s, 86'400))
                         : config_.delete_delay;
  const Instant at = clock.now + delay;
  std::vector<Leg*> going;
  if (whole && call->extras && !call->extras->other_ids.empty()) {
    // Of merged calls only the parties that came under this id go (NG section 13).
    const std::uint8_t index = id_index(*call, *request.call_id);
    for (auto& each : call->legs) {
      if (each->id_index == index) going.push_back(each.get());
    }
  } else if (whole) {
    for (auto& each : call->legs) going.push_back(each.get());
  } else {
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
  Snapshots snapshots = read_snapshots(*call);
  if (call->recording() != nullptr && request.has_flag(Flag::kDiscardRecording)) call->recording()->discard();
  for (Leg* each : going) each->delete_at = at;
  whole = std::ranges::all_of(call->legs, [](const auto& each) { return is_deleted(*each); });
  if (whole) call->delete_at = at;
  if (!whole) withdraw_offers(*call, going);
  // Without a delay it is judged as it ends, which is now.
  if (whole && delay > 0s && !call->made_extras().at_deletion) {
    CallEvidence evidence = evidence_of(*call, snapshots, clock);
    evidence.is_over = true;
    call->extras->at_deletion = std::make_unique<Explanation>(ferry::explain(evidence));
    watch_.show(*call, worst_of(*call->extras->at_deletion, evidence), clock.now);
  }

  Dict reply;
  if (delay > 0s) {
    if (!request.has_flag(Flag::kFast))
      reply = query_reply(*call, legs_for_query(*call, Request{}), snapshots, clock);
    schedule(*call, at, clock.now);
    return reply;
  }
  if (whole) begin_ending(*call, EndReason::kRegular, clock);
  // A whole call is shown as it was, a party as it is now: with its ports closed (NG section 13).
  if (leg != nullptr || !whole) {
    for (Leg* each : going) destroy_leg(*call, *each, !whole);
    sync_plans(*call);
  }
  if (!request.has_flag(Flag::kFast))
    reply = query_reply(*call, legs_for_query(*call, Request{}), snapshots, clock);
  if (whole) {
    destroy(*call, EndReason::kRegular, clock);
  } else if (!has_source(*call)) {
    // Subscribers alone would wait for their time-out.
    call->delete_at = clock.now + config_.delete_delay;
    schedule(*call, *call->delete_at, clock.now);
  }
  return reply;
}

bool SessionManager::terminate(std::string_view call_id, const Clock& clock) {
  Call* call = find(call_id);
  if (call == nullptr) return false;
  destroy(*call, EndReason::kForced, clock);
  return true;
}

std::size_t SessionManager::terminate_all(const Clock& clock) {
  const std::size_t count = calls_.size();
  while (!calls_.empty()) destroy(*calls_.begin()->second, EndReason::kForced, clock);
  return count;
}

Result<Dict, RequestError> SessionManager::list(const Request& request) const {
  const std::int64_t limit = request.limit.value_or(32);
  if (limit < 0) return fail(error("invalid limit, must be >= 0"));
  List ids;
  const auto add = [&](const std::string& id) {
    if (static_cast<std::int64_t>(ids.size()) < limit) ids.emplace_back(id);
  };
  for (const auto& [id, call] : calls_) {
    if (static_cast<std::int64_t>(ids.size()) >= limit) break;
    add(id);
    if (call->extras) std::ranges::for_each(call->extras->other_ids, add);
  }
  Dict dict;
  dict.set("calls", std::move(ids));
  return dict;
}

bool SessionManager::move_call(std::string_view call_id, std::size_t worker) {
  Call* call = find(call_id);
  if (call == nullptr || worker >= plane_.workers() || call->worker == worker) return false;
  struct Moving {
    PortSet* ports;
    std::unique_ptr<TransportEntry> entry;
  };
  std::vector<Moving> moving;
  for (auto& leg : call->legs) {
    for (auto& media : leg->medias) {
      // Ids of transports mean something in one worker alone.
      if (media->extras) media->extras->feeds.clear();
      for (PortSet& ports : media->ports) {
        if (!ports.closed) moving.push_back({&ports, nullptr});
      }
    }
  }
  // All leave the old worker before any arrives at the new one: meanwhile datagrams wait in their ports.
  for (Moving& each : moving)
    plane_.post(call->worker, ExtractTransport{each.ports->transport, &each.entry}, true);
  plane_.fence();
  for (Moving& each : moving) {
    plane_.free(call->worker, each.ports->transport);
    each.ports->transport = plane_.allocate(worker);
  }
  call->worker = worker;
  for (Moving& each : moving) {
    if (!each.entry) continue;
    // The plan names transports of the old worker; the new one is complete before packets flow.
    Media* media = nullptr;
    for (auto& leg : call->legs) {
      for (auto& candidate : leg->medias) {
        for (PortSet& ports : candidate->ports) {
          if (&ports == each.ports) media = candidate.get();
        }
      }
    }
    plane_.set_owner(worker, each.ports->transport, media);
    each.ports->plan = make_plan(*call, *media, *each.ports);
    each.entry->state.set_plan(each.ports->plan, plane_.worker(worker).now());
  }
  // Transports share what their keys have received and sent, so none runs before all are ready.
  for (Moving& each : moving) {
    if (each.entry) plane_.post(worker, AdoptTransport{each.ports->transport, std::move(each.entry)}, true);
  }
  Recordings(*this).follow(*call);
  plane_.fence();
  return true;
}

}  // namespace ferry

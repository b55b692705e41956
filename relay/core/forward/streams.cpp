// SPDX-License-Identifier: Apache-2.0
// Demultiplexing, admission and statistics of streams.
//
// A packet finds its source in the order of RFC 9143 §9.2. A MID names the media directly, and the SSRC that
// came with it stays with that media until another MID says otherwise. Without MIDs the SSRC decides, if it
// was admitted to a source before. A new SSRC goes by its payload type, if only one source has that. With one
// source the payload type only says whether the packet may pass at all.
//
// A source admits its first SSRC at once. A later one must show two packets in sequence (SSR-1), so that a
// stray or forged packet founds no stream. `admit` decides and changes nothing outside this class; the
// transport counts the drops.

#include "relay/core/forward/streams.hpp"

#include "relay/core/rtp/header_extensions.hpp"

namespace ferry {

using namespace std::chrono_literals;

namespace {

// SSR-1: an SSRC that was silent for this long gives way to a new one.
constexpr Duration kSsrcIdle = 1s;
// SSR-1: new SSRCs that a source may begin in a second.
constexpr unsigned kNewSsrcsPerSecond = 5;
// Time that a new SSRC has for its second packet.
constexpr Duration kPendingTime = 250ms;
// RTC-2. The octet limit is derived from that of the media.
constexpr RateLimit kRtcpLimit{50, 0};
// RTC-2: octets per second that RTCP may use in any case.
constexpr std::uint32_t kRtcpFloor = 2000;
// The oldest sound that a listener is given (C-13).
constexpr Duration kOldestSound = 200ms;

}  // namespace

void Streams::set_plan(const TransportPlan& plan) {
  const TransportPlan& old = *plan_;
  std::vector<SourceState> states(plan.sources.size());
  for (std::size_t i = 0; i < states.size(); ++i) {
    // A media keeps its statistics, SSRCs and limits although the list of medias changed.
    const auto same = std::ranges::find(old.sources, plan.sources[i].media, &SourcePlan::media);
    if (same == old.sources.end()) continue;
    states[i] = std::move(states_[static_cast<std::size_t>(same - old.sources.begin())]);
    // Under another name the party does not know the streams of the section.
    const auto* was = same->mid.get();
    const auto* is = plan.sources[i].mid.get();
    if (was != is && (was == nullptr || is == nullptr || *was != *is)) {
      for (SentStream& stream : states[i].egress) stream.forget_reports();
    }
    // A stream that gets its first limit, for example after a fax, begins with a full bucket.
    const RateLimit& limit = plan.sources[i].rate;
    const bool begins = (same->rate.bytes_per_second == 0 && limit.bytes_per_second != 0) ||
                        (same->rate.packets_per_second == 0 && limit.packets_per_second != 0);
    if (begins) states[i].bucket = {};
  }
  states_ = std::move(states);
  plan_ = &plan;
  follow_reports();
}

const PayloadEntry* Streams::payload_in(const SourcePlan& source, PayloadType type) noexcept {
  const auto found = std::ranges::find(source.payloads, type, &PayloadEntry::type);
  return found == source.payloads.end() ? nullptr : &*found;
}

std::optional<Streams::Belongs> Streams::source_for(PayloadType type, Ssrc ssrc, Bytes rtp) const noexcept {
  if (plan_->mid_extension != 0) {
    const ByMid by_mid = source_by_mid(ssrc, rtp);
    // RFC 9143 §9.2: a MID that names no media makes the packet nobody's.
    if (by_mid.is_unknown) return std::nullopt;
    if (by_mid.source) {
      const SourcePlan& source = plan_->sources[*by_mid.source];
      const PayloadEntry* entry = payload_in(source, type);
      if (entry == nullptr && !source.is_open_to(type)) return std::nullopt;
      return Belongs{*by_mid.source, entry};
    }
  }
  std::optional<Belongs> by_type;
  bool is_in_several = false;
  for (std::size_t i = 0; i < plan_->sources.size(); ++i) {
    const SourcePlan& source = plan_->sources[i];
    const PayloadEntry* entry = payload_in(source, type);
    const bool takes = entry != nullptr || source.is_open_to(type);
    // A known SSRC stays with its media, or its packet is nobody's; for a new one the payload type decides.
    if (plan_->sources.size() > 1 && find(i, ssrc) != nullptr)
      return takes ? std::optional(Belongs{i, entry}) : std::nullopt;
    if (!takes) continue;
    is_in_several = is_in_several || by_type.has_value();
    if (!by_type) by_type = Belongs{i, entry};
  }
  // The SDP is asked last, because its list is long: most packets have an SSRC that is known by now.
  const auto signalled = plan_->sources.size() > 1 ? source_by_sdp(ssrc) : std::nullopt;
  if (signalled) {
    const SourcePlan& source = plan_->sources[*signalled];
    const PayloadEntry* entry = payload_in(source, type);
    return entry != nullptr || source.is_open_to(type) ? std::optional(Belongs{*signalled, entry})
                                                       : std::nullopt;
  }
  // A payload type that several medias have does not name one of them (RFC 9143 §9.2).
  return is_in_several ? std::nullopt : by_type;
}

std::optional<std::size_t> Streams::source_by_sdp(Ssrc ssrc) const noexcept {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < plan_->sources.size(); ++i) {
    const auto& named = plan_->sources[i].ssrcs;
    if (std::ranges::find(named, ssrc) == named.end()) continue;
    // An SSRC of two sections names neither.
    if (found) return std::nullopt;
    found = i;
  }
  return found;
}

Streams::ByMid Streams::source_by_mid(Ssrc ssrc, Bytes rtp) const noexcept {
  if (const auto mid = find_extension(rtp, plan_->mid_extension)) {
    const auto named = std::ranges::find_if(plan_->sources, [&](const SourcePlan& source) {
      return source.mid && std::ranges::equal(std::as_bytes(std::span(*source.mid)), *mid);
    });
    if (named == plan_->sources.end()) return {true, std::nullopt};
    return {false, static_cast<std::size_t>(named - plan_->sources.begin())};
  }
  const NamedSsrc* known = named(ssrc);
  if (known == nullptr) return {};
  return {false, source_of(known->media)};
}

void Streams::remember_mid(std::size_t source, Ssrc ssrc, Bytes rtp) noexcept {
  if (!find_extension(rtp, plan_->mid_extension)) return;
  const MediaId media = plan_->sources[source].media;
  if (NamedSsrc* known = named(ssrc)) {
    known->media = media;
    return;
  }
  if (!named_) named_ = make_unique_or_null<std::vector<NamedSsrc>>();
  // Without memory the SSRC is not remembered; its packets with a MID pass all the same (C-12).
  if (!named_) return;
  if (named_->size() == kMostNamed) named_->erase(named_->begin());
  (void)had_memory([&] { named_->push_back({ssrc, media}); });
}

std::optional<std::size_t> Streams::source_of(MediaId media) const noexcept {
  const auto found = std::ranges::find(plan_->sources, media, &SourcePlan::media);
  if (found == plan_->sources.end()) return std::nullopt;
  return static_cast<std::size_t>(found - plan_->sources.begin());
}

Streams::Admission Streams::admit(std::size_t source, const RtpView& rtp, Instant awake_since,
                                  Instant now) noexcept {
  using Kind = Admission::Kind;
  SourceState& state = states_[source];
  // The first SSRC of a source is admitted at once. A later one must show two packets in sequence; the first
  // of them is held.
  if (StreamStats* known = find(source, rtp.ssrc)) return {Kind::kAdmitted, known};
  const auto refuse = [](DropReason reason, bool ends_wait = false) {
    return Admission{Kind::kRefused, nullptr, reason, 0, ends_wait};
  };
  if (state.ingress.empty()) {
    StreamStats* first = add_stream(state, rtp.ssrc);
    return first == nullptr ? refuse(DropReason::kNoMemory) : Admission{Kind::kAdmitted, first};
  }
  auto pending =
      std::ranges::find_if(state.pending, [&](const PendingSsrc& p) { return p.used && p.ssrc == rtp.ssrc; });
  const auto place = [&] { return static_cast<std::uint8_t>(pending - state.pending.begin()); };
  // Its first packet, or one that does not follow the packet that waits.
  if (pending == state.pending.end() || distance(rtp.sequence, pending->sequence) != 1) {
    if (pending == state.pending.end()) {
      // All places are taken. If each newcomer pushed out another before its second packet, none would ever
      // be admitted.
      pending = std::ranges::min_element(state.pending, {}, &PendingSsrc::seen);
      if (pending->used && now - pending->seen < kPendingTime) return refuse(DropReason::kSsrcNotAdmitted);
    }
    *pending = {rtp.ssrc, rtp.sequence, true, now};
    return {Kind::kHeld, nullptr, DropReason::kNone, place()};
  }
  // Bounds how fast new SSRCs can push out those that are there.
  if (now - state.admission_second >= 1s) {
    state.admission_second = now;
    state.admitted_in_second = 0;
  }
  if (state.admitted_in_second >= kNewSsrcsPerSecond) return refuse(DropReason::kSsrcNotAdmitted);
  // Only an SSRC that has fallen silent gives way, never a live one (SSR-1).
  if (state.ingress.size() >= plan_->sources[source].max_ssrcs) {
    const auto oldest = std::ranges::min_element(
        state.ingress, {}, [](const StreamStats& s) { return s.counters().last_packet; });
    const Duration silence = now - std::max(oldest->counters().last_packet, awake_since);
    if (silence < kSsrcIdle) return refuse(DropReason::kSsrcNotAdmitted);
    state.ingress.erase(oldest);
  }
  ++state.admitted_in_second;
  pending->used = false;
  pending->seen = {};
  if (add_stream(state, rtp.ssrc) == nullptr) return refuse(DropReason::kNoMemory, true);
  // The worker judges the held packet first; the SSRC is known by then. Then it judges this packet again.
  return {Kind::kConfirmed, nullptr, DropReason::kNone, place(), true};
}

StreamStats* Streams::add_stream(SourceState& state, Ssrc ssrc) noexcept {
  SsrcCounters fresh;
  fresh.ssrc = ssrc;
  return had_memory([&] { state.ingress.emplace_back(fresh); }) ? &state.ingress.back() : nullptr;
}

bool Streams::has_counted(Ssrc ssrc, SeqNo sequence, std::uint32_t timestamp, Instant now) const noexcept {
  return std::ranges::any_of(states_, [&](const SourceState& state) {
    return std::ranges::any_of(state.ingress, [&](const StreamStats& stream) {
      return stream.counters().ssrc == ssrc && stream.is_copy(sequence, timestamp, now);
    });
  });
}

const StreamStats* Streams::find_counted(Ssrc ssrc) const noexcept {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const StreamStats* stream = find(i, ssrc);
    if (stream != nullptr && stream->counters().packets > 0) return stream;
  }
  return nullptr;
}

bool Streams::is_stale(std::size_t source, const RtpView& rtp, const PayloadEntry* payload,
                       Instant now) const noexcept {
  // A DTMF press is no sound: it is better late than never.
  if (payload != nullptr && payload->is_event) return false;
  const StreamStats* stream = find(source, rtp.ssrc);
  if (stream == nullptr) return true;
  const auto late = stream->lateness(rtp, payload != nullptr ? payload->clock_rate_hz : 0, now);
  // A packet of unknown age counts as old as the pause. A time stamp far ahead is as good as unknown.
  return !late || *late >= kOldestSound || *late <= -kOldestSound;
}

void Streams::on_sample(Bytes start, Instant now) noexcept {
  // With padding the start alone cannot be parsed; such a packet is left out.
  const auto rtp = parse_rtp(start);
  if (!rtp || plan_->sources.size() != 1) return;
  const PayloadEntry* payload = plan_->sources.front().payload_of(start);
  if (payload == nullptr || payload->g711 == G711Law::kNone) return;
  if (StreamStats* stream = find(0, rtp->ssrc))
    stream->count_g711(is_silent(payload->g711, rtp->payload), now);
}

bool Streams::take_rtcp_rate(std::size_t source, std::size_t octets, Instant now) noexcept {
  // RTC-2: a twentieth of the media's octets and a floor.
  const RateLimit& media = plan_->sources[source].rate;
  const RateLimit limit{kRtcpLimit.packets_per_second,
                        media.bytes_per_second == 0 ? 0 : media.bytes_per_second / 20 + kRtcpFloor};
  return states_[source].rtcp_bucket.take(limit, octets, now);
}

void Streams::on_sent(DatagramClass kind, Bytes datagram, MediaId to, Instant now) noexcept {
  if (kind == DatagramClass::kRtcp) {
    struct Handler {
      Streams& streams;
      Instant now;
      void on_sender_report(Ssrc ssrc, std::uint32_t ntp_middle) {
        if (RtcpState* state = streams.ensure_rtcp_state()) state->remember({ssrc, ntp_middle, now});
      }
      void on_report(Ssrc, const ReportBlock&) {}
      void on_bye(Ssrc) {}
    };
    walk_rtcp(datagram, Handler{*this, now});
    return;
  }
  const auto source = source_of(to);
  // UDPTL beside RTP has no SSRC to be counted under.
  if (!source || datagram.size() < kRtpFixedHeaderSize || kind != DatagramClass::kRtp) return;
  SentStream* stream = egress_of(*source, Ssrc{read_u32(datagram, 8)});
  if (stream == nullptr) return;
  stream->count(SeqNo{read_u16(datagram, 2)}, read_u32(datagram, 4), datagram.size(), now);
  if (keeper_) follow_sent(*stream, *source, datagram, now);
}

std::optional<Streams::LastSent> Streams::last_sent(MediaId to) const noexcept {
  const auto source = source_of(to);
  if (!source) return std::nullopt;
  const auto& all = states_[*source].egress;
  const auto newest = std::ranges::max_element(
      all, {}, [](const SentStream& stream) { return stream.counters().last_packet; });
  if (newest == all.end()) return std::nullopt;
  const SsrcCounters& sent = newest->counters();
  return LastSent{sent.ssrc, newest->newest(), sent.last_timestamp, sent.last_packet, newest->type()};
}

bool Streams::is_taken_elsewhere(MediaId to, Ssrc ssrc) const noexcept {
  const auto source = source_of(to);
  const SectionMask hearing = sources_hearing(ssrc);
  return source && hearing != 0 && (hearing & section_bit(*source)) == 0;
}

bool Streams::is_reported(MediaId to, Ssrc ssrc) const noexcept {
  const auto source = source_of(to);
  return source && std::ranges::any_of(states_[*source].egress, [&](const SentStream& stream) {
           return stream.counters().ssrc == ssrc && stream.counters().has_report;
         });
}

void Streams::forget_reports() noexcept {
  for (SourceState& state : states_) {
    for (SentStream& stream : state.egress) stream.forget_reports();
  }
}

void Streams::on_sent_by_kernel(const OffloadedTraffic& what, std::size_t source) {
  SentStream* stream = egress_of(source, what.left_under());
  if (stream == nullptr) return;
  stream->count(what);
  // The kernel tells no header lengths, and its newest packet stands for all of them.
  if (keeper_ && what.advanced)
    stream->follow(PayloadType{what.stream->last_payload_type}, what.as_left(what.stream->last_timestamp),
                   kRtpFixedHeaderSize, what.stream->clock_rate_hz, what.stream->last_packet);
}

SentStream* Streams::egress_of(std::size_t source, Ssrc ssrc) noexcept {
  auto& egress = states_[source].egress;
  const auto entry =
      std::ranges::find_if(egress, [&](const SentStream& stream) { return stream.counters().ssrc == ssrc; });
  if (entry != egress.end()) return &*entry;
  // Too many SSRCs: the one that left longest ago gives way.
  if (egress.size() >= plan_->sources[source].max_ssrcs) {
    egress.erase(std::ranges::min_element(
        egress, {}, [](const SentStream& stream) { return stream.counters().last_packet; }));
  }
  return had_memory([&] { egress.emplace_back(ssrc); }) ? &egress.back() : nullptr;
}

KeyPresses::Told Streams::presses_of(std::size_t source, const PayloadEntry& payload,
                                     const ReceivedPacket& packet) noexcept {
  std::unique_ptr<KeyPresses>& presses = states_[source].presses;
  // Audio matters only while a press is open, because it may end it.
  if (!payload.is_event && (!presses || !presses->is_open())) return {};
  if (!packet.rtp) return {};
  if (!presses) presses = make_unique_or_null<KeyPresses>();
  if (!presses) return {};  // without memory the press is not reported, but its packets pass
  KeyPresses::Told told;
  if (payload.is_event)
    told = presses->on_event(*packet.rtp, {payload.clock_rate_hz, packet.from.address, packet.at});
  else
    told.former = presses->on_audio(*packet.rtp, payload.clock_rate_hz);
  publish_presses();
  return told;
}

std::optional<DtmfEvent> Streams::take_ended_press(Instant now, bool all) noexcept {
  for (SourceState& state : states_) {
    if (!state.presses) continue;
    if (auto told = all ? state.presses->end() : state.presses->on_time(now)) {
      publish_presses();
      return told;
    }
  }
  return std::nullopt;
}

std::optional<Instant> Streams::due() const noexcept {
  std::optional<Instant> first;
  for (const SourceState& state : states_) {
    const auto due = state.presses ? state.presses->due() : std::nullopt;
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

void Streams::publish_presses() noexcept {
  activity_->has_open_press.store(has_open_press(), std::memory_order_relaxed);
}

void Streams::mark(const MarkTimes& times) noexcept {
  for (SourceState& state : states_) {
    for (StreamStats& stream : state.ingress) stream.mark(times);
    for (SentStream& stream : state.egress) stream.mark(times);
  }
}

void Streams::add_to(TransportFigures& figures) const noexcept {
  Instant latest{};
  for_each_stream([&](const SsrcCounters& stream) {
    figures.expected += stream.expected();
    figures.received += stream.packets - stream.duplicates;
    figures.duplicates += stream.duplicates;
    figures.lost += stream.lost();
    figures.longest_gap = std::max(figures.longest_gap, stream.longest_gap());
    // Jitter cannot be added up, so that of the stream that sent last stands for all.
    if (stream.clock_rate_hz == 0 || stream.last_packet < latest) return;
    latest = stream.last_packet;
    figures.jitter = stream.jitter_q4 / 16.0;
    figures.jitter_max = stream.jitter_max_q4 / 16.0;
    figures.jitter_mean = stream.packets < 2 ? 0
                                             : static_cast<double>(stream.jitter_sum_q4) / 16.0 /
                                                   static_cast<double>(stream.packets - 1);
  });
}

// Packet statistics keep their times: they say when something really happened.
void Streams::skip(Duration pause) noexcept {
  for (SourceState& state : states_) {
    if (state.presses) state.presses->skip(pause);
    for (SentStream& stream : state.egress) stream.skip(pause);
  }
}

void Streams::save(TransportSnapshot& snapshot, const MarkTimes& marked, Instant now) const {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    TransportSnapshot::Source& source = snapshot.sources.emplace_back();
    source.media = plan_->sources[i].media;
    for (const StreamStats& stream : states_[i].ingress) {
      source.ingress.push_back(stream.counters());
      auto& quality = source.quality.emplace_back();
      quality.present = stream.quality() != nullptr;
      if (quality.present) quality.history = *stream.quality();
      source.ingress_recent.push_back(stream.recent(marked, now));
    }
    for (const SentStream& stream : states_[i].egress) {
      source.egress.push_back(stream.counters());
      source.egress_recent.push_back(stream.recent(marked, now));
      if (const ListenerReport* report = stream.newest_report()) source.reports.push_back(*report);
    }
    if (states_[i].presses) source.presses = states_[i].presses->state();
  }
  if (named_) snapshot.named = *named_;
}

void Streams::restore(const TransportSnapshot& snapshot) {
  for (const TransportSnapshot::Source& source : snapshot.sources) {
    const auto found = source_of(source.media);
    if (!found) continue;
    SourceState& state = states_[*found];
    state.egress.clear();
    for (const SsrcCounters& sent : source.egress) state.egress.emplace_back(sent);
    if (source.presses.known_count != 0) {
      state.presses = std::make_unique<KeyPresses>();
      state.presses->restore(source.presses);
    }
    state.ingress.clear();
    for (std::size_t i = 0; i < source.ingress.size(); ++i) {
      StreamStats& stream = state.ingress.emplace_back(source.ingress[i]);
      if (i < source.quality.size() && source.quality[i].present)
        stream.restore_quality(source.quality[i].history);
    }
  }
  keeper_.reset();
  follow_reports();
  named_.reset();
  if (!snapshot.named.empty()) {
    named_ = std::make_unique<std::vector<NamedSsrc>>(snapshot.named);
    if (named_->size() > kMostNamed) named_->resize(kMostNamed);
  }
  publish_presses();
}

}  // namespace ferry

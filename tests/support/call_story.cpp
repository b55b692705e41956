// SPDX-License-Identifier: Apache-2.0
// How a story becomes evidence: each party's facts are kept for two eras, the last ten seconds and the time
// before. `speak` makes of a sender's facts what the relay took, missed and refused of it; `listen` passes
// what was taken on to the listeners, less what was dropped on the way out. Nothing is rounded twice: a
// figure of the whole call is the sum of its eras.
#include "tests/support/call_story.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace ferry::test {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kEarlier = 0;
constexpr std::size_t kLately = 1;
constexpr double kRate = 50;
constexpr std::uint32_t kSize = 172;
constexpr std::uint32_t kFirstNumber = 1000;
constexpr std::uint8_t kSpeaksComfort = 13;
constexpr std::uint32_t kClockHz = 8000;

double in_seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

std::uint32_t rounded(double packets) { return static_cast<std::uint32_t>(std::lround(packets)); }

template <class Value>
void set(std::array<Value, 2>& eras, Value value, When when) {
  if (when != When::kLately) eras[kEarlier] = value;
  if (when != When::kEarlier) eras[kLately] = value;
}

/// The refused packets are none of the run of numbers that is taken: another SSRC, or another run of it.
bool is_apart(DropReason reason) {
  switch (reason) {
    case DropReason::kSsrcNotAdmitted:
    case DropReason::kSsrcCollision:
    case DropReason::kSequenceJump:
    case DropReason::kReplayed:
      return true;
    default:
      return false;
  }
}

/// The reason says that the packet came from another address than the party's.
bool is_of_elsewhere(DropReason reason) {
  return reason == DropReason::kForeignSource || reason == DropReason::kSourceNotAllowed ||
         reason == DropReason::kForbiddenSource;
}

/// The packet was counted in its stream before it was dropped.
bool is_counted(DropReason reason) {
  switch (reason) {
    case DropReason::kDirection:
    case DropReason::kBlocked:
    case DropReason::kEventBlocked:
    case DropReason::kNoSink:
    case DropReason::kPromptPlaying:
    case DropReason::kOtherSpeaks:
      return true;
    default:
      return false;
  }
}

Ssrc ssrc_of(Party who) {
  return Ssrc{0x1000u + static_cast<std::uint32_t>(who.leg) * 16 + static_cast<std::uint32_t>(who.media)};
}

Endpoint stranger() { return {IpAddress::v4({203, 0, 113, 9}), UdpPort{9}}; }

std::uint32_t jitter_q4(Duration jitter) {
  return static_cast<std::uint32_t>(in_seconds(jitter) * kClockHz * 16);
}

}  // namespace

CallStory::CallStory(std::size_t parties, std::vector<std::string> types)
    : facts_(parties, std::vector<Facts>(types.size())), types_(std::move(types)) {
  for (std::vector<Facts>& leg : facts_) {
    for (std::size_t media = 1; media < leg.size(); ++media) leg[media].type = 96;
  }
}

CallStory& CallStory::lasts(Duration time) {
  is_made_ = false;
  length_ = time;
  return *this;
}

CallStory& CallStory::was_signalled(Duration ago) {
  is_made_ = false;
  signalled_ = ago;
  return *this;
}

CallStory& CallStory::is_unanswered() {
  is_made_ = false;
  is_answered_ = false;
  return *this;
}

CallStory& CallStory::never_sends(Party who) {
  is_made_ = false;
  of(who).never_sends = true;
  return *this;
}

CallStory& CallStory::starts(Party who, Duration ago) {
  is_made_ = false;
  of(who).starts = ago;
  return *this;
}

CallStory& CallStory::stops(Party who, Duration ago) {
  is_made_ = false;
  of(who).stops = ago;
  return *this;
}

CallStory& CallStory::loses(Party who, double percent, When when, unsigned run) {
  is_made_ = false;
  set(of(who).lost, percent / 100, when);
  of(who).run = std::max(1u, run);
  return *this;
}

CallStory& CallStory::doubles(Party who, double percent, When when) {
  is_made_ = false;
  set(of(who).doubled, percent / 100, when);
  return *this;
}

CallStory& CallStory::reorders(Party who, double percent, When when) {
  is_made_ = false;
  set(of(who).reordered, percent / 100, when);
  return *this;
}

CallStory& CallStory::jitters(Party who, Duration jitter, When when) {
  is_made_ = false;
  set(of(who).jitter, jitter, when);
  return *this;
}

CallStory& CallStory::sends_type(Party who, std::uint8_t type) {
  is_made_ = false;
  of(who).type = type;
  return *this;
}

CallStory& CallStory::pauses_with_comfort_noise(Party who, Duration ago) {
  of(who).last_payload_size = 1;
  return stops(who, ago).sends_type(who, kSpeaksComfort);
}

CallStory& CallStory::pauses_with_descriptor(Party who, Duration ago, std::uint8_t type,
                                             std::uint16_t octets) {
  of(who).last_payload_size = octets;
  return stops(who, ago).sends_type(who, type);
}

CallStory& CallStory::says_goodbye(Party who, Duration ago) {
  of(who).goodbye = true;
  return stops(who, ago);
}

CallStory& CallStory::is_mute(Party who) {
  is_made_ = false;
  of(who).was_never_audible = true;
  return *this;
}

CallStory& CallStory::is_mute_since(Party who, Duration ago) {
  is_made_ = false;
  of(who).mute_since = ago;
  return *this;
}

CallStory& CallStory::refuses(Party who, DropReason reason, double percent, When when) {
  is_made_ = false;
  set(of(who).refused.emplace_back(Refused{reason, {}}).share, percent / 100, when);
  return *this;
}

CallStory& CallStory::refuses_stranger(Party who, DropReason reason, unsigned per_second, When when) {
  is_made_ = false;
  set(of(who).strangers.emplace_back(Stranger{reason, {}}).per_second, static_cast<double>(per_second), when);
  return *this;
}

CallStory& CallStory::refuses_copies(Party who, DropReason reason, unsigned per_second, When when) {
  refuses_stranger(who, reason, per_second, when);
  of(who).strangers.back().is_copy = true;
  return *this;
}

CallStory& CallStory::drops_toward(Party who, DropReason reason, double percent, When when) {
  is_made_ = false;
  set(of(who).leaving.emplace_back(Refused{reason, {}}).share, percent / 100, when);
  return *this;
}

CallStory& CallStory::fails_to_send(Party who, SendError error, double percent, When when) {
  is_made_ = false;
  set(of(who).failed.emplace_back(Failed{error, {}, false}).share, percent / 100, when);
  return *this;
}

CallStory& CallStory::is_unreachable(Party who, SendError error, When when) {
  is_made_ = false;
  // One packet a second tries the way (LAT-12).
  constexpr double kTried = 1 / kRate;
  const bool pauses = error == SendError::kPortUnreachable || error == SendError::kHostUnreachable;
  set(of(who).failed.emplace_back(Failed{error, {}, true}).share, 1.0, when);
  if (pauses)
    set(of(who).leaving.emplace_back(Refused{DropReason::kPeerUnreachable, {}}).share, 1 - kTried, when);
  return *this;
}

CallStory& CallStory::reports_loss(Party who, double percent, When when) {
  is_made_ = false;
  std::optional<Share>& reported = of(who).reported;
  if (!reported) reported.emplace(Share{});
  set(*reported, percent / 100, when);
  return *this;
}

CallStory& CallStory::holds(Party who, Duration ago) {
  was_signalled(ago);
  of(who).may_receive = false;
  for (std::size_t leg = 0; leg < facts_.size(); ++leg) {
    if (leg == who.leg) continue;
    Facts& other = facts_[leg][who.media];
    other.may_send = false;
    other.stops_when_held = true;
  }
  return *this;
}

CallStory& CallStory::holds_both(Duration ago) {
  was_signalled(ago);
  for (std::vector<Facts>& leg : facts_) {
    for (Facts& facts : leg) {
      facts.may_send = facts.may_receive = false;
      facts.stops_when_held = true;
    }
  }
  return *this;
}

CallStory& CallStory::sends_all_the_same(Party who) {
  is_made_ = false;
  of(who).stops_when_held = false;
  return *this;
}

CallStory& CallStory::is_over() {
  is_made_ = false;
  is_over_ = true;
  return *this;
}

CallStory& CallStory::is_blocked(Party who) {
  is_made_ = false;
  of(who).is_blocked = true;
  return *this;
}

CallStory& CallStory::is_silenced(Party who) {
  is_made_ = false;
  of(who).is_silenced = true;
  return *this;
}

CallStory& CallStory::with(std::function<void(CallEvidence&)> change) {
  is_made_ = false;
  changes_.push_back(std::move(change));
  return *this;
}

CallStory& CallStory::with_media(Party who, std::function<void(MediaEvidence&)> change) {
  return with([who, change = std::move(change)](CallEvidence& call) {
    change(call.legs[who.leg].medias[who.media]);
  });
}

CallStory& CallStory::with_port(Party who, std::function<void(TransportSnapshot&)> change) {
  is_made_ = false;
  port_changes_.emplace_back(who, std::move(change));
  return *this;
}

CallEvidence& CallStory::evidence() {
  if (!is_made_) make();
  is_made_ = true;
  return call_;
}

const Explanation& CallStory::explained() {
  if (!is_made_ || !explained_) explained_ = explain(evidence());
  return *explained_;
}

const MediaVerdict& CallStory::from(Party who) {
  return explained().verdicts[(who.leg * types_.size() + who.media) * 2];
}

const MediaVerdict& CallStory::to(Party who) {
  return explained().verdicts[(who.leg * types_.size() + who.media) * 2 + 1];
}

std::string CallStory::rows() {
  std::string text;
  for (const MediaVerdict& each : explained().verdicts) {
    text += fmt::format("{} {} {} {}: {} ({}): {}\n", to_string(each.direction), each.leg, each.media,
                        each.type, to_string(each.cause), to_string(each.severity()), each.sentence);
    if (each.origin)
      text += fmt::format("    origin {} {}: {}\n", each.origin->leg, each.origin->media,
                          to_string(each.origin->cause));
    for (const std::string& line : each.evidence) text += "    " + line + "\n";
  }
  return text;
}

Duration CallStory::recent_span() const { return std::min<Duration>(length_, kRecentTime); }

/// How long the party spoke in each era.
std::array<double, 2> CallStory::seconds_of(const Facts& facts) const {
  if (facts.never_sends) return {0, 0};
  const Duration began = std::min(length_, facts.starts.value_or(length_));
  Duration ended = facts.stops;
  if (facts.stops_when_held) ended = std::max(ended, signalled_.value_or(length_));
  const auto between = [&](Duration from, Duration until) {
    return std::max(0.0, in_seconds(std::min(began, from) - std::max(ended, until)));
  };
  return {between(length_, kRecentTime), between(kRecentTime, 0s)};
}

void CallStory::make() {
  explained_.reset();
  call_ = {};
  ports_.clear();
  call_.call_id = "story";
  call_.now = now();
  call_.wall = WallTime{std::chrono::hours(24 * 365 * 55)};
  call_.created = now() - length_ - 2s;
  call_.last_signal = now() - signalled_.value_or(length_);
  call_.is_answered = is_answered_;
  call_.is_over = is_over_;
  for (std::size_t leg = 0; leg < facts_.size(); ++leg) {
    call_.legs.emplace_back().name = std::string(1, static_cast<char>('A' + leg));
    call_.legs.back().medias.resize(types_.size());
    ports_.emplace_back(types_.size());
  }
  std::vector<std::vector<Spoken>> spoken(facts_.size());
  for (std::size_t leg = 0; leg < facts_.size(); ++leg) {
    for (std::size_t media = 0; media < types_.size(); ++media) {
      signal({leg, media});
      spoken[leg].push_back(speak({leg, media}));
    }
  }
  for (std::size_t leg = 0; leg < facts_.size(); ++leg) {
    for (std::size_t media = 0; media < types_.size(); ++media) listen({leg, media}, spoken);
  }
  for (const auto& [who, change] : port_changes_) change(port(who));
  for (const auto& change : changes_) change(call_);
}

void CallStory::signal(Party who) {
  const Facts& facts = of(who);
  MediaEvidence& media = call_.legs[who.leg].medias[who.media];
  const auto host = static_cast<std::uint8_t>(who.leg + 1);
  const auto place = static_cast<std::uint16_t>(who.leg * 8 + who.media * 2);
  media.index = static_cast<unsigned>(who.media) + 1;
  media.type = types_[who.media];
  media.signalled = {IpAddress::v4({192, 0, 2, host}), UdpPort{static_cast<std::uint16_t>(4000 + place)}};
  media.signalling_source = media.signalled.address;
  media.local = {IpAddress::v4({198, 51, 100, 1}), UdpPort{static_cast<std::uint16_t>(30000 + place)}};
  media.advertised = media.local;
  media.shown.set(facts.type);
  media.shown.set(who.media == 0 ? 8 : 96);
  media.may_send = facts.may_send;
  media.may_receive = facts.may_receive;
  media.is_blocked = facts.is_blocked || facts.is_silenced;
  for (std::size_t leg = 0; leg < facts_.size(); ++leg) {
    if (leg != who.leg) media.sources.push_back({leg, who.media});
  }
  TransportSnapshot& snapshot = port(who);
  snapshot.destination[0] = media.signalled;
  media.seen.active = &snapshot;
  media.seen.recent_drops.span = recent_span();
}

void CallStory::drop(Party who, DropSide side, DropReason reason, Share packets) {
  MediaView& seen = call_.legs[who.leg].medias[who.media].seen;
  const std::uint32_t lately = rounded(packets[kLately]);
  seen.drops.add(reason, rounded(packets[kEarlier]) + lately);
  seen.recent_drops.add(side, reason, lately);
}

void CallStory::trait(Party who, DropSide side, DropReason reason, DropTrait trait, double packets) {
  RecentDrops& recent = call_.legs[who.leg].medias[who.media].seen.recent_drops;
  recent.add(side, reason, rounded(packets), trait);
}

void CallStory::refuse(Party who, DropReason reason, Share packets, const Endpoint& from) {
  const Facts& facts = of(who);
  MediaView& seen = call_.legs[who.leg].medias[who.media].seen;
  const std::uint32_t times = rounded(packets[kEarlier]) + rounded(packets[kLately]);
  if (times == 0) return;
  drop(who, DropSide::kArriving, reason, packets);
  if (from.address != call_.legs[who.leg].medias[who.media].signalled.address)
    trait(who, DropSide::kArriving, reason, DropTrait::kForeign, packets[kLately]);
  if (!is_counted(reason)) seen.counters[0].errors_in += times;
  Refusal refusal;
  refusal.reason = reason;
  refusal.type = PayloadType{facts.type};
  refusal.from = from;
  refusal.ssrc = is_apart(reason) ? Ssrc{0x9999} : ssrc_of(who);
  refusal.times = times;
  const Duration ended = std::max(facts.never_sends ? Duration{0} : facts.stops, Duration{0});
  refusal.first = rounded(packets[kEarlier]) > 0 ? now() - length_ : now() - kRecentTime;
  refusal.last = rounded(packets[kLately]) > 0 ? now() - ended : now() - kRecentTime;
  const auto known = std::ranges::find_if(
      seen.refusals, [&](const Refusal& each) { return each.reason == reason && each.from == from; });
  if (known == seen.refusals.end()) {
    seen.refusals.push_back(refusal);
  } else {
    known->times += times;
    known->first = std::min(known->first, refusal.first);
    known->last = std::max(known->last, refusal.last);
  }
}

CallStory::Spoken CallStory::speak(Party who) {
  const Facts& facts = of(who);
  MediaView& seen = call_.legs[who.leg].medias[who.media].seen;
  const std::array<double, kEras> seconds = seconds_of(facts);
  Spoken spoken;
  std::array<std::uint32_t, kEras> doubled{};
  std::array<std::uint32_t, kEras> reordered{};
  std::array<std::uint32_t, kEras> bursts{};
  std::vector<Share> refused(facts.refused.size());
  for (std::size_t era = 0; era < kEras; ++era) {
    const double sent = seconds[era] * kRate;
    double left = sent * (1 - facts.lost[era]);
    double expected = sent;
    for (std::size_t i = 0; i < refused.size(); ++i) {
      const DropReason reason = facts.refused[i].reason;
      refused[i][era] = left * facts.refused[i].share[era];
      if (is_counted(reason)) continue;
      if (is_apart(reason)) expected -= refused[i][era];
    }
    for (std::size_t i = 0; i < refused.size(); ++i) {
      if (!is_counted(facts.refused[i].reason)) left -= refused[i][era];
    }
    spoken.accepted[era] = rounded(std::max(0.0, left));
    spoken.expected[era] = spoken.accepted[era] == 0 ? 0 : rounded(expected);
    doubled[era] = rounded(facts.doubled[era] * spoken.accepted[era]);
    reordered[era] = rounded(facts.reordered[era] * spoken.accepted[era]);
    bursts[era] = (spoken.expected[era] - spoken.accepted[era] + facts.run - 1) / facts.run;
  }
  const Endpoint own = call_.legs[who.leg].medias[who.media].signalled;
  for (std::size_t i = 0; i < refused.size(); ++i) {
    const DropReason reason = facts.refused[i].reason;
    refuse(who, reason, refused[i], is_of_elsewhere(reason) ? stranger() : own);
    if (!is_of_elsewhere(reason) && !is_counted(reason) && !is_apart(reason) && spoken.accepted[kLately] != 0)
      trait(who, DropSide::kArriving, DropReason::kNone, DropTrait::kInGap, refused[i][kLately]);
  }
  for (const Stranger& each : facts.strangers) {
    const double earlier = std::max(0.0, in_seconds(length_ - kRecentTime));
    const Share packets{each.per_second[kEarlier] * earlier,
                        each.per_second[kLately] * in_seconds(recent_span())};
    refuse(who, each.reason, packets, each.is_copy ? own : stranger());
    if (each.is_copy) trait(who, DropSide::kArriving, each.reason, DropTrait::kCopy, packets[kLately]);
  }
  const std::uint32_t accepted = spoken.accepted[kEarlier] + spoken.accepted[kLately];
  if (accepted == 0) return spoken;

  MediaView::Stream stream;
  SsrcCounters& c = stream.counters;
  const std::uint32_t expected = spoken.expected[kEarlier] + spoken.expected[kLately];
  c.ssrc = ssrc_of(who);
  c.duplicates = doubled[kEarlier] + doubled[kLately];
  c.packets = accepted + c.duplicates;
  c.bytes = c.packets * kSize;
  c.base_extended = kFirstNumber;
  c.highest_extended = kFirstNumber + expected - 1;
  c.reordered = reordered[kEarlier] + reordered[kLately];
  c.loss_bursts = bursts[kEarlier] + bursts[kLately];
  c.longest_loss_burst = c.loss_bursts == 0 ? 0 : facts.run;
  c.longest_gap_ticks = (c.longest_loss_burst + 1) * 20'000'000 >> 10;
  c.clock_rate_hz = kClockHz;
  c.jitter_q4 = jitter_q4(facts.jitter[kLately]);
  c.jitter_max_q4 = jitter_q4(std::max(facts.jitter[kEarlier], facts.jitter[kLately]));
  c.jitter_sum_q4 = std::uint64_t{spoken.accepted[kEarlier]} * jitter_q4(facts.jitter[kEarlier]) +
                    std::uint64_t{spoken.accepted[kLately]} * jitter_q4(facts.jitter[kLately]);
  c.last_payload_type = facts.type;
  c.last_payload_size = facts.last_payload_size;
  c.idle_by_bye = facts.goodbye;
  const Duration ended =
      facts.stops_when_held ? std::max(facts.stops, signalled_.value_or(length_)) : facts.stops;
  c.first_packet = now() - std::min(length_, facts.starts.value_or(length_));
  c.last_packet = now() - (spoken.accepted[kLately] > 0 ? ended : std::max<Duration>(ended, kRecentTime));
  if (who.media == 0) {
    c.g711_packets = c.packets;
    c.last_audible =
        facts.was_never_audible ? Instant{} : now() - std::max(ended, facts.mute_since.value_or(0s));
    const Instant mute_since = facts.was_never_audible ? c.first_packet : c.last_audible;
    c.silent_packets =
        static_cast<std::uint64_t>(std::max(0.0, in_seconds(c.last_packet - mute_since)) * kRate);
    if (facts.was_never_audible) c.silent_packets = c.g711_packets;
  }
  RecentStream& recent = stream.recent;
  recent.span = recent_span();
  recent.counts.packets = spoken.accepted[kLately] + doubled[kLately];
  recent.counts.bytes = recent.counts.packets * kSize;
  recent.counts.expected = spoken.expected[kLately];
  recent.counts.duplicates = doubled[kLately];
  recent.counts.reordered = reordered[kLately];
  recent.counts.loss_bursts = bursts[kLately];
  recent.counts.jitter_sum_q4 = spoken.accepted[kLately] * jitter_q4(facts.jitter[kLately]);
  recent.jitter = facts.jitter[kLately];
  recent.longest_burst = bursts[kLately] == 0 ? 0 : facts.run;
  seen.ingress.push_back(stream);
  seen.counters[0].packets_in = c.packets;
  seen.counters[0].bytes_in = c.bytes;
  seen.last_packet[0] = c.last_packet;

  TransportSnapshot& snapshot = port(who);
  snapshot.latch[0].state = Latch::State::kLocked;
  snapshot.latch[0].peer = call_.legs[who.leg].medias[who.media].signalled;
  snapshot.latch[0].last_packet = snapshot.last_packet[0] = c.last_packet;
  snapshot.verified = true;
  return spoken;
}

void CallStory::listen(Party who, const std::vector<std::vector<Spoken>>& spoken) {
  const Facts& facts = of(who);
  MediaEvidence& media = call_.legs[who.leg].medias[who.media];
  MediaView& seen = media.seen;
  for (const MediaEvidence::Source& source : media.sources) {
    const Party sender{source.leg, source.media};
    const Facts& speaker = of(sender);
    const Spoken& taken = spoken[sender.leg][sender.media];
    Share accepted{static_cast<double>(taken.accepted[kEarlier]),
                   static_cast<double>(taken.accepted[kLately])};
    // What was counted and then not passed on.
    for (const Refused& each : speaker.refused) {
      for (std::size_t era = 0; era < kEras; ++era)
        if (is_counted(each.reason)) accepted[era] -= accepted[era] * each.share[era];
    }
    if (!speaker.may_send || !facts.may_receive) {
      // Only what came since the message that held it.
      const double held = std::min(1.0, in_seconds(signalled_.value_or(length_)) / in_seconds(kRecentTime));
      const Share dropped{speaker.stops_when_held ? 0.0 : accepted[kEarlier],
                          speaker.stops_when_held ? 0.0 : accepted[kLately] * held};
      refuse(sender, DropReason::kDirection, dropped, port(sender).latch[0].peer);
      for (std::size_t era = 0; era < kEras; ++era) accepted[era] -= dropped[era];
    }
    if (speaker.is_blocked) {
      refuse(sender, DropReason::kBlocked, accepted, port(sender).latch[0].peer);
      accepted = {};
    }
    Share sent = accepted;
    for (const Refused& each : facts.leaving) {
      Share dropped;
      for (std::size_t era = 0; era < kEras; ++era) {
        dropped[era] = accepted[era] * each.share[era];
        sent[era] -= dropped[era];
      }
      drop(who, DropSide::kLeaving, each.reason, dropped);
      // Of packets that come twice the second one may not leave again.
      const double copies = speaker.doubled[kLately] * accepted[kLately];
      if (each.reason == DropReason::kReplayed)
        trait(who, DropSide::kLeaving, each.reason, DropTrait::kCopy, std::min(dropped[kLately], copies));
    }
    for (const Failed& each : facts.failed) {
      Share failed;
      for (std::size_t era = 0; era < kEras; ++era) failed[era] = sent[era] * each.share[era];
      const std::uint32_t times = rounded(failed[kEarlier]) + rounded(failed[kLately]);
      if (times == 0) continue;
      if (!each.is_remote) {
        seen.counters[0].errors_out += times;
        drop(who, DropSide::kLeaving, DropReason::kSendFailed, failed);
      }
      const bool goes_on = rounded(failed[kLately]) > 0;
      SendFailure failure{each.error, media.signalled, {}, times, now() - length_, now()};
      if (rounded(failed[kEarlier]) == 0) failure.first = now() - kRecentTime;
      if (!goes_on) failure.last = now() - kRecentTime;
      seen.failures.push_back(failure);
      const bool pauses =
          each.error == SendError::kPortUnreachable || each.error == SendError::kHostUnreachable;
      if (pauses && each.is_remote && goes_on) port(who).paused[0] = true;
    }
    const std::uint32_t earlier = rounded(std::max(0.0, sent[kEarlier]));
    const std::uint32_t lately = rounded(std::max(0.0, sent[kLately]));
    if (earlier + lately == 0) continue;
    MediaView::OutStream out;
    const SsrcCounters& heard = call_.legs[sender.leg].medias[sender.media].seen.ingress.front().counters;
    out.counters.ssrc = heard.ssrc;
    out.counters.packets = earlier + lately;
    out.counters.bytes = out.counters.packets * kSize;
    out.counters.base_extended = heard.base_extended;
    out.counters.highest_extended = heard.highest_extended;
    out.counters.first_packet = heard.first_packet;
    out.counters.last_packet =
        lately > 0 ? heard.last_packet : std::min(heard.last_packet, now() - kRecentTime);
    out.counters.last_payload_type = heard.last_payload_type;
    out.recent.span = recent_span();
    out.recent.counts.packets = lately;
    out.recent.counts.bytes = lately * kSize;
    out.recent.counts.expected = taken.expected[kLately];
    seen.egress.push_back(out);
    seen.recent_sent += lately;
    seen.counters[0].packets_out += out.counters.packets;
    seen.counters[0].bytes_out += out.counters.bytes;
    if (!facts.reported) continue;
    ListenerReport report;
    report.about = heard.ssrc;
    report.at = now() - 1s;
    report.highest_extended = out.counters.highest_extended;
    // The party cannot know where a number was lost: what never left here is missing at its end, too.
    const auto missing = [&](std::size_t era, std::uint32_t left_here) {
      const std::uint32_t before = taken.expected[era] - std::min(taken.expected[era], left_here);
      return before + rounded((*facts.reported)[era] * left_here);
    };
    const std::uint32_t missed_earlier = missing(kEarlier, earlier);
    const std::uint32_t missed_lately = missing(kLately, lately);
    const double share = taken.expected[kLately] == 0 ? 0.0 : 1.0 * missed_lately / taken.expected[kLately];
    report.fraction_lost = static_cast<std::uint8_t>(std::min(255.0, share * 256));
    report.cumulative_lost = static_cast<std::int32_t>(missed_earlier + missed_lately);
    if (earlier > 0)
      report.earlier = {static_cast<std::int32_t>(missed_earlier),
                        report.highest_extended - taken.expected[kLately], now() - kRecentTime - 1s};
    seen.reports.push_back(report);
  }
}

}  // namespace ferry::test

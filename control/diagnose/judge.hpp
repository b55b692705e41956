// SPDX-License-Identifier: Apache-2.0
// The base of the two judges, of senders and of listeners: their evidence, and the verdict that they write.
// Internal to this folder.
#pragma once

#include "control/diagnose/call_evidence.hpp"
#include "control/diagnose/hearing.hpp"
#include "control/diagnose/spoken.hpp"
#include "control/diagnose/verdict.hpp"

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace ferry {

/// Who hears whom in a call. `MediaEvidence::sources` names the senders of each listener; this is the other
/// way round, made once for all judges.
struct Hearers {
  explicit Hearers(const CallEvidence& call);
  /// Every media of the call has a place, in the order of its legs. `first_place` has that of the first media
  /// of each leg; `places` is their number.
  std::vector<std::size_t> first_place;
  std::size_t places = 0;
  /// The leg and media of those that are to hear a sender, by the sender's place.
  std::vector<std::vector<MediaEvidence::Source>> of;

  /// Place of a media.
  [[nodiscard]] std::size_t place_of(const MediaEvidence::Source& source) const {
    return first_place[source.leg] + source.media;
  }
};

/// The media that is judged, with all that judges need. Everything is borrowed. `with_words`: sentences and
/// evidence are wanted.
struct JudgedMedia {
  const CallEvidence& call;
  const LegEvidence& leg;
  const MediaEvidence& media;
  /// What each party spoke, by place; `place` is that of the media that is judged.
  std::span<const Spoken> spoken;
  const Hearers& hearers;
  std::size_t place = 0;
  bool with_words = true;
};

/// Judges what comes from the party: is it what the others are to hear?
[[nodiscard]] MediaVerdict judge_sender(const JudgedMedia& judged);
/// Judges what the party hears, and traces a fault back to the place where it happens. `senders` are the
/// verdicts on what comes from each party, by place.
[[nodiscard]] MediaVerdict judge_listener(const JudgedMedia& judged, std::span<const MediaVerdict> senders);

/// Base of the two judges. It lives for one judgement.
class Judge {
 protected:
  explicit Judge(const JudgedMedia& judged)
      : call_(judged.call),
        leg_(judged.leg),
        media_(judged.media),
        seen_(judged.media.seen),
        with_words_(judged.with_words) {}

  /// Begins a verdict on this media.
  void begin(MediaDirection direction) {
    verdict_ = {};
    verdict_.leg = leg_.name;
    verdict_.media = media_.index;
    verdict_.type = media_.type;
    verdict_.direction = direction;
  }
  template <class... Arguments>
  /// Sets the cause, and the sentence if words are wanted.
  void say(Cause cause, fmt::format_string<const Arguments&...> sentence, const Arguments&... arguments) {
    verdict_.cause = cause;
    if (with_words_) verdict_.sentence = fmt::format(sentence, arguments...);
  }
  /// Sets severity and reception where they differ from the row of the cause.
  void grade_as(Severity severity, Reception reception) {
    verdict_.graded = severity;
    verdict_.received = reception;
  }
  template <class... Arguments>
  /// Adds a line of evidence if words are wanted.
  void add(fmt::format_string<const Arguments&...> line, const Arguments&... arguments) {
    if (with_words_) verdict_.evidence.push_back(fmt::format(line, arguments...));
  }

  /// Time that has passed since `then`.
  [[nodiscard]] Duration age(Instant then) const { return call_.now - then; }
  /// True if `then` is set and within the last seconds (`kRecent`).
  [[nodiscard]] bool is_recent(Instant then) const { return then != Instant{} && age(then) < kRecent; }
  /// Writes an instant with its age; empty if no words are wanted.
  [[nodiscard]] std::string ago(Instant then) const {
    if (!with_words_) return {};
    const auto wall = call_.wall - age(then);
    return fmt::format("{:%H:%M:%S} UTC ({:.0f} s ago)",
                       std::chrono::time_point_cast<std::chrono::seconds>(wall),
                       std::chrono::duration<double>(age(then)).count());
  }
  /// Writes an instant for a sentence; words must be wanted.
  [[nodiscard]] std::string clock_and_age(Instant then) const {
    const auto wall = call_.wall - age(then);
    return fmt::format("{:%H:%M:%S} UTC ({:.0f} s)", std::chrono::time_point_cast<std::chrono::seconds>(wall),
                       std::chrono::duration<double>(age(then)).count());
  }
  /// Time of the newest packet of media, whichever port it came to; unset = none came.
  [[nodiscard]] Instant last_media() const { return last_media_of(media_); }
  [[nodiscard]] static Instant last_media_of(const MediaEvidence& media) {
    // If the media is a fax, its RTP streams are those from before the fax.
    const MediaView::Stream* stream = media.is_rtp ? media.seen.newest_stream() : nullptr;
    if (stream != nullptr) return stream->counters.last_packet;
    return media.is_rtp && media.is_muxed ? Instant{} : media.seen.last_packet[0];
  }
  /// Time of the newest packet of RTCP, whichever port it came to; unset = none came.
  [[nodiscard]] Instant last_rtcp() const {
    const Instant muxed =
        media_.is_muxed && seen_.last_packet[0] > last_media() ? seen_.last_packet[0] : Instant{};
    return std::max(seen_.last_packet[1], muxed);
  }
  /// True if media ever came from the party.
  [[nodiscard]] bool was_heard() const { return last_media() != Instant{}; }
  /// True if media still comes from the party.
  [[nodiscard]] bool is_heard() const { return was_heard() && age(last_media()) < kStoppedAfter; }
  /// True if the source of the party's RTP is locked.
  [[nodiscard]] bool is_locked() const {
    return seen_.active != nullptr && seen_.active->latch[0].state == Latch::State::kLocked;
  }
  /// The refusal of packets for this reason, if the newest one is recent; else null.
  [[nodiscard]] const Refusal* recent(DropReason reason) const {
    const Refusal* found = seen_.refusal(reason);
    return found != nullptr && is_recent(found->last) ? found : nullptr;
  }
  /// The source that was learned for the party's RTP; unset if there is none.
  [[nodiscard]] Endpoint learned() const {
    return seen_.active == nullptr ? Endpoint{} : seen_.active->latch[0].peer;
  }
  /// Where its RTP is sent; unset = not known yet.
  [[nodiscard]] Endpoint destination() const {
    return seen_.active == nullptr ? media_.signalled : seen_.active->destination[0];
  }
  /// The media of one of its senders.
  [[nodiscard]] const MediaEvidence& media_of(const MediaEvidence::Source& source) const {
    return call_.legs[source.leg].medias[source.media];
  }
  /// The party's name, and its media type, for sentences.
  [[nodiscard]] const std::string& name() const { return leg_.name; }
  [[nodiscard]] std::string_view what() const {
    return media_.type.empty() ? std::string_view("media") : std::string_view(media_.type);
  }

  /// Adds what is known of the party's addresses to the evidence.
  void describe_address() {
    if (!with_words_) return;
    if (media_.signalled.is_set())
      add("its SDP says {}{}", media_.signalled.to_string(),
          media_.is_void ? ", which cannot be reached from here" : "");
    for (const std::string& each : media_.left_out) add("left out: {}", each);
    if (media_.signalling_source.family() != AddressFamily::kNone)
      add("its signalling came from {}", media_.signalling_source.to_string());
    if (media_.advertised.is_set()) add("it was told to send to {}", media_.advertised.to_string());
    // With ICE nobody is learned: the selected pair is the only source (LAT-10).
    if (!media_.has_ice) add("sources that may be learned: {}", to_string(media_.policy));
  }
  /// Adds a refusal to the evidence.
  void describe(const Refusal& refusal) {
    if (!with_words_) return;
    add("{}: {}{}, last at {}", to_string(refusal.reason),
        refusal.times == 1 ? "once" : fmt::format("{} times", refusal.times),
        refusal.from.is_set() ? " from " + refusal.from.to_string() : "", ago(refusal.last));
  }
  /// Adds what may be the reason of a fault to the evidence: the party may need a BUNDLE group (BND-9).
  void describe_lost_group() {
    if (!media_.has_lost_group || verdict_.severity() != Severity::kFault) return;
    add("its offer had a BUNDLE group, which the relay did not take (bundle=reject, or the option bundle): a "
        "client with max-bundle cannot use an answer without a group");
  }
  /// Judges media that the parties encrypt from end to end. The relay sees no more than where it goes.
  void judge_end_to_end() {
    if (verdict_.direction == MediaDirection::kFrom && media_.is_blocked) {
      say(Cause::kBlocked, "a command or flag blocks or silences what {} sends through the relay", name());
    } else {
      say(Cause::kEndToEnd, "the {} of {} is encrypted from end to end, and may go past the relay", what(),
          name());
    }
    const Endpoint selected = learned();
    if (selected.is_set())
      add("{} answers at {}: media may pass through the relay", name(), selected.to_string());
    else
      add("{} has not answered ICE checks through the relay: media goes past it, or nowhere", name());
    for (const DropReason reason :
         {DropReason::kStunRefused, DropReason::kForeignSource, DropReason::kSourceNotAllowed,
          DropReason::kUnknownProtocol, DropReason::kRateLimited}) {
      if (const Refusal* refusal = seen_.refusal(reason)) describe(*refusal);
    }
  }
  /// Judges what signalling alone explains. True if a verdict was found.
  bool judge_signalling() {
    if (!media_.unrelayed.empty()) {
      say(Cause::kNotRelayed, "this {} of {} is not relayed: {}", what(), name(), media_.unrelayed);
      return true;
    }
    if (media_.is_end_to_end) {
      judge_end_to_end();
      return true;
    }
    if (media_.is_rejected) {
      say(Cause::kDeclined, "{} declined this {}", name(), what());
      return true;
    }
    if (media_.is_proposed) {
      say(Cause::kWaiting, "an offer added this {} of {}, and it is not answered yet", what(), name());
      return true;
    }
    if (!media_.signalled.is_set() && call_.refused && call_.refused->is_answer) {
      const bool by_family = call_.refused->wrong_family;
      if (by_family)
        say(Cause::kWrongFamily,
            "the answer of {} was refused: its address is of an IP version that its side of the relay lacks",
            name());
      else
        say(Cause::kAnswerRefused, "the answer of {} was refused: {}", name(), call_.refused->reason);
      add("at {}, with '{}'", ago(call_.refused->at), call_.refused->reason);
      return true;
    }
    if (!media_.signalled.is_set()) {
      say(Cause::kWaiting, "{} has not answered with an address yet", name());
      return true;
    }
    return false;
  }

  const CallEvidence& call_;
  const LegEvidence& leg_;
  const MediaEvidence& media_;
  const MediaView& seen_;
  bool with_words_;
  MediaVerdict verdict_;
};

}  // namespace ferry

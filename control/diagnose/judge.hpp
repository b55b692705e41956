// What both judges of a media need: its evidence, and the verdict that they write. Internal to this folder.
#pragma once

#include "control/diagnose/explain.hpp"
#include "control/diagnose/hearing.hpp"
#include "control/diagnose/spoken.hpp"

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace ferry {

/// Which media of a call is judged, and whether sentences and evidence are wanted. All of it is borrowed.
struct JudgedMedia {
  const CallEvidence& call;
  const LegEvidence& leg;
  const MediaEvidence& media;
  /// What each party spoke, in the order of the call's legs and their medias; this media is at `place`.
  std::span<const Spoken> spoken;
  std::size_t place = 0;
  bool with_words = true;
};

/// Judges what comes from the party: is it what the others are to hear?
[[nodiscard]] MediaVerdict judge_sender(const JudgedMedia& judged);
/// Judges what the party hears, traced back from the party to the place where it went wrong.
/// `senders` are the verdicts on what comes from each party, in the order of `JudgedMedia::spoken`.
[[nodiscard]] MediaVerdict judge_listener(const JudgedMedia& judged, std::span<const MediaVerdict> senders);

/// Base of the two judges.
class Judge {
 protected:
  explicit Judge(const JudgedMedia& judged)
      : call_(judged.call),
        leg_(judged.leg),
        media_(judged.media),
        seen_(judged.media.seen),
        with_words_(judged.with_words) {}

  void begin(MediaDirection direction) {
    verdict_ = {};
    verdict_.leg = leg_.name;
    verdict_.media = media_.index;
    verdict_.type = media_.type;
    verdict_.direction = direction;
  }
  template <class... Arguments>
  void say(Cause cause, fmt::format_string<const Arguments&...> sentence, const Arguments&... arguments) {
    verdict_.cause = cause;
    if (with_words_) verdict_.sentence = fmt::format(sentence, arguments...);
  }
  template <class... Arguments>
  void add(fmt::format_string<const Arguments&...> line, const Arguments&... arguments) {
    if (with_words_) verdict_.evidence.push_back(fmt::format(line, arguments...));
  }

  [[nodiscard]] Duration age(Instant then) const { return call_.now - then; }
  [[nodiscard]] bool is_recent(Instant then) const { return then != Instant{} && age(then) < kRecent; }
  [[nodiscard]] std::string ago(Instant then) const {
    if (!with_words_) return {};
    const auto wall = call_.wall - age(then);
    return fmt::format("{:%H:%M:%S} UTC ({:.0f} s ago)",
                       std::chrono::time_point_cast<std::chrono::seconds>(wall),
                       std::chrono::duration<double>(age(then)).count());
  }
  /// The newest packet of media, and of RTCP, wherever it came to.
  [[nodiscard]] Instant last_media() const { return last_media_of(media_); }
  [[nodiscard]] static Instant last_media_of(const MediaEvidence& media) {
    // Of a fax the streams of RTP are of the time before it.
    const MediaView::Stream* stream = media.is_rtp ? media.seen.newest_stream() : nullptr;
    if (stream != nullptr) return stream->counters.last_packet;
    return media.is_rtp && media.is_muxed ? Instant{} : media.seen.last_packet[0];
  }
  [[nodiscard]] Instant last_rtcp() const {
    const Instant muxed =
        media_.is_muxed && seen_.last_packet[0] > last_media() ? seen_.last_packet[0] : Instant{};
    return std::max(seen_.last_packet[1], muxed);
  }
  [[nodiscard]] bool was_heard() const { return last_media() != Instant{}; }
  [[nodiscard]] bool is_heard() const { return was_heard() && age(last_media()) < kStoppedAfter; }
  [[nodiscard]] bool is_locked() const {
    return seen_.active != nullptr && seen_.active->latch[0].state == Latch::State::kLocked;
  }
  [[nodiscard]] const Refusal* recent(DropReason reason) const {
    const Refusal* found = seen_.refusal(reason);
    return found != nullptr && is_recent(found->last) ? found : nullptr;
  }
  [[nodiscard]] Endpoint learned() const {
    return seen_.active == nullptr ? Endpoint{} : seen_.active->latch[0].peer;
  }
  [[nodiscard]] const std::string& name() const { return leg_.name; }
  [[nodiscard]] std::string_view what() const {
    return media_.type.empty() ? std::string_view("media") : std::string_view(media_.type);
  }

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
  void describe(const Refusal& refusal) {
    if (!with_words_) return;
    add("{}: {}{}, last at {}", to_string(refusal.reason),
        refusal.times == 1 ? "once" : fmt::format("{} times", refusal.times),
        refusal.from.is_set() ? " from " + refusal.from.to_string() : "", ago(refusal.last));
  }
  /// True if a verdict was found.
  bool judge_signalling() {
    if (!media_.unrelayed.empty()) {
      say(Cause::kNotRelayed, "this {} of {} is not relayed: {}", what(), name(), media_.unrelayed);
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

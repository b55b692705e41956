// SPDX-License-Identifier: Apache-2.0
// An event of a call, its types and its fields. The tables serve code and documents.
#pragma once

#include "relay/base/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ferry::events {

/// What happened. `kEventRows` explains each value.
enum class EventType : std::uint8_t {
  kCallStart,
  kCallEnd,
  kMediaStart,
  kLatched,
  kOneWay,
  kTimeout,
  kDtmf,
  kQuality,
  kRecordingStart,
  kRecordingEnd,
  kLost,
  kCount
};
inline constexpr std::size_t kEventTypes = static_cast<std::size_t>(EventType::kCount);

/// One type of event with its texts for people.
struct EventRow {
  EventType type;
  /// Name in JSON and filters; never changed once released.
  std::string_view name;
  /// What happened.
  std::string_view meaning;
  /// Names of the fields that it has beside those of all events.
  std::string_view fields;
};

// clang-format off
inline constexpr std::array kEventRows = std::to_array<EventRow>({
  {EventType::kCallStart, "call-start", "the first message of a call was taken", "tags, left-out"},
  {EventType::kCallEnd, "call-end", "a call is over, and its ports have been counted", "reason, duration, severity, verdict, streams, into, left-out"},
  {EventType::kMediaStart, "media-start", "the first packet of a party was accepted, once for each m-line", "tag, media, kind"},
  {EventType::kLatched, "latched", "the address that a party sends RTP or RTCP from was learned, because its SDP names another one", "tag, media, kind"},
  {EventType::kOneWay, "one-way", "a party (tag) hears nothing of another one, and nobody wants it so; or that is over", "state, cause, sentence, tag, media, lasted"},
  {EventType::kTimeout, "timeout", "a call ends because its media stopped or never came; call-end follows", "reason"},
  {EventType::kDtmf, "dtmf", "a party pressed a key of its phone and let go of it; which one is told only with event-digits=yes", "tag, event, digit, duration-ms, volume"},
  {EventType::kQuality, "quality", "a party (tag) hears another one badly; or that is over", "state, cause, sentence, tag, media, lasted"},
  {EventType::kRecordingStart, "recording-start", "a recording of the call began", "by"},
  {EventType::kRecordingEnd, "recording-end", "a recording of the call ended; its files may still be on their way", "reason"},
  {EventType::kLost, "lost", "the receiver was too slow, or came too late: so many events before this one are gone for it", "count"},
});

/// One field of events with its texts for people.
struct FieldRow {
  std::string_view name;
  std::string_view type;
  std::string_view meaning;
};
/// All fields; the first four are in every event.
inline constexpr std::array kFieldRows = std::to_array<FieldRow>({
  {"id", "number", "grows with each event, over restarts too; below 2^53"},
  {"type", "text", "one of the types"},
  {"time", "text", "when the relay noticed it: UTC, ISO 8601, with milliseconds"},
  {"call-id", "text", "the Call-ID; empty in lost. Texts of more than 256 octets are cut, with ... and 16 digits in place of the rest, which tell different texts apart"},
  {"tags", "list of texts", "the tags of the parties that are known so far"},
  {"tag", "text", "the party's tag, or its label or number if it has none"},
  {"media", "number", "the m-line of the party, from 1; of a BUNDLE group the first one"},
  {"kind", "text", "the type of that m-line, such as audio"},
  {"state", "text", "bad when it begins, recovered when it is over"},
  {"cause", "text", "the verdict, see [Verdicts](#verdicts)"},
  {"sentence", "text", "who does not hear whom and why, for people; only if state is bad"},
  {"lasted", "number", "how long it was bad, s; only if state is recovered"},
  {"reason", "text", "why the call ended, as in the log line of the call (cdr), and merged or relay-stopped; or why the recording ended"},
  {"duration", "number", "how long the call lasted, s"},
  {"severity", "text", "fine, note or fault: the worst verdict about the call"},
  {"verdict", "text", "its cause"},
  {"streams", "list of objects", "the media of each party with its figures, as in the log line of the call (cdr)"},
  {"into", "text", "the Call-ID of the call that it became part of; only if reason is merged"},
  {"event", "number", "the event of RFC 4733: 0 to 15 are keys; missing as digit is"},
  {"digit", "text", "the key as people write it: 0 to 9, *, #, A to D; missing without event-digits=yes, while the recording of the call is paused, and while digits of the party are guarded (block DTMF)"},
  {"duration-ms", "number", "how long the key was pressed, ms"},
  {"volume", "number", "its level in dBm0 without the minus sign"},
  {"by", "text", "who asked for the recording"},
  {"left-out", "number", "how many tags or streams it leaves out; only if there are more than 64"},
  {"count", "number", "how many events, of all types and calls; missing if nobody knows"},
});
// clang-format on
static_assert(kEventRows.size() == kEventTypes);
static_assert(
    [] {
      for (std::size_t i = 0; i < kEventTypes; ++i) {
        if (static_cast<std::size_t>(kEventRows[i].type) != i) return false;
      }
      return true;
    }(),
    "rows are in the order of the enum");

/// The type's `name`.
constexpr std::string_view to_string(EventType type) noexcept {
  return kEventRows[static_cast<std::size_t>(type)].name;
}
/// The type of that name; nothing if there is none.
[[nodiscard]] std::optional<EventType> parse_event_type(std::string_view name) noexcept;

/// Writes a time for people and programs: `2026-01-31T12:00:00.000Z`.
[[nodiscard]] std::string iso_time(WallTime time);

/// The most octets of a text of the network in an event, and the most elements of a list.
inline constexpr std::size_t kMostText = 256;
inline constexpr std::size_t kMostElements = 64;
/// The text, or its beginning with a mark if it is longer than `most` octets. Different texts stay different.
[[nodiscard]] std::string cut(std::string_view text, std::size_t most = kMostText);

/// An event that was published. Plain values.
struct Event {
  /// Unique in this relay, over restarts too.
  std::uint64_t number = 0;
  EventType type = EventType::kLost;
  /// The Call-ID as `cut` has it; empty if it concerns no call.
  std::string call_id;
  /// The event as one line of JSON in ASCII, without the end of the line.
  std::string text;
};

}  // namespace ferry::events

// SPDX-License-Identifier: Apache-2.0
// Makes events of what happens to calls.
#pragma once

#include "control/events/event_stream.hpp"
#include "control/session/observer.hpp"
#include "relay/base/memory.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ferry::events {

/// Whether events of `dtmf` say which key was pressed.
enum class DigitDisplay : std::uint8_t { kHidden, kShown };

/// Publishes what observers of calls are told. Without memory an event is left out and counted
/// (`EventCounts::without_memory`), and calls go on (C-12). Workers do not tell of the first packet of a
/// party, so `look` asks the counters of those that were not heard so far. Control thread only.
class CallEvents final : public CallObserver {
 public:
  /// How often `look` should be called, and the most calls that one look passes.
  static constexpr Duration kLookInterval = std::chrono::milliseconds(100);
  static constexpr std::size_t kLooks = 1024;

  /// `stream` must outlive this object. `wall` gives the time of events. Whatever `digits` says, no digit is
  /// told while a recording of the call is paused (REC-3) or digits of the party are guarded (CTL-11).
  CallEvents(EventStream& stream, std::function<WallTime()> wall, DigitDisplay digits = DigitDisplay::kHidden)
      : stream_(stream), wall_(std::move(wall)), digits_(digits) {}

  /// Publishes the first packet of parties that were not heard before. Bounded, whatever the number of calls.
  void look();
  /// Publishes the end of every call that goes on, because the relay stops, and of those that have ended and
  /// whose report has not come.
  void stop();
  /// Calls of which a party has not been heard yet.
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

  void on_planned(Call& call) override;
  void on_merged(Call& call, Call& other) override;
  void on_event(const MediaTransport& transport, TransportEvent event) override;
  void on_dtmf(Call& call, Leg& leg, const DtmfEvent& event) override;
  void on_ending(Call& call, EndReason reason, const Clock& clock) override;
  void on_forgotten(Call& call) override;
  void on_report(const CallReport& report) override;
  void on_health(const Call& call, const HealthNews& news) override;
  void on_recording(const Call& call, RecordingStep step, std::string_view why) override;

 private:
  /// What was published of a running call.
  struct Told {
    /// Its place in `waiting_`; unset if it is not there.
    std::optional<std::size_t> place;
    /// Medias whose first packet was published, with all that share their transport.
    std::vector<MediaId> heard;
    /// The type of event that said that the call became bad; unset if it is not bad.
    std::optional<EventType> bad;
  };
  /// A call whose report is still to come.
  struct Ending {
    std::string id;
    std::string call_id;
    EndReason reason = EndReason::kRegular;
  };

  /// Runs a step that may run out of memory.
  template <class Step>
  void attempt(Step&& step) noexcept {
    if (!had_memory(std::forward<Step>(step))) stream_.note_lack_of_memory();
  }

  void publish(EventType type, std::string_view call_id, nlohmann::json fields);
  [[nodiscard]] bool shows_digit(const Call& call, const Leg& leg) const;
  /// Publishes the first packets of one call. True if all its parties were heard.
  bool look_at(const Call& call, Told& told);
  /// What was published of the call. Publishes its beginning if that was not done yet.
  Told& begin(const Call& call);
  void wait(const Call& call, Told& told);
  void wait_no_longer(Told& told) noexcept;
  void forget(const Call& call) noexcept;

  EventStream& stream_;
  std::function<WallTime()> wall_;
  DigitDisplay digits_;
  /// The calls whose beginning was published.
  std::unordered_map<const Call*, Told> told_;
  /// Those of which a party was not heard so far, and the one that is looked at next.
  std::vector<const Call*> waiting_;
  std::size_t next_ = 0;
  /// In the order in which they ended, which is that of the reports.
  std::deque<Ending> endings_;
};

}  // namespace ferry::events

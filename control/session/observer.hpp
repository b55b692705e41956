// SPDX-License-Identifier: Apache-2.0
// What happens to calls, and who is told.
#pragma once

#include "control/call/call.hpp"
#include "control/call/totals.hpp"
#include "control/diagnose/verdict.hpp"
#include "control/session/health_watch.hpp"
#include "relay/worker/worker.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// What one media of one party sent and got, in a call that is over.
struct StreamReport {
  /// The party's name for operators, the number of its m-line, and its type.
  std::string leg;
  unsigned media = 0;
  std::string type;
  /// The stream that was heard last. No packets if none was heard.
  SsrcCounters stream;
  /// Its last seconds before the end. No span if nothing is known of them.
  RecentStream recent;
  /// Its MOS; 0 = unknown.
  double mos = 0;
  /// RTP packets of its ports that arrived and left, and all datagrams that were dropped.
  std::uint64_t packets_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t refused = 0;
  /// The verdicts of what came from the party and of what went to it.
  Cause from = Cause::kFine;
  Cause to = Cause::kFine;
};

/// The report of a call that is over, for its record, metrics and explanations.
struct CallReport {
  std::string call_id;
  WallTime created{};
  WallTime ended{};
  Duration duration{0};
  EndReason reason = EndReason::kRegular;
  Explanation explanation;
  std::vector<StreamReport> streams;
};

/// What becomes of a recording.
enum class RecordingStep : std::uint8_t { kBegan, kEnded };

/// Is told what happens to calls. All members do nothing by default. Several observers may listen; they are
/// told in the order in which they were added. Control thread only. Only `on_created` may throw, for lack of
/// memory.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  /// The call was made or restored. It has no parties yet.
  virtual void on_created(Call& call, Instant now);
  /// The workers were told new plans of the call, or that it has moved to another worker.
  virtual void on_planned(Call& call);
  /// These ports of the call are on another worker now. `before` was the name of their transport at the
  /// former one.
  virtual void on_moved(Call& call, const MediaTransport& transport, const LocalPorts& ports,
                        TransportId before);
  /// The parties of `other` became parties of `call`; `other` goes away.
  virtual void on_merged(Call& call, Call& other);
  /// The worker is about to be told to let go of `ports`. The observer may add to `removal` what it wants to
  /// know; it is filled in by the next fence.
  virtual void on_closing(Call& call, const LocalPorts& ports, RemoveTransport& removal);
  /// A worker noticed something about the media of a party.
  virtual void on_event(const MediaTransport& transport, TransportEvent event);
  /// A party pressed a key of its phone, or let go of it.
  virtual void on_dtmf(Call& call, Leg& leg, const DtmfEvent& event);
  /// A prompt has been played to its end.
  virtual void on_prompt_ended();
  /// The call is over. Its parties and ports are still there.
  virtual void on_ending(Call& call, EndReason reason, const Clock& clock);
  /// The last port of an ending call is closed.
  virtual void on_closed(Call& call);
  /// The workers have done everything they were told so far, so that endings may be finished.
  virtual void on_settled();
  /// The call goes away now. It may never have had media.
  virtual void on_forgotten(Call& call);
  /// The call has ended and the workers have told what they counted.
  virtual void on_report(const CallReport& report);
  /// A running call became bad, or has recovered.
  virtual void on_health(const Call& call, const HealthNews& news);
  /// True if somebody reads how messages of this call were understood.
  virtual bool wants_decisions(const Call& call);
  /// Says in one sentence how a message, or one of its sections, was understood.
  virtual void on_decision(const Call& call, const std::string& sentence);
  /// A recording was asked for, and there is no recorder.
  virtual void on_unrecorded(const Call& call);
  /// A recording of the call began, or ended. `why` says who asked for it, or why it ended.
  virtual void on_recording(const Call& call, RecordingStep step, std::string_view why);
};

/// All observers. Control thread only. They outlive this object, or are removed before.
class CallObservers {
 public:
  void add(CallObserver& observer) { observers_.push_back(&observer); }
  void remove(const CallObserver& observer) { std::erase(observers_, &observer); }
  /// Calls `member` of each observer.
  template <class... Parameters, class... Arguments>
  void tell(void (CallObserver::*member)(Parameters...), Arguments&&... arguments) const {
    for (CallObserver* each : observers_) (each->*member)(arguments...);
  }
  /// True if any of them wants decisions.
  [[nodiscard]] bool wants_decisions(const Call& call) const {
    bool wanted = false;
    for (CallObserver* each : observers_) wanted |= each->wants_decisions(call);
    return wanted;
  }

 private:
  std::vector<CallObserver*> observers_;
};

}  // namespace ferry

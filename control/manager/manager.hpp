// SPDX-License-Identifier: Apache-2.0
// All calls of this relay, and the entrance for everything that signalling and operators can do to them.
// Control thread only. It opens no socket itself: ports come from a `PortProvider`.
#pragma once

#include "control/call/call.hpp"
#include "control/call/peer_guard.hpp"
#include "control/call/peer_register.hpp"
#include "control/call/session_config.hpp"
#include "control/call/totals.hpp"
#include "control/command/digit_control.hpp"
#include "control/command/recordings.hpp"
#include "control/command/results.hpp"
#include "control/ports/interfaces.hpp"
#include "control/request/request.hpp"
#include "control/rtpproxy/sessions.hpp"
#include "control/session/call_limits.hpp"
#include "control/session/call_register.hpp"
#include "control/session/dtls_identities.hpp"
#include "control/session/early_fragments.hpp"
#include "control/session/endings.hpp"
#include "control/session/health_watch.hpp"
#include "control/session/lifetime.hpp"
#include "control/session/media_plane.hpp"
#include "control/session/observer.hpp"
#include "control/session/plan_sync.hpp"
#include "control/session/ports_desk.hpp"
#include "control/session/refused_requests.hpp"
#include "control/session/services.hpp"
#include "control/session/snapshots.hpp"
#include "control/session/taps.hpp"
#include "control/session/worker_events.hpp"
#include "control/view/explanations.hpp"
#include "control/view/health_rounds.hpp"
#include "control/view/show.hpp"
#include "control/view/where.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

struct RecordContext;

/// Owns the calls and the services, and carries out the commands that concern a whole call. One object for
/// the life of the daemon.
class SessionManager {
 public:
  /// Functions that are told about calls that ended by themselves, and about events of their media. Each may
  /// be empty.
  struct Listener {
    std::function<void(const Call&, EndReason)> on_end;
    /// The call has ended, and the workers have told what they counted.
    std::function<void(const CallReport&)> on_report;
    /// A running call became bad, or has recovered.
    std::function<void(const Call&, const HealthNews&)> on_health;
    std::function<void(const Call&, const Leg&, TransportEvent)> on_event;
    std::function<void(const Call&, const Leg&, const DtmfEvent&)> on_dtmf;
    /// True if somebody reads how messages of this call were understood. `on_decision` then gets a sentence
    /// for each message and each of its sections.
    std::function<bool(const Call&)> wants_decisions;
    std::function<void(const Call&, const std::string&)> on_decision;
    /// A recording was asked for, and there is no recorder.
    std::function<void(const Call&)> on_unrecorded;
    /// Asked before each new call. True refuses it, so that the running calls keep the memory that is left.
    std::function<bool()> memory_is_short;
  };

  /// Borrows everything but `config` and `listener`. `recorder` and `sounds` may be null.
  SessionManager(const SessionConfig& config, const InterfaceSet& interfaces, MediaPlane& plane,
                 PortProvider& ports, Listener listener = {}, CallRecorder* recorder = nullptr,
                 SoundLibrary* sounds = nullptr);
  /// Ends the calls and their recordings. The parts of the listener may be gone already: they are not called.
  ~SessionManager();
  SessionManager(const SessionManager&) = delete;
  SessionManager& operator=(const SessionManager&) = delete;

  /// Is shown a call that is being deleted, and what the workers know of it. The reply tells of that moment.
  using Farewell = std::function<void(const Call&, const CallSnapshots&)>;

  // Send a reply only after `flush()`: until then the workers may not be in the state that it promises
  // (LAT-13).
  Result<MessageTaken, RequestError> offer(const Request& request, const Clock& clock);
  Result<MessageTaken, RequestError> answer(const Request& request, const Clock& clock);
  /// Deletes a call or a party, now or after a delay. On success it calls `show` once, unless `show` is
  /// empty. If the request names a party and there is no delay, `show` sees the call after the ports of the
  /// parties that go were closed. Otherwise it sees the call as it was.
  Result<void, RequestError> remove(const Request& request, const Clock& clock, const Farewell& show = {});
  /// The Call-IDs of the running calls, in no order; at most as many as the request says, else 32.
  Result<std::vector<std::string>, RequestError> list(const Request& request) const;

  /// Waits until the workers have done everything they were told, then closes the ports that are not used any
  /// more (LAT-13).
  void flush(const Clock& clock);
  /// Does what time asks for: time-outs, delayed deletions, empty packets, events. To be called about once a
  /// second.
  void sweep(const Clock& clock);
  /// Looks at some calls, for the alarm and for lists; `sweep` does it too. To be called every
  /// `HealthWatch::kTurnInterval`. One turn has an upper bound, whatever the number of calls. False if there
  /// was no memory for it; the calls that were left out wait for their next turn (C-12).
  bool watch(const Clock& clock) noexcept { return rounds_.watch(clock); }
  /// Looks again at those of `calls` whose last look is older than a second. Deleted ones stay as they are.
  void look_at(std::span<const Call* const> calls, const Clock& clock) { rounds_.look_at(calls, clock); }
  [[nodiscard]] const HealthWatch& health() const { return watch_; }
  /// Notes that the process stood still since `began`: that was no silence of any party, and an answer may
  /// have waited (C-13).
  void after_pause(Instant began, Instant now);
  /// Passes on what the workers noticed. `sweep` does it too, but DTMF is wanted sooner.
  void poll_events();

  /// The ids of the sessions that the rtpproxy protocol has under one Call-ID. Empty if there are none.
  [[nodiscard]] std::vector<std::string> sessions_of(std::string_view call_id) const;
  /// Ends a call at once. False if there is none.
  bool terminate(std::string_view call_id, const Clock& clock);
  /// Ends all calls at once, and returns their number.
  std::size_t terminate_all(const Clock& clock);
  /// A call in full for `rtpferryctl show`, with latch states and drops. Null if there is none. Waits for the
  /// worker.
  nlohmann::json show(std::string_view call_id, const Clock& clock);
  /// A line of `rtpferryctl list` for each call, in no order. Cheap: it waits for no worker.
  [[nodiscard]] std::vector<CallSummary> summaries(const Clock& clock) const {
    return lists_.summaries(clock);
  }
  /// Explains who hears whom and why not, in a running call or in one that ended badly not long ago. Null if
  /// there is none. `packets` adds the flight recorders. Refused requests of the call are listed; a call that
  /// was refused from the beginning has the state `refused`.
  nlohmann::json explain(std::string_view call_id, bool packets, const Clock& clock);
  /// What would become of `packet` now. Changes nothing. Null if there is no such call.
  nlohmann::json where(std::string_view call_id, const WherePacket& packet, const Clock& clock);
  /// What was refused lately, of calls that exist and of others. The protocols write it.
  [[nodiscard]] RefusedRequests& refused_requests() { return refused_; }
  [[nodiscard]] const RefusedRequests& refused_requests() const { return refused_; }
  [[nodiscard]] Endings::KeptSize kept_size() const { return endings_.kept_size(); }
  /// Visits every call once, in no order.
  template <class Visit>
  void each_call(Visit visit) const {
    for (const auto& [id, call] : calls_.all()) visit(*call);
  }

  /// Saves a call as versioned plain values, one section for each component (docs/architecture.md, seam 3).
  /// Null if there is none.
  nlohmann::json export_call(std::string_view call_id, const Clock& clock);
  /// Brings a saved call to life on the same ports. The error is a sentence, and the call is gone then.
  Result<void, std::string> restore_call(const nlohmann::json& record, const Clock& clock);
  /// Moves all transports of a call to another worker in mid-stream (docs/architecture.md, seam 7). False if
  /// there is no such call or worker.
  bool move_call(std::string_view call_id, std::size_t worker);

  [[nodiscard]] std::size_t size() const { return calls_.size(); }
  [[nodiscard]] KernelShare kernel_share() const { return lists_.kernel_share(); }
  [[nodiscard]] const SessionTotals& totals() const { return totals_; }
  [[nodiscard]] const PortFailures& port_failures() const { return desk_.failures(); }
  /// Counts a new call that was refused before it came here, because requests come faster than they are
  /// served (CTL-5).
  void count_rejected() { ++totals_.rejected; }
  [[nodiscard]] const RtpproxyTotals& rtpproxy_totals() const { return rtpproxy_.totals(); }
  /// The number of sessions of the rtpproxy protocol now.
  [[nodiscard]] std::size_t rtpproxy_size() const { return calls_.with_shared_names().size(); }
  [[nodiscard]] const SessionConfig& config() const { return config_; }
  /// Replaces the settings. Running calls follow: their workers get new plans if the rules for peers changed.
  void set_config(const SessionConfig& config);
  /// Says which addresses of parties are refused, and counts them.
  [[nodiscard]] const PeerGuard& peer_guard() const { return guard_; }
  void set_load(const LoadFigures& load) { limits_.set_load(load); }
  /// Keeps all new calls out while `on`. The running ones go on.
  void set_draining(bool on = true) { limits_.set_draining(on); }
  [[nodiscard]] bool is_draining() const { return limits_.is_draining(); }
  [[nodiscard]] const InterfaceSet& interfaces() const { return interfaces_; }
  [[nodiscard]] MediaPlane& plane() { return plane_; }
  /// The session attribute that marks SDP which passed this relay (flag `loop-protect`). Another one in each
  /// process.
  [[nodiscard]] const std::string& loop_mark() const { return loop_mark_; }
  /// The call with this id, with this id after a merge, or the only session of the rtpproxy protocol with
  /// this Call-ID. Null if there is none.
  Call* find(std::string_view call_id) { return calls_.find(call_id); }
  /// Makes all plans of a call again and sends the workers what changed.
  void sync_plans(Call& call) { plans_.sync(call); }
  /// The parts that commands are made with.
  [[nodiscard]] const Services& services() { return services_; }
  [[nodiscard]] Taps& taps() { return taps_; }
  [[nodiscard]] Recordings& recordings() { return recordings_; }
  [[nodiscard]] DigitTriggers& digit_triggers() { return triggers_; }
  /// The sessions of the rtpproxy protocol.
  [[nodiscard]] RtpproxySessions& rtpproxy_sessions() { return rtpproxy_; }
  /// Adds an observer. It is told after those that were added before.
  void add(CallObserver& observer) { observers_.add(observer); }

 private:
  /// Hands what an observer is told to the functions of a `Listener`.
  class ListenerObserver final : public CallObserver {
   public:
    explicit ListenerObserver(Listener listener) : listener_(std::move(listener)) {}
    void on_event(const MediaTransport& transport, TransportEvent event) override;
    void on_dtmf(Call& call, Leg& leg, const DtmfEvent& event) override;
    void on_ending(Call& call, EndReason reason, const Clock& clock) override;
    void on_report(const CallReport& report) override;
    void on_health(const Call& call, const HealthNews& news) override;
    bool wants_decisions(const Call& call) override;
    void on_decision(const Call& call, const std::string& sentence) override;
    void on_unrecorded(const Call& call) override;

   private:
    Listener listener_;
  };
  /// Tells the health watch which calls there are.
  class WatchObserver final : public CallObserver {
   public:
    explicit WatchObserver(HealthWatch& watch) : watch_(watch) {}
    void on_created(Call& call, Instant now) override { watch_.add(call, now); }
    void on_forgotten(Call& call) override { watch_.remove(call); }

   private:
    HealthWatch& watch_;
  };

  /// Opens a pair of ports that a record names. The error is a sentence.
  Result<LocalPorts::More, std::string> reopen(const LocalPorts::More& saved, std::uint8_t tos, Instant now);
  /// Opens all ports of a transport. If one fails, the transport has those that were opened before it.
  Result<void, std::string> reopen(Call& call, MediaTransport& transport, std::vector<LocalPorts> saved,
                                   Instant now);
  /// Fills a new call from its record and opens its ports. If it fails, the caller must end the call.
  Result<void, std::string> revive(Call& call, const nlohmann::json& record, RecordContext& context,
                                   const Clock& clock);
  /// Takes a trickle ICE fragment (RFC 8840) of a party.
  Result<MessageTaken, RequestError> fragment(const Request& request, const Clock& clock);
  /// Adds the candidates of a fragment to the sections that it names and whose credentials it has. False if
  /// there is none.
  bool add_fragment(Leg& leg, const sdp::IceFragment& fragment);
  /// Adds what came before this offer or answer, and belongs to its SDP.
  void add_early_fragments(const Request& request, bool is_answer, const Clock& clock);
  /// Takes an offer or an answer; makes the call if it is new.
  Result<MessageTaken, RequestError> signal(const Request& request, bool is_answer, const Clock& clock);
  /// Ends the unanswered offers that these parties made or got.
  void withdraw_offers(Call& call, const std::vector<Leg*>& parties);
  /// Notes the candidates of a fragment that are never sent to (LAT-11a).
  void note_candidates(Media& media, const sdp::IceDescription& ice);

  /// A copy, which the services borrow: `set_config` changes it for all of them.
  SessionConfig config_;
  const InterfaceSet& interfaces_;
  MediaPlane& plane_;
  std::string loop_mark_;
  PeerGuard guard_;
  /// Above the calls, because it must outlive them.
  PeerRegister peers_;
  SessionTotals totals_;
  RefusedRequests refused_;
  EarlyFragments early_fragments_;
  HealthWatch watch_;
  CallObservers observers_;
  CallRegister calls_;
  CallLimits limits_;
  WorkerEvents events_;
  PortsDesk desk_;
  DtlsIdentities identities_;
  SnapshotReader snapshots_;
  PlanSync plans_;
  Lifetime lifetime_;
  Endings endings_;
  Taps taps_;
  Services services_;
  Recordings recordings_;
  DigitTriggers triggers_;
  RtpproxySessions rtpproxy_;
  CallLists lists_;
  Explanations explanations_;
  HealthRounds rounds_;
  WatchObserver watch_observer_;
  ListenerObserver listener_;
};

}  // namespace ferry

// All calls of this relay and everything signalling can do to them. Control thread only; sans-IO but for the
// ports.
#pragma once

#include "control/session/call.hpp"
#include "control/session/health_watch.hpp"
#include "control/session/interfaces.hpp"
#include "control/session/media_plane.hpp"
#include "control/session/pauses.hpp"
#include "control/session/peer_guard.hpp"
#include "control/session/port_failure.hpp"
#include "control/session/refused_requests.hpp"
#include "control/session/request.hpp"
#include "control/value/value.hpp"

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

/// Where `query` shows statistics by SSRC.
enum class SsrcReporting : std::uint8_t { kFull, kGlobal, kInline, kNone };

/// Sessions of the classic protocol, where they differ.
struct ClassicConfig {
  LatchPolicy latch = LatchPolicy::kUncontested;
  std::chrono::seconds timeout{60};
  /// While the other party has no port yet; 0 = as `timeout`.
  std::chrono::seconds setup_timeout{0};
  /// Each party has a time-out of its own, else any packet keeps the session.
  bool independent_legs = false;
  /// Parties send and receive at the address that signalling named unless a command says otherwise.
  bool asymmetric = false;
  RecordingForm recording = RecordingForm::kAdHoc;
};

struct SessionConfig {
  std::chrono::seconds timeout{60};
  std::chrono::seconds silent_timeout{3600};
  /// For offers that nobody has answered. A phone that rings longer than a proxy's Timer C (RFC 3261 section
  /// 16.6: more than three minutes) was given up, and its proxy may have forgotten to delete the call.
  std::chrono::seconds offer_timeout{300};
  std::chrono::seconds final_timeout{0};  // 0 = none
  std::chrono::seconds delete_delay{30};
  std::size_t max_sessions = 0;  // 0 = no limit
  double max_cpu_percent = 0;
  double max_load = 0;
  std::uint64_t max_bandwidth_bytes = 0;  // per second, 0 = no limit
  LatchPolicy latch = LatchPolicy::kSignalled;
  LearningAlgorithm learning = LearningAlgorithm::kRules;
  /// DMX-4: what was not negotiated is dropped even from a locked source. An interface or a call may say so
  /// too.
  bool strict_payload_types = false;
  /// A request that names an interface which does not exist is refused; else it gets the default one and a
  /// warning.
  bool direction_strict = false;
  /// How many peers of one address that were never heard are sent to freely (LAT-12 b); 0 = all.
  std::size_t unheard_per_address = 20;
  bool sip_source = false;
  std::uint8_t tos = 0;
  std::string software_name = "rtpferry";
  bool reject_invalid_sdp = false;
  SsrcReporting ssrc_reporting = SsrcReporting::kFull;
  /// Quality from RTP itself where no RTCP tells it.
  bool measure_rtp = false;
  /// MOS without the delay.
  bool listening_quality = false;
  SrtpConfig srtp;
  DtlsConfig dtls;
  /// What digits do to recordings of parties with `recording-vsc` that named no others.
  RecordingDigits recording_codes;
  /// Requests come with the address of their client, for the time-out call-back.
  bool remember_client = false;
  /// LAT-11a, without the addresses of the host.
  PeerRules peers;
  ClassicConfig classic;
};

enum class EndReason : std::uint8_t {
  kRegular,
  kForced,
  kTimeout,
  kSilentTimeout,
  kOfferTimeout,
  kFinalTimeout
};
std::string_view to_string(EndReason reason) noexcept;

/// Both clocks of one request.
struct Clock {
  Instant now;
  WallTime wall;
};

struct SessionTotals {
  std::uint64_t managed = 0;
  std::uint64_t rejected = 0;
  std::array<std::uint64_t, 6> ended{};  // by EndReason
  std::uint64_t one_way = 0;
  std::uint64_t zero_way = 0;
  double duration_sum_s = 0;
  double duration_square_sum_s2 = 0;
};

/// Pairs of ports that could not be opened, by `PortFailure`.
struct PortFailures {
  std::array<std::uint64_t, kPortFailures> times{};
  std::array<Instant, kPortFailures> last_at{};
  /// The newest of all.
  PortFailure last = PortFailure::kExhausted;
};

/// Of sessions of the classic protocol.
struct ClassicTotals {
  std::uint64_t created = 0;
  std::uint64_t destroyed = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t completed = 0;
  // Of complete sessions that ended.
  std::uint64_t without_rtp = 0;
  std::uint64_t one_way_rtp = 0;
  std::uint64_t without_rtcp = 0;
  std::uint64_t one_way_rtcp = 0;
  std::uint64_t prompts_started = 0;
  std::uint64_t prompts_ended = 0;
  double duration_s = 0;
  // Of sessions that ended.
  std::uint64_t expected = 0;
  std::uint64_t received = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t lost = 0;
  std::uint64_t not_rtp = 0;
};

/// What one party sent and got in a call that is over.
struct StreamReport {
  std::string leg;
  unsigned media = 0;
  std::string type;
  SsrcCounters stream;  // that was heard last; no packets if none was
  RecentStream recent;  // its last seconds before the end; no span if nothing is known of them
  double mos = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t refused = 0;
  Cause from = Cause::kFine;
  Cause to = Cause::kFine;
};

/// A call that is over, for its record, metrics and explanations.
struct CallReport {
  std::string call_id;
  WallTime created{};
  WallTime ended{};
  Duration duration{0};
  EndReason reason = EndReason::kRegular;
  Explanation explanation;
  std::vector<StreamReport> streams;
};

/// What is known of a call without asking its worker. Borrows the call.
struct CallSummary {
  const Call* call = nullptr;
  double age_s = 0;
  /// Of the newest packet; none has come if it is not set.
  std::optional<double> last_packet_age_s;
  std::size_t medias = 0;
  std::uint64_t packets = 0;
  std::uint64_t lost = 0;
  std::uint64_t refused = 0;
  double loss_percent = 0;  // of the worst direction
  double jitter_ms = 0;     // of the worst stream
  std::size_t kernel_streams = 0;
  /// What the last glance found; borrowed until a call begins or ends.
  const CallHealth* health = nullptr;
};

/// A packet that somebody asks about.
struct WherePacket {
  Endpoint from;
  UdpPort to;  // a port of the relay
  /// Whole, or made of what follows if it is empty.
  std::vector<std::byte> datagram;
  PayloadType type;
  Ssrc ssrc;
  SeqNo sequence;
};

/// What a limit looks at besides the number of calls; measured outside, once a second.
struct LoadFigures {
  double cpu_percent = 0;
  double load_average = 0;
  std::uint64_t bytes_per_second = 0;
};

/// `{packets, bytes, errors}` of replies (NG reference, sections 14 and 15).
[[nodiscard]] Dict counters_dict(std::uint64_t packets, std::uint64_t bytes, std::uint64_t errors);

/// Calls by who forwards their media now; those without media count as user space's.
struct KernelShare {
  std::size_t user = 0;
  std::size_t kernel = 0;
  std::size_t mixed = 0;
};

class SessionManager {
 public:
  /// Told about calls that ended by themselves, and about events of their media. May be empty.
  struct Listener {
    std::function<void(const Call&, EndReason)> on_end;
    /// The call has ended and the workers have told what they counted.
    std::function<void(const CallReport&)> on_report;
    /// A running call became bad or has recovered.
    std::function<void(const Call&, const HealthNews&)> on_health;
    std::function<void(const Call&, const Leg&, TransportEvent)> on_event;
    std::function<void(const Call&, const Leg&, const DtmfEvent&)> on_dtmf;
    /// Whether anybody reads how messages of this call are understood, and who is told: a sentence for each
    /// message and each of its sections.
    std::function<bool(const Call&)> wants_decisions;
    std::function<void(const Call&, const std::string&)> on_decision;
    /// A recording was asked for and there is no recorder.
    std::function<void(const Call&)> on_unrecorded;
    /// Asked before each new call: true refuses it, so that the running ones keep what memory is left.
    std::function<bool()> memory_is_short;
  };

  /// `recorder` may be null; it outlives the manager.
  SessionManager(const SessionConfig& config, const InterfaceSet& interfaces, MediaPlane& plane,
                 PortProvider& ports, Listener listener = {}, CallRecorder* recorder = nullptr);
  ~SessionManager();
  SessionManager(const SessionManager&) = delete;
  SessionManager& operator=(const SessionManager&) = delete;

  // Each answers with what the reply holds besides `result`. Nothing of it may leave before `flush`.
  Result<Dict, RequestError> offer(const Request& request, const Clock& clock);
  Result<Dict, RequestError> answer(const Request& request, const Clock& clock);
  Result<Dict, RequestError> remove(const Request& request, const Clock& clock);
  Result<Dict, RequestError> query(const Request& request, const Clock& clock);
  Result<Dict, RequestError> list(const Request& request) const;

  /// Makes everything said to the workers complete, then closes the ports that are no longer used (LAT-13).
  void flush(const Clock& clock);
  /// Time-outs, delayed deletions, events. Call it about once a second.
  void sweep(const Clock& clock);
  /// Looks at some calls, for the alarm and for lists; `sweep` does it too. Call it every
  /// `HealthWatch::kTurnInterval`: one turn has an upper bound, whatever the number of calls.
  void watch(const Clock& clock);
  /// Looks anew at those of `calls` whose last look is older than a second; deleted ones stay as they are.
  void look_at(std::span<const Call* const> calls, const Clock& clock);
  [[nodiscard]] const HealthWatch& health() const { return watch_; }
  /// Nobody ran since `began`: that was no silence of any party, and an answer may have waited (C-13).
  void after_pause(Instant began, Instant now);
  /// Passes on what the workers noticed. `sweep` does it too; DTMF is wanted sooner.
  void poll_events();

  /// Ids of the sessions that the rtpproxy protocol has under one Call-ID; empty = none.
  [[nodiscard]] std::vector<std::string> sessions_of(std::string_view call_id) const;
  bool terminate(std::string_view call_id, const Clock& clock);
  std::size_t terminate_all(const Clock& clock);
  /// For `rtpferryctl`: a call in full, with latch states and drops. Null if there is none.
  nlohmann::json show(std::string_view call_id, const Clock& clock);
  /// A line of `list` for each call; cheap, and the same whatever the workers do. In no order.
  [[nodiscard]] std::vector<CallSummary> summaries(const Clock& clock) const;
  /// Why who hears whom, or not: of a running call, or of one that ended badly not long ago. Null if there is
  /// none. With `packets` the flight recorders too. Requests of it that were refused are listed, and a call
  /// that was refused from the beginning has the state `refused`.
  nlohmann::json explain(std::string_view call_id, bool packets, const Clock& clock);
  /// What would become of `packet` now. Changes nothing. Null if there is no such call.
  nlohmann::json where(std::string_view call_id, const WherePacket& packet, const Clock& clock);
  /// What was refused lately, of calls that exist and of others. The protocols note it.
  [[nodiscard]] RefusedRequests& refused_requests() { return refused_; }
  [[nodiscard]] const RefusedRequests& refused_requests() const { return refused_; }
  /// Octets that flight recorders of ended calls take, and how many calls they are of.
  struct KeptSize {
    std::size_t calls = 0;
    std::size_t bytes = 0;
  };
  [[nodiscard]] KeptSize kept_size() const;
  /// Every call once, in no order.
  template <class Visit>
  void each_call(Visit visit) const {
    for (const auto& [id, call] : calls_) visit(*call);
  }

  /// Versioned plain values of a call, a section per component (design seam 3).
  nlohmann::json export_call(std::string_view call_id, const Clock& clock);
  /// Brings an exported call to life on the same ports. The error is a sentence.
  Result<void, std::string> restore_call(const nlohmann::json& record, const Clock& clock);
  /// Moves all transports of a call to another worker in mid-stream (design seam 7).
  bool move_call(std::string_view call_id, std::size_t worker);

  [[nodiscard]] std::size_t size() const { return calls_.size(); }
  [[nodiscard]] KernelShare kernel_share() const;
  [[nodiscard]] const SessionTotals& totals() const { return totals_; }
  [[nodiscard]] const PortFailures& port_failures() const { return port_failures_; }
  /// The limit that kept the newest of the refused calls out.
  [[nodiscard]] RefusalReason last_limit() const { return last_limit_; }
  /// A new call was refused before it came here: requests come faster than they are served (CTL-5).
  void count_rejected() { ++totals_.rejected; }
  [[nodiscard]] const ClassicTotals& classic_totals() const { return classic_totals_; }
  /// Sessions of the classic protocol now.
  [[nodiscard]] std::size_t classic_size() const { return classic_calls_.size(); }
  [[nodiscard]] const SessionConfig& config() const { return config_; }
  /// Running calls follow: the workers get new plans where who may be a peer changed.
  void set_config(const SessionConfig& config);
  /// Which addresses of parties are refused.
  [[nodiscard]] const PeerGuard& peer_guard() const { return guard_; }
  void set_load(const LoadFigures& load) { load_ = load; }
  /// No new calls from now on; those that there are go on.
  void set_draining(bool on = true) { draining_ = on; }
  [[nodiscard]] bool is_draining() const { return draining_; }
  [[nodiscard]] const InterfaceSet& interfaces() const { return interfaces_; }
  [[nodiscard]] MediaPlane& plane() { return plane_; }
  /// Session attribute that marks SDP which passed this relay (flag `loop-protect`).
  [[nodiscard]] const std::string& loop_mark() const { return loop_mark_; }
  /// By its id, one of its ids after a merge, or the Call-ID of the only classic session that has it. Null if
  /// there is none.
  Call* find(std::string_view call_id);
  /// Computes all plans of a call again and sends the workers what changed.
  void sync_plans(Call& call);

 private:
  friend class OfferAnswer;
  friend class MediaControl;
  friend class Subscriptions;
  friend class Conference;
  friend class Recordings;
  friend class ClassicSessions;
  friend class Proposals;

  struct Expiry {
    Instant at;
    std::uint64_t serial;
    bool operator>(const Expiry& other) const { return at > other.at; }
  };
  /// Ports that close as soon as the worker has let go of them.
  struct Closing {
    Closing(std::array<PortHandle, 2> h, PortPool* p, UdpPort first, const Endpoint& last, std::size_t w,
            std::optional<TransportId> t)
        : handles(h), pool(p), port(first), peer(last), worker(w), transport(t) {}
    std::array<PortHandle, 2> handles;
    PortPool* pool;
    UdpPort port;
    Endpoint peer;  // who sent to it; the worker writes it until the fence
    std::size_t worker;
    std::optional<TransportId> transport;  // unset: others of it remain, or are named before
  };

  Result<Dict, RequestError> fragment(const Request& request, const Clock& clock);
  Result<Dict, RequestError> signal(const Request& request, bool is_answer, const Clock& clock);
  std::optional<RequestError> check_limits(const Request& request);
  /// Which limit does not let a new call in. Counts it.
  std::optional<RefusalReason> exceeded_limit();
  /// `explain` without what was refused.
  nlohmann::json explain_call(std::string_view call_id, bool packets, const Clock& clock);
  Call& create(const std::string& id, const Clock& clock);
  Leg& add_leg(Call& call, std::string tag, const Clock& clock);
  Media& add_media(Leg& leg, unsigned index, std::string_view type);
  /// Value for `Leg::id_index` of a party that came under `id`.
  [[nodiscard]] static std::uint8_t id_index(const Call& call, std::string_view id);
  Result<PortSet, PortFailure> open_ports(Call& call, const LocalAddress& local, Instant now);
  /// Counts a pair that could not be opened.
  PortFailure note_port_failure(PortFailure failure, Instant now);
  /// A pair of ports and nothing else.
  struct OpenedPair {
    PortPool::Pair drawn;
    std::array<PortHandle, 2> handles;
  };
  Result<OpenedPair, PortFailure> open_pair(const Call& call, const LocalAddress& local, Instant now);
  void close_more(const Call& call, const PortSet::More& more);
  /// What names a local address in candidates (RFC 8445 §5.1.1.3).
  const std::string& foundation_of(const LocalAddress& local);
  /// Values of a=candidate lines for one port set. `advertised`: instead of its own address.
  std::vector<std::string> candidates_of(const PortSet& ports, bool has_rtcp,
                                         const std::optional<IpAddress>& advertised);
  /// `figures`, if given, receives what the ports counted; valid after `flush`.
  void close_ports(Call& call, PortSet& ports, TransportFigures* figures = nullptr);
  /// LAT-11a: refuses where a command wants media sent. `local`: where it leaves from; null: nowhere.
  Result<void, RequestError> check_destination(const Endpoint& to, const LocalAddress* local);
  /// A party of our own that sends copies of what `sources` send, on consecutive pairs of ports from `to`.
  Result<Leg*, RequestError> forward_to(Call& call, const std::vector<Media*>& sources, const Endpoint& to,
                                        const Clock& clock);
  /// Ends copies of what `party` sends, or of everybody (null). False if there were none.
  bool stop_forwarding(Call& call, const Leg* party, const Clock& clock);
  /// Marks all packets of the call from now on.
  void set_tos(Call& call, std::uint8_t tos);
  /// Workers learn which peers of crowded addresses are sent to (LAT-12 b).
  void limit_unheard(Instant now);
  void start_piercing(Call& call, Instant now);
  void pierce(Instant now);
  /// Has key presses told that are open on these ports, or on all of the call, before they close.
  void end_presses(const Call& call, const PortSet& ports);
  void end_presses(const Call& call);
  /// Takes the events of the workers and tells the listener of them.
  void pass_worker_events();
  void close_media(Call& call, Media& media);
  void destroy(Call& call, EndReason reason, const Clock& clock);
  /// Closes its ports. With `keep_counts` what they counted stays in sight: the call goes on.
  void destroy_leg(Call& call, Leg& leg, bool keep_counts = true);
  /// Ends the unanswered offers that these parties made or got.
  void withdraw_offers(Call& call, const std::vector<Leg*>& parties);
  void forget(Call& call);
  /// The workers have let go of what ended: its files may be closed.
  void finish_recordings();
  /// Takes all parties of `other` into `call`, which then has both ids. False, and nothing changed, if that
  /// cannot be. Tags must not collide.
  bool merge(Call& call, Call& other);
  void schedule(Call& call, Instant at, Instant now);
  /// Nothing if the call is alive; else why and since when it is over.
  struct Due {
    Instant at;
    EndReason reason;
    bool deleted = false;
  };
  [[nodiscard]] Due due(const Call& call) const;
  /// When the sweep must look at the call: it may be over, or an offer has waited too long.
  [[nodiscard]] Instant next_look(const Call& call) const;
  /// The same by its media alone.
  [[nodiscard]] Due media_due(const Call& call) const;
  void count_ended(Call& call, EndReason reason, const Clock& clock);

  /// The certificate that parties of new calls are shown; null if there is no DTLS.
  std::shared_ptr<const DtlsIdentity> dtls_identity(Instant now);
  /// Notes those candidates of a fragment that are never sent to.
  void note_candidates(Media& media, const sdp::IceDescription& ice);
  void sync_one(Call& call);
  /// Of all calls: who may be a peer has changed.
  void sync_all();
  /// Tells the register of peers where `ports` send to, and writes its decision into the plan (LAT-12 b).
  void follow_peer(const Call& call, const Media& media, PortSet& ports, TransportPlan& plan);
  [[nodiscard]] std::shared_ptr<const TransportPlan> make_plan(const Call& call, Media& media,
                                                               PortSet& ports);
  void add_sinks(const Call& call, const Media& media, const PortSet& ports, SourcePlan& source) const;
  /// The media that has the RTP port `endpoint`, as bound or as advertised; nullptr if it is none of ours.
  [[nodiscard]] const Media* owner_of(const Endpoint& endpoint) const;
  /// Where parties may be whose packets go through these ports.
  [[nodiscard]] const std::shared_ptr<const PeerPolicy>& policy_of(const PortSet& ports) const;
  /// LIM-5: the signalled endpoint is one of our ports; true if the way from there ends at a stranger.
  [[nodiscard]] bool is_hairpin(const PortSet& ports, const Endpoint& signalled) const;
  /// What signalling says about the RTP source of a media under `terms`.
  [[nodiscard]] LatchConfig latch_config(const MediaTerms& terms, const IpAddress& received_from,
                                         const PortSet& ports) const;
  /// Where an offer without answer wants the party to be; null if that is where it was agreed to be.
  [[nodiscard]] std::shared_ptr<const ProposedPeer> proposed_peer(const Media& media, const PortSet& ports,
                                                                  const LatchConfig& agreed,
                                                                  const Endpoint& agreed_rtcp) const;

  /// Fresh state of every transport of the call, by transport id.
  struct Snapshots;
  Snapshots read_snapshots(const Call& call);
  /// The first half of it: the snapshots are whole after the next fence. They must not move until then.
  void post_reads(const Call& call, Snapshots& snapshots);
  /// Judges running calls as they are now, with one fence for all, and tells of alarms.
  void glance_at(std::span<const Call* const> calls, const Clock& clock);
  /// The state of one transport; empty if its worker does not know it.
  [[nodiscard]] TransportSnapshot read_snapshot(const Call& call, const PortSet& ports);
  /// As `remote_candidates` of media_ice.hpp, for the pairs that its worker has selected by now.
  [[nodiscard]] std::string remote_candidates_of(const Call& call, const Media& media);
  /// Null: it has no keys.
  std::shared_ptr<SrtpContexts> copy_of_contexts(const Call& call, const TransportPlan& plan);
  /// What an explanation needs to know; borrows from `snapshots`.
  [[nodiscard]] CallEvidence evidence_of(const Call& call, const Snapshots& snapshots,
                                         const Clock& clock) const;
  /// Calls whose ports are closing, until the workers have told what they knew.
  struct Ending;
  struct Kept;
  void begin_ending(Call& call, EndReason reason, const Clock& clock);
  void finish_endings();
  void keep(std::unique_ptr<Ending> ending, const CallReport& report);
  Dict query_reply(Call& call, const std::vector<Leg*>& legs, const Snapshots& snapshots,
                   const Clock& clock) const;
  [[nodiscard]] std::vector<Leg*> legs_for_query(Call& call, const Request& request) const;

  SessionConfig config_;
  std::map<const LocalAddress*, std::string> foundations_;
  std::shared_ptr<const DtlsIdentity> dtls_identity_;
  Instant dtls_identity_made_{};
  const InterfaceSet& interfaces_;
  MediaPlane& plane_;
  PortProvider& ports_;
  Listener listener_;
  CallRecorder* recorder_;
  PeerGuard guard_;
  PeerRegister peers_;  // outlives the calls
  Pauses pauses_;
  HealthWatch watch_;
  struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::unique_ptr<Call>, StringHash, std::equal_to<>> calls_;
  std::unordered_map<std::string, Call*, StringHash, std::equal_to<>> merged_ids_;
  std::unordered_map<std::uint64_t, Call*> by_serial_;
  /// By the call-id of their requests; the keys are views into the sessions.
  std::unordered_multimap<std::string_view, Call*> classic_calls_;
  ClassicTotals classic_totals_;
  /// Sessions that are over, as soon as the workers have told what they counted.
  struct ClassicEnd {
    std::array<TransportFigures, 2> figures;
    bool was_complete = false;
  };
  std::deque<ClassicEnd> classic_ended_;  // addresses stay
  std::priority_queue<Expiry, std::vector<Expiry>, std::greater<>> expiries_;
  /// Calls whose peers are sent empty packets until something arrives from them, and until when.
  struct Piercing {
    std::uint64_t call;
    Instant until;
  };
  std::vector<Piercing> piercing_;
  std::deque<Closing> closing_;  // addresses stay
  std::deque<std::unique_ptr<Ending>> endings_;
  Ending* current_ending_ = nullptr;        // of the call whose ports are being closed
  std::deque<std::unique_ptr<Kept>> kept_;  // newest last
  std::size_t kept_bytes_ = 0;
  /// Over, but the workers may not know it yet.
  std::vector<std::unique_ptr<CallRecording>> ended_recordings_;
  SessionTotals totals_;
  PortFailures port_failures_;
  RefusedRequests refused_;
  RefusalReason last_limit_ = RefusalReason::kSessions;
  LoadFigures load_;
  bool draining_ = false;
  std::uint64_t next_serial_ = 1;
  std::uint32_t next_media_ = 1;
  std::string loop_mark_;
};

}  // namespace ferry

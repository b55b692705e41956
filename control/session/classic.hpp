// Sessions of the classic rtpproxy protocol: calls of two parties with one media each (design section 4).
#pragma once

#include "control/session/manager.hpp"
#include "relay/core/timeline/prompt.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// What a session keeps of one of its parties beside its `Leg`.
struct ClassicParty {
  /// Payload types that it accepts, in its order of preference. Nothing is filtered by it.
  std::vector<PayloadType> codecs;
  /// Where its port is, or will be.
  const LocalAddress* local = nullptr;
  /// Its media time-out; 0 = the daemon's.
  std::chrono::seconds ttl{0};
  /// When its time-out began anew without a packet.
  Instant refreshed{};
  /// DSCP octet of what is sent to it; else the call's.
  std::optional<std::uint8_t> tos;
  /// It holds a reference on the session of its own (modifier `w`).
  bool is_weak = false;
  struct Rare {
    /// To be played once the party has a port.
    std::shared_ptr<const Prompt> waiting;
    std::int64_t rounds = 1;
    /// Its events are reported under this tag; empty = they are not.
    std::string dtmf_tag;
    PayloadType dtmf_type;
    bool hides_dtmf = false;
  };
  std::unique_ptr<Rare> rare;
  Rare& made_rare() {
    if (!rare) rare = std::make_unique<Rare>();
    return *rare;
  }
};

/// Packets of one or both parties on their way to files.
struct ClassicRecording {
  /// What tells it from others: the path of its files.
  std::string name;
  std::array<bool, 2> records{};  // by party
  std::vector<TransportId> attached;
  std::unique_ptr<CallRecording> recording;
};

/// Of a call that the classic protocol made; it is answered once both parties have ports. Its legs 0 and 1
/// are the party that it began with (the owner of the session's tag) and the other one; copies have legs
/// behind them.
struct ClassicSession {
  // Both views are into the call's id.
  std::string_view call_id;
  std::string_view tag;  // with the media number, if there is one
  std::array<ClassicParty, 2> parties;
  /// Somebody is told of its time-out, and under which name. Empty = nobody.
  std::string notify_target;
  std::string notify_tag;
  std::vector<ClassicRecording> recordings;
  /// Its parties hear another session and nobody else: that one's serial number; 0 = each other.
  std::uint64_t fed_by = 0;
  bool is_fed_swapped = false;
  bool is_strong = true;
  /// An `L` came: a later `U` is a proposal until the next one (LAT-15). A client that says `U` for both
  /// sides never answers; its `U` counts at once.
  bool has_answers = false;
};

/// How a command names a session, with the tags as it gives them.
struct ClassicNames {
  std::string_view call_id;
  std::string_view from_tag;
  std::string_view to_tag;  // empty = none
};

/// A session, and which of its parties the command's from-tag is: 0 or 1.
struct ClassicMatch {
  Call* call = nullptr;
  std::size_t from = 0;
  [[nodiscard]] std::size_t other() const { return 1 - from; }
};

/// What an offer (`U`) or answer (`L`) says.
struct ClassicSignal {
  ClassicNames names;
  bool is_answer = false;
  /// Of the party that the message comes from; not set = nothing new.
  Endpoint media;
  bool is_on_hold = false;
  /// Not set = the daemon's way.
  std::optional<bool> asymmetric;
  /// Local addresses facing the sender and facing the other party. A new session needs both; later `far`
  /// counts where a port is opened, and null is as before.
  const LocalAddress* near = nullptr;
  const LocalAddress* far = nullptr;
  bool wants_new_port = false;
  bool is_weak = false;
  std::uint16_t ptime_ms = 0;
  std::vector<PayloadType> codecs;
  std::string notify_target;
  std::string notify_tag;
};

/// kNoPort: `SessionManager::port_failures` says why. kLimit: `SessionManager::last_limit` says which.
/// kCrowded: its Call-ID has as many sessions as it may (LIM-6). kAddress: no party may be where the SDP says
/// (LAT-11a).
enum class ClassicError : std::uint8_t { kNotFound, kNoPort, kLimit, kCrowded, kTaken, kAddress };

/// The port that the sender of the next message is to send to.
struct ClassicPort {
  const LocalAddress* local = nullptr;
  UdpPort port;
};

/// Figures of one session, from the point of view of one of its parties.
struct ClassicFigures {
  std::int64_t ttl_s = 0;
  TransportFigures from;
  TransportFigures other;
  [[nodiscard]] std::uint64_t relayed() const;
  [[nodiscard]] std::uint64_t dropped() const;
};

/// What a recording of one direction is to be.
struct ClassicRecordingOrder {
  /// One file for both directions, where the daemon's form has such files.
  bool single = false;
  /// Path below the recording directory; empty = by call-id and tag.
  std::string name;
  std::string asked_by;
};

/// One command's hand on the sessions. Control thread only; replies must not leave before
/// `SessionManager::flush`.
class ClassicSessions {
 public:
  explicit ClassicSessions(SessionManager& manager) : manager_(manager) {}

  /// By the exact tags (with media numbers). The other party's tag is not compared: early answers of several
  /// branches have several.
  [[nodiscard]] std::optional<ClassicMatch> find(const ClassicNames& names) const;
  /// A tag without a media number names all media of the call.
  [[nodiscard]] std::vector<ClassicMatch> find_all(const ClassicNames& names) const;

  Result<ClassicPort, ClassicError> signal(const ClassicSignal& signal, const Clock& clock);
  /// Gives one reference up. The sessions without any end.
  void release(const ClassicMatch& match, bool weak, const Clock& clock);
  void remove_all(const Clock& clock);

  /// Seconds without media until the session ends, counted from now. `party` counts without
  /// `rtpp-independent` for both.
  void set_ttl(Call& call, std::size_t party, std::chrono::seconds ttl, const Clock& clock);
  /// False if that is not possible.
  bool set_tos(Call& call, std::size_t party, std::uint8_t tos);
  [[nodiscard]] ClassicFigures figures(const ClassicMatch& match, const Clock& clock);

  /// Ends what is being played; null = that is all.
  void play(Call& call, std::size_t party, std::shared_ptr<const Prompt> prompt, std::int64_t rounds);

  /// False if nothing can be recorded.
  bool record(const ClassicMatch& match, const ClassicRecordingOrder& order);
  /// Sends copies of what the party sends; the port they come from, or nothing.
  std::optional<ClassicPort> copy(const ClassicMatch& match, const Endpoint& to, const Clock& clock);
  /// False if nothing of that party (or of both) was recorded or copied.
  bool stop_recording(const ClassicMatch& match, bool both, const Clock& clock);

  /// The parties of `call` hear those of `source` from now on, the owner the other and the other the owner,
  /// and not each other. False if that cannot be.
  bool feed(Call& call, const ClassicMatch& source);
  /// Reports (and hides) events of a party.
  void catch_dtmf(Call& call, std::size_t party, std::string tag, PayloadType type, bool hides);

  // For the manager.
  [[nodiscard]] static std::string id_of(std::string_view call_id, std::string_view tag);
  [[nodiscard]] static SessionManager::Due due(const Call& call, const ClassicConfig& config,
                                               const Pauses& pauses);
  /// What is special in the plan of a party's transport.
  static void refine(const Call& call, const Media& media, TransportPlan& plan);
  /// Closes the ports of the media but for those at index `kept`.
  void keep_ports(Call& call, Media& media, std::size_t kept);
  void follow_recordings(Call& call);
  void end_recordings(Call& call, std::string_view reason);
  /// The session ends: its recordings too, and its ports close.
  void end(Call& call, EndReason reason, const Clock& clock);
  static void count(ClassicTotals& totals, const SessionManager::ClassicEnd& end);
  /// Plain values of what is special, null for other calls; and back, before the legs are there. Prompts and
  /// recordings are not among them.
  [[nodiscard]] static nlohmann::json to_json(const Call& call, Instant now);
  void restore(Call& call, const nlohmann::json& from, Instant now);
  /// What an operator wants to see of it.
  [[nodiscard]] nlohmann::json show(const Call& call, const Clock& clock) const;

 private:
  Call* by_id(std::string_view call_id, std::string_view tag) const;
  /// Makes the call one of the classic protocol and known as such.
  ClassicSession& register_session(Call& call, std::size_t call_id_size);
  Result<Call*, ClassicError> make(const ClassicSignal& signal, const Clock& clock);
  /// LAT-11a: what of the address that was signalled is left out, or that there is no other.
  Result<std::vector<LeftOutPeer>, ClassicError> admit(const ClassicSignal& signal,
                                                       const std::optional<ClassicMatch>& match);
  void complete(Call& call);
  /// A prompt is to start once the party has a port.
  [[nodiscard]] static bool party_waits(const ClassicSession& session, std::size_t party);
  [[nodiscard]] static std::chrono::seconds ttl_of(const Call& call, std::size_t party,
                                                   const ClassicConfig& config);
  void post_prompt(Call& call, std::size_t party, std::shared_ptr<const Prompt> prompt, std::int64_t rounds);
  /// What leaves by these ports is marked from now on.
  void mark(PortSet& ports, std::uint8_t tos);
  void stop_feeds(Call& call);
  void renew_feeds(Call& call);
  void end_recording(Call& call, ClassicRecording& recording, std::string_view reason);
  [[nodiscard]] RecordedCall describe(const Call& call, const ClassicRecording& recording) const;

  SessionManager& manager_;
};

}  // namespace ferry

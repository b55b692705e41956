// SPDX-License-Identifier: Apache-2.0
// Sessions of the rtpproxy protocol: calls of two parties with one media each (docs/reference/rtpproxy.md).
#pragma once

#include "control/call/session_config.hpp"
#include "control/call/totals.hpp"
#include "control/request/fault.hpp"
#include "control/rtpproxy/session.hpp"
#include "control/session/call_register.hpp"
#include "control/session/observer.hpp"
#include "control/session/services.hpp"
#include "relay/core/output/prompt.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

/// How a command names a session. Views; the tags are as the command gives them, with numbers of medias.
struct RtpproxyNames {
  std::string_view call_id;
  std::string_view from_tag;
  /// Empty = the command has none.
  std::string_view to_tag;
};

/// A session, and which of its parties the command's from-tag names: 0 or 1.
struct RtpproxyMatch {
  Call* call = nullptr;
  std::size_t from = 0;
  [[nodiscard]] std::size_t other() const { return 1 - from; }
};

/// The content of an offer (`U`) or answer (`L`).
struct RtpproxySignal {
  RtpproxyNames names;
  bool is_answer = false;
  /// The address and port of the party that the message comes from. Unset = nothing new.
  Endpoint media;
  /// True if the message has the unspecified address.
  bool is_on_hold = false;
  /// True if the sender sends and receives at the address that it signalled. Unset = as the daemon has it.
  std::optional<bool> asymmetric;
  /// Local addresses toward the sender and toward the other party. A new session needs both. Later `far`
  /// counts only if a port is opened, and null means the former one.
  const LocalAddress* near = nullptr;
  const LocalAddress* far = nullptr;
  /// True if the port is to be another one than before.
  bool wants_new_port = false;
  /// True if the message holds a reference of its own (modifier `w`).
  bool is_weak = false;
  /// Packet time that the sender's audio is re-packetized to, in ms; 0 = as it comes.
  std::uint16_t ptime_ms = 0;
  /// Payload types of the sender's SDP. Empty = the message lists none.
  std::vector<PayloadType> codecs;
  /// Who is told of a time-out, and under which name. Empty = nobody.
  std::string notify_target;
  std::string notify_tag;
};

/// The port that the reply names: the receiver of the message is to send to it.
struct RtpproxyPort {
  const LocalAddress* local = nullptr;
  UdpPort port;
};

/// Figures of one session, seen from one of its parties.
struct RtpproxyFigures {
  /// How long the session may still be without media, in s.
  std::int64_t ttl_s = 0;
  /// What the party's port, and the other party's, counted.
  TransportFigures from;
  TransportFigures other;
  /// RTP packets that were relayed, and RTP packets that arrived and were not.
  [[nodiscard]] std::uint64_t relayed() const;
  [[nodiscard]] std::uint64_t dropped() const;
};

/// What a command wants recorded of one direction.
struct RtpproxyRecordingOrder {
  /// True if both directions go into one file, where the daemon's form has such files.
  bool single = false;
  /// Path below the recording directory. Empty = made of Call-ID and tag.
  std::string name;
  /// Who asked, for the log.
  std::string asked_by;
};

/// The commands of the protocol on its sessions, and the counts of them. Control thread only. Replies must
/// not leave before `SessionManager::flush`.
class RtpproxySessions final : public CallObserver {
 public:
  explicit RtpproxySessions(const Services& services) : services_(services) {}

  void on_planned(Call& call) override;
  void on_prompt_ended() override { ++totals_.prompts_ended; }
  void on_ending(Call& call, EndReason reason, const Clock& clock) override;
  void on_settled() override;
  [[nodiscard]] const RtpproxyTotals& totals() const { return totals_; }

  /// The session with exactly these tags and numbers of medias. The other party's tag is not compared,
  /// because early answers of several branches have several. Nothing if there is none.
  [[nodiscard]] std::optional<RtpproxyMatch> find(const RtpproxyNames& names) const;
  /// All sessions that the tags name. A tag without the number of a media names all medias of the call.
  [[nodiscard]] std::vector<RtpproxyMatch> find_all(const RtpproxyNames& names) const;

  /// Takes an offer or an answer; a first offer makes the session. Returns the port for the reply.
  Result<RtpproxyPort, RequestFault> signal(const RtpproxySignal& signal, const Clock& clock);
  /// Gives one reference up: the weak one of the party, or the strong one. A session without references ends.
  void release(const RtpproxyMatch& match, bool weak, const Clock& clock);
  /// Ends all sessions of the protocol.
  void remove_all(const Clock& clock);

  /// Sets how long the session may be without media, in s from now on. Without `rtpp-independent` it holds
  /// for both parties.
  void set_ttl(Call& call, std::size_t party, std::chrono::seconds ttl, const Clock& clock);
  /// Sets the DSCP octet of packets to one party. False if its port has an IPv6 address.
  bool set_tos(Call& call, std::size_t party, std::uint8_t tos);
  /// Reads what the ports of a session counted. Waits for its worker.
  [[nodiscard]] RtpproxyFigures figures(const RtpproxyMatch& match, const Clock& clock);

  /// Plays a prompt to a party. Without a port it waits for one.
  void play(Call& call, std::size_t party, PromptOrder order);
  /// Ends what a party is being played, or would be once it has a port.
  void stop_playing(Call& call, std::size_t party);

  /// Records what the party sends. False if nothing can be recorded.
  bool record(const RtpproxyMatch& match, const RtpproxyRecordingOrder& order);
  /// Sends copies of what the party sends to `to`. Returns the port that they come from; nothing if it cannot
  /// be.
  std::optional<RtpproxyPort> copy(const RtpproxyMatch& match, const Endpoint& to, const Clock& clock);
  /// Ends the recordings and copies of the party, or of both. False if there were none.
  bool stop_recording(const RtpproxyMatch& match, bool both, const Clock& clock);

  /// Makes the parties of `call` hear those of `source` instead of each other, the owner the other party and
  /// the other party the owner. False if `source` is this session, or hears another one itself.
  bool feed(Call& call, const RtpproxyMatch& source);
  /// Reports the DTMF events of a party under `tag`; `hides` keeps them from the other party.
  void catch_dtmf(Call& call, std::size_t party, std::string tag, PayloadType type, bool hides);

  /// The id of the call behind a session: Call-ID, a blank, and the tag.
  [[nodiscard]] static std::string id_of(std::string_view call_id, std::string_view tag);
  /// Ends all recordings of the session.
  void end_recordings(Call& call, std::string_view reason);
  /// What an operator may see of the session, for `rtpferryctl show`.
  [[nodiscard]] nlohmann::json show(const Call& call, const Clock& clock) const;

 private:
  /// The figures of both parties of an ended session. Complete after the next fence.
  struct Ended {
    std::array<TransportFigures, 2> figures;
    bool was_complete = false;
  };
  /// Adds the figures of an ended session to the totals.
  void count(const Ended& end);
  /// Makes the recordings hear what they should, and describes their content anew.
  void follow_recordings(Call& call);
  Call* by_id(std::string_view call_id, std::string_view tag) const;
  /// Makes the call a session of the protocol, and known as such.
  RtpproxySession& register_session(Call& call, std::size_t call_id_size);
  /// Makes a session without ports, if nothing keeps it out.
  Result<Call*, RequestFault> make(const RtpproxySignal& signal, const Clock& clock);
  /// Judges the address that was signalled (LAT-11a): the addresses that are left out; a fault if none is
  /// left.
  Result<std::vector<LeftOutPeer>, RequestFault> admit(const RtpproxySignal& signal,
                                                       const std::optional<RtpproxyMatch>& match);
  /// Notes that both parties have ports now. With `record-all` the session is recorded.
  void complete(Call& call);
  /// Opens a port for the receiver of the message, if it has none or the message asks for a new one. Nothing
  /// if it keeps its port. A new session that gets no port is forgotten.
  Result<std::optional<LocalPorts>, RequestFault> open_port(Call& call, std::size_t receiver,
                                                            const RtpproxySignal& signal, bool is_new,
                                                            const Clock& clock);
  /// Takes what the message says of its sender, of the references of the session, and of the other party's
  /// tag.
  void take_sdp(Call& call, const RtpproxyMatch& match, const RtpproxySignal& signal,
                std::vector<LeftOutPeer> left_out);
  /// Begins both parties' time-outs anew. Their source rules follow whether the session is complete.
  void renew_rules(Call& call, Instant now);
  /// True if a prompt is to start once the party has a port.
  [[nodiscard]] static bool party_waits(const RtpproxySession& session, std::size_t party);
  void post_prompt(Call& call, std::size_t party, PromptOrder order);
  /// Gives up the prompt that waits for a port of the party, if one does.
  void drop_waiting(RtpproxySession& session, std::size_t party);
  /// Ends the copies that another session sends to the parties of this one.
  void stop_feeds(Call& call);
  /// Makes these copies leave by the present ports.
  void renew_feeds(Call& call);
  void end_recording(const Call& call, RtpproxyRecording& recording, std::string_view reason);
  [[nodiscard]] RecordedCall describe(const Call& call, const RtpproxyRecording& recording) const;

  const Services& services_;
  RtpproxyTotals totals_;
  /// A deque, because the workers write into its elements.
  std::deque<Ended> ended_;
};

}  // namespace ferry

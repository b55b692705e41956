// SPDX-License-Identifier: Apache-2.0
// What a relay would have seen of a call, told in a few words: evidence for unit tests of verdicts.
//
//   CallStory story;                                   // A and B talk for a minute, and everything is well
//   story.loses(A, 15, When::kLately).reports_loss(B, 15);
//   EXPECT_EQ(story.to(B).cause, Cause::kBrokenUp);
//
// Everybody speaks 50 packets a second, and everybody hears all the others. Each figure follows from what was
// told: sequence numbers that went by, packets taken and refused, what left toward each listener, recent
// counts beside those of the whole call. What no method tells can be written into the evidence by `with`.
#pragma once

#include "control/diagnose/explain.hpp"

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ferry::test {

/// One media of one party.
struct Party {
  std::size_t leg = 0;
  std::size_t media = 0;
  auto operator<=>(const Party&) const = default;
};
inline constexpr Party A{0, 0};
inline constexpr Party B{1, 0};
inline constexpr Party C{2, 0};
/// Its second media, for stories with video.
constexpr Party video_of(Party party) { return {party.leg, 1}; }

/// Which part of the call something is of: all of it, the last ten seconds, or the time before them.
enum class When : std::uint8_t { kAlways, kLately, kEarlier };

/// Methods return the story, so that a sentence can be made of them. Shares are percent, 0 to 100; `ago` is
/// before the moment of the verdict. Facts may come in any order; the evidence is made when it is asked for.
class CallStory {
 public:
  explicit CallStory(std::size_t parties = 2, std::vector<std::string> types = {"audio"});
  // What `with` was given may point here.
  CallStory(const CallStory&) = delete;
  CallStory& operator=(const CallStory&) = delete;

  // The call.
  /// Since the answer; media flows from then on. Default: 60 s, which is when the last message of signalling
  /// came, too.
  CallStory& lasts(Duration time);
  CallStory& was_signalled(Duration ago);
  CallStory& is_unanswered();

  // What a party sends, on its way to the relay.
  CallStory& never_sends(Party who);
  CallStory& starts(Party who, Duration ago);
  CallStory& stops(Party who, Duration ago);
  /// Lost in the network before the relay, in runs of `run` packets.
  CallStory& loses(Party who, double percent, When when = When::kAlways, unsigned run = 1);
  CallStory& doubles(Party who, double percent, When when = When::kAlways);
  CallStory& reorders(Party who, double percent, When when = When::kAlways);
  CallStory& jitters(Party who, Duration jitter, When when = When::kAlways);
  CallStory& sends_type(Party who, std::uint8_t type);
  /// Its last packet says that it pauses, by comfort noise or RTCP BYE; nothing came since.
  CallStory& pauses_with_comfort_noise(Party who, Duration ago);
  /// Its codec sent a silence descriptor of so many octets (G.729 annex B, AMR, Opus), and nothing since.
  CallStory& pauses_with_descriptor(Party who, Duration ago, std::uint8_t type, std::uint16_t octets);
  CallStory& says_goodbye(Party who, Duration ago);
  /// Its packets of G.711 have no sound, from the first one on or since `ago`.
  CallStory& is_mute(Party who);
  CallStory& is_mute_since(Party who, Duration ago);

  // What the relay refuses of what comes.
  /// So much of what the party itself sends. Whether the numbers of the refused packets are missing in the
  /// stream that is taken follows from the reason: those of another SSRC or of a jump are none of its run.
  CallStory& refuses(Party who, DropReason reason, double percent, When when = When::kAlways);
  /// What somebody else sends to the party's port.
  CallStory& refuses_stranger(Party who, DropReason reason, unsigned per_second, When when = When::kAlways);
  /// Packets of the party that come again, long after they were taken.
  CallStory& refuses_copies(Party who, DropReason reason, unsigned per_second, When when = When::kAlways);

  // What the relay does not pass on to a party.
  CallStory& drops_toward(Party who, DropReason reason, double percent, When when = When::kAlways);
  /// The host does not take packets to the party.
  CallStory& fails_to_send(Party who, SendError error, double percent = 100, When when = When::kAlways);
  /// Errors answer after packets have left. ICMP of the party's host or of a router pauses media toward it.
  CallStory& is_unreachable(Party who, SendError error, When when = When::kAlways);

  /// By its RTCP, of everything that is sent to it: so much is lost behind the relay. As real reports do, it
  /// also has what was missing before.
  CallStory& reports_loss(Party who, double percent, When when = When::kAlways);

  // Signalling and commands.
  /// The party holds: it is sent nothing, and goes on with music. The others answered with recvonly and
  /// stopped then.
  CallStory& holds(Party who, Duration ago);
  /// Nobody sends (a=inactive).
  CallStory& holds_both(Duration ago);
  /// It sends although signalling says that it does not.
  CallStory& sends_all_the_same(Party who);
  /// The call was deleted just now.
  CallStory& is_over();
  CallStory& is_blocked(Party who);
  CallStory& is_silenced(Party who);
  /// Whatever else: runs on the finished evidence, in the order in which it was told.
  CallStory& with(std::function<void(CallEvidence&)> change);
  CallStory& with_media(Party who, std::function<void(MediaEvidence&)> change);
  CallStory& with_port(Party who, std::function<void(TransportSnapshot&)> change);

  // What comes of it.
  [[nodiscard]] static constexpr Instant now() { return Instant{std::chrono::hours(1)}; }
  /// Its own place in memory: valid until the story is told further or ends.
  [[nodiscard]] CallEvidence& evidence();
  [[nodiscard]] const Explanation& explained();
  [[nodiscard]] const MediaVerdict& from(Party who);
  [[nodiscard]] const MediaVerdict& to(Party who);
  /// Every row, a line each, with evidence: for the message of a test that fails.
  [[nodiscard]] std::string rows();

 private:
  static constexpr std::size_t kEras = 2;  // earlier, lately
  using Share = std::array<double, kEras>;
  struct Refused {
    DropReason reason = DropReason::kNone;
    Share share{};
  };
  struct Failed {
    SendError error = SendError::kNone;
    Share share{};
    bool is_remote = false;
  };
  struct Stranger {
    DropReason reason = DropReason::kNone;
    Share per_second{};
    bool is_copy = false;
  };
  struct Facts {
    bool never_sends = false;
    std::optional<Duration> starts;
    Duration stops{0};
    bool stops_when_held = false;
    Share lost{};
    unsigned run = 1;
    Share doubled{};
    Share reordered{};
    std::array<Duration, kEras> jitter{};
    std::uint8_t type = 8;
    std::uint16_t last_payload_size = 160;
    bool goodbye = false;
    std::optional<Duration> mute_since;
    bool was_never_audible = false;
    std::vector<Refused> refused;
    std::vector<Stranger> strangers;
    std::vector<Refused> leaving;
    std::vector<Failed> failed;
    std::optional<Share> reported;
    bool may_send = true;
    bool may_receive = true;
    bool is_blocked = false;
    bool is_silenced = false;
  };
  /// Packets, by era.
  struct Spoken {
    std::array<std::uint32_t, kEras> accepted{};
    std::array<std::uint32_t, kEras> expected{};
  };

  [[nodiscard]] Facts& of(Party who) { return facts_[who.leg][who.media]; }
  [[nodiscard]] std::array<double, kEras> seconds_of(const Facts& facts) const;
  [[nodiscard]] Duration recent_span() const;
  void make();
  void signal(Party who);
  Spoken speak(Party who);
  void listen(Party who, const std::vector<std::vector<Spoken>>& spoken);
  void refuse(Party who, DropReason reason, Share packets, const Endpoint& from);
  void drop(Party who, DropSide side, DropReason reason, Share packets);
  void trait(Party who, DropSide side, DropReason reason, DropTrait trait, double packets);
  TransportSnapshot& port(Party who) { return ports_[who.leg][who.media]; }

  Duration length_ = std::chrono::seconds(60);
  std::optional<Duration> signalled_;
  bool is_answered_ = true;
  bool is_over_ = false;
  std::vector<std::vector<Facts>> facts_;
  std::vector<std::string> types_;
  std::vector<std::function<void(CallEvidence&)>> changes_;
  std::vector<std::pair<Party, std::function<void(TransportSnapshot&)>>> port_changes_;
  CallEvidence call_;
  std::deque<std::deque<TransportSnapshot>> ports_;
  bool is_made_ = false;
  std::optional<Explanation> explained_;
};

}  // namespace ferry::test

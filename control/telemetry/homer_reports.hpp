// SPDX-License-Identifier: Apache-2.0
// Tells Homer of calls: RTCP reports of parties, and the quality of each stream when its call is over.
#pragma once

#include "control/session/observer.hpp"
#include "control/session/services.hpp"
#include "control/session/snapshots.hpp"
#include "control/telemetry/settings.hpp"

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ferry::telemetry {

/// Makes HEP packets of what control knows of calls. Workers keep the newest report of a party about each
/// stream (`ListenerReport`), and control asks for them in turns. If a party reports more often than its call
/// has a turn, Homer gets the newest report alone. No media packet is touched for it.
///
/// Control thread only. Borrows the services; it must be removed from the observers before it goes.
class HomerReports final : public CallObserver {
 public:
  /// How soon every call has a turn again, if there are not too many of them, and the most calls of one turn.
  static constexpr Duration kRoundTime = std::chrono::seconds(5);
  static constexpr std::size_t kMostCalls = 32;

  /// `send` gets each packet.
  HomerReports(HomerSettings settings, std::function<void(std::string)> send)
      : settings_(std::move(settings)), send_(std::move(send)) {}

  /// Makes one turn: asks the workers about the calls whose turn it is, with one fence, and sends what is
  /// new. `passed`: the time since the turn before.
  void turn(const Services& services, Duration passed, const Clock& clock);
  /// Sends the reports of a call that were not sent before.
  void tell(const Call& call, const CallSnapshots& snapshots, const Clock& clock);
  /// Sends a text as a message of the NG protocol. `from` has no port, as the service does not know it.
  void tell_ng(std::string_view text, std::string_view call_id, const IpAddress& from, bool is_reply,
               WallTime at);
  /// How many streams it keeps the time of a report of.
  [[nodiscard]] std::size_t streams() const;
  /// Packets that were too large for HEP.
  [[nodiscard]] std::uint64_t too_large() const { return too_large_; }

  void on_created(Call& call, Instant now) override;
  void on_planned(Call& call) override;
  void on_ending(Call& call, EndReason reason, const Clock& clock) override;
  void on_forgotten(Call& call) override;
  void on_report(const CallReport& report) override;

 private:
  /// Where a media of a party was.
  struct Place {
    std::string leg;
    unsigned media = 0;
    /// Where it sends from, by signalling until the workers know it.
    Endpoint remote;
    Endpoint local;
  };
  /// A call that is ending.
  struct Ending {
    std::string id;
    /// The Call-ID as the proxy knows it.
    std::string call_id;
    std::vector<Place> places;
  };
  /// What is known of a running call.
  struct Known {
    /// When the newest report about each stream came that was sent on; only those that the worker still
    /// keeps.
    std::map<std::pair<MediaId, std::uint32_t>, Instant> told;
    /// Where each media is. The ports of a party may be closed before its call ends, so they are noted when
    /// they are made.
    std::map<MediaId, Place> places;
  };
  /// Sends the reports about one media that were not sent before.
  void tell_media(const Call& call, const Media& media, const MediaView& view, Known& known,
                  const Clock& clock);
  void note_places(const Call& call);
  void note_ending(const Call& call);
  void tell_quality(const CallReport& report);
  void send(const Endpoint& from, const Endpoint& to, WallTime at, std::uint8_t type,
            std::string_view call_id, std::string_view payload);

  HomerSettings settings_;
  std::function<void(std::string)> send_;
  /// Sorted, so that the next turn finds its place again by the call that was last.
  std::map<const Call*, Known> calls_;
  const Call* last_ = nullptr;
  /// The newest stands last; at most `kMostEndings`, as a call without ports may never be reported.
  std::deque<Ending> endings_;
  std::uint64_t too_large_ = 0;
};

/// A report of a party about one stream as Homer reads RTCP: an object of a receiver report with one block.
/// What the relay does not keep (the times of sender reports) is left out. `reporter` 0 = unknown.
[[nodiscard]] std::string rtcp_json(const ListenerReport& report, Ssrc reporter);
/// The quality of a stream that arrived here, as Homer reads it.
[[nodiscard]] std::string quality_json(const StreamReport& stream, const Endpoint& from, const Endpoint& to,
                                       std::string_view call_id, WallTime at);

}  // namespace ferry::telemetry

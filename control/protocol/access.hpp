// SPDX-License-Identifier: Apache-2.0
// Decides which sources may use the control listeners, and keeps the refused ones for the operator (CTL-2,
// CTL-3, CTL-5, LAT-11a).
#pragma once

#include "control/protocol/turned_away.hpp"
#include "relay/base/address.hpp"
#include "relay/core/latch/latch.hpp"
#include "relay/core/limit/token_bucket.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Allow-list of source networks. A source that is neither on this host nor on the list may speak only if the
/// list is open, and then has a budget of 2000 requests a second (CTL-5). One list serves all control
/// listeners of the daemon. Control thread only.
class AccessList {
 public:
  /// One source that one listener refused for one reason. The log, metrics and `rtpferryctl doctor` show it:
  /// most often it is a proxy that is missing in `control-allow`.
  struct Refusal {
    IpAddress source;
    TurnedAway why = TurnedAway::kNotAllowed;
    /// The listener as the log names it, such as `NG over UDP on 192.0.2.1:2223`. Empty if the caller gave no
    /// name.
    std::string listener;
    /// Requests or connections that were refused so far.
    std::uint64_t count = 0;
    /// Number of minutes in which the source was refused at least once, and the begin of the newest one.
    std::uint64_t minutes = 0;
    Instant minute_began{};
    /// Times of the first and the last refusal.
    Instant first{};
    Instant last{};
    /// Part of `count` that log lines have reported, and the time of the last such line; unset if there was
    /// none.
    std::uint64_t told = 0;
    std::optional<Instant> told_at;
  };

  /// `allowed` lists the networks that may speak beside loopback. With `open` any source may speak within its
  /// budget. `own` names the media ports of this relay, whose datagrams are never commands; null if it has
  /// none.
  AccessList(std::vector<Network> allowed, bool open, std::shared_ptr<const OwnMedia> own = nullptr)
      : allowed_(std::move(allowed)), own_(std::move(own)), open_(open) {}

  /// Returns whether a request of `source` may be served. If not, the caller drops it without a reply. Each
  /// refusal is counted; the log gets at most one line a minute for each source and listener, and ten lines a
  /// minute in all (LIM-4). `listener` is the name for the log.
  bool admit(const IpAddress& source, Instant now, std::string_view listener = {});
  /// The same for a datagram. A datagram from a media port of this relay is refused even if its address is
  /// allowed: a caller's SDP sent media to a control port (LAT-11a). Streams need no such check, because
  /// media is UDP.
  bool admit_datagram(const Endpoint& source, Instant now, std::string_view listener = {});
  /// True for loopback and for addresses on the list. A call may name only such an address as receiver of
  /// events that the relay sends unasked (CTL-9).
  [[nodiscard]] bool is_trusted(const IpAddress& address) const {
    return address.is_loopback() ||
           std::ranges::any_of(allowed_, [&](const Network& network) { return network.contains(address); });
  }
  /// True if a control listener may be bound to `address`: loopback always, any other address only if the
  /// list is open or not empty (CTL-2).
  [[nodiscard]] bool may_listen_on(const IpAddress& address) const {
    return address.is_loopback() || open_ || !allowed_.empty();
  }
  /// Replaces the list. Connections that were let in before stay open.
  void set_allowed(std::vector<Network> allowed) { allowed_ = std::move(allowed); }
  [[nodiscard]] const std::vector<Network>& allowed() const { return allowed_; }
  /// The sources that were refused, at most `kMaxRefusals`; `refused` counts all of them. If the list is
  /// full, a new source takes a place from the listener and reason that hold most places: the place of the
  /// source that was refused in the fewest minutes, and among equals least often. So a flood of forged
  /// sources cannot push out a source at another listener, or one that has tried for some minutes.
  [[nodiscard]] const std::vector<Refusal>& refusals() const { return refusals_; }
  /// Requests and connections that were refused because their source is not allowed or has no budget left.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  /// An HTTP client sent another token than that of `http-token`, or none (CTL-8).
  void note_without_token(const IpAddress& source, Instant now, std::string_view listener);
  /// HTTP requests that were refused for their token (CTL-8). `refused` does not contain them, because the
  /// networks of their sources are allowed.
  [[nodiscard]] std::uint64_t refused_without_token() const { return refused_without_token_; }
  /// Datagrams that came from media ports of this relay.
  [[nodiscard]] std::uint64_t refused_from_media() const { return refused_from_media_; }

  /// Notes the port of a socket that a control listener has bound, so that no media is sent to it (LAT-11a).
  /// Ignores Unix sockets, which have no port.
  void note_listener(int socket);
  /// Ports of all control listeners that were noted so far, in the order of `note_listener`.
  [[nodiscard]] const std::vector<UdpPort>& listening() const { return listening_; }
  /// Calls `told` after each port that is added from now on. An empty function: nobody is told.
  void set_on_listening(std::function<void()> told) { on_listening_ = std::move(told); }

 private:
  static constexpr std::uint32_t kRequestsPerSecond = 2000;  // CTL-5
  static constexpr std::size_t kMaxSources = 4096;
  static constexpr std::size_t kMaxRefusals = 32;
  void note_refusal(const IpAddress& source, TurnedAway why, Instant now, std::string_view listener);
  /// Returns the entry for a new source; if the list is full, that of a source that is forgotten for it.
  Refusal& place_for(TurnedAway why, std::string_view listener);
  /// True if the limits allow a log line about this refusal now; it then counts as written.
  bool may_tell(const Refusal& refusal, Instant now);
  void note_media_source(const Endpoint& source, Instant now);

  std::vector<Network> allowed_;
  std::shared_ptr<const OwnMedia> own_;
  std::vector<UdpPort> listening_;
  std::function<void()> on_listening_;
  std::map<IpAddress, TokenBucket> budgets_;
  std::vector<Refusal> refusals_;
  std::uint64_t refused_ = 0;
  std::uint64_t refused_without_token_ = 0;
  // Begin of the current minute of log lines, and how many lines it has had. Unset before the first line.
  std::optional<Instant> lines_since_;
  unsigned lines_ = 0;
  std::uint64_t refused_from_media_ = 0;
  /// Part of `refused_from_media_` that log lines have reported, and the time of the last such line.
  std::uint64_t media_told_ = 0;
  std::optional<Instant> media_told_at_;
  bool open_;
};

}  // namespace ferry

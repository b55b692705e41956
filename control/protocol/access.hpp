// Who may speak to a control listener (CTL-2, CTL-3, CTL-5, LAT-11a).
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

/// Allow-list of source networks with a budget for everybody who is neither local nor on it. Control thread
/// only.
class AccessList {
 public:
  /// A source that a listener refused, for the operator: mostly a proxy that nobody put into `control-allow`.
  struct Refusal {
    IpAddress source;
    TurnedAway why = TurnedAway::kNotAllowed;
    /// As in the log: `NG over UDP on 192.0.2.1:2223`; empty where nobody named it.
    std::string listener;
    std::uint64_t count = 0;
    Instant first{};
    Instant last{};
    /// Of these, how many the log knows of, and since when.
    std::uint64_t told = 0;
    std::optional<Instant> told_at;
  };

  /// With `open` any source may speak, within its budget. `own`: the media ports of this relay; null: it has
  /// none.
  AccessList(std::vector<Network> allowed, bool open, std::shared_ptr<const OwnMedia> own = nullptr)
      : allowed_(std::move(allowed)), own_(std::move(own)), open_(open) {}

  /// False: drop without a reply. Each refusal is counted; the log has a line for each source and listener,
  /// once a minute at the most, and ten lines a minute of all (LIM-4).
  bool admit(const IpAddress& source, Instant now, std::string_view listener = {});
  /// The same for a datagram. What comes from a media port that is open now is never a command, wherever it
  /// comes from: a caller's SDP sent it here (LAT-11a). The source port of a stream says nothing: media is
  /// UDP.
  bool admit_datagram(const Endpoint& source, Instant now, std::string_view listener = {});
  /// Local or on the list: also whom a call may name as receiver of what the relay sends unasked (CTL-9).
  [[nodiscard]] bool is_trusted(const IpAddress& address) const {
    return address.is_loopback() ||
           std::ranges::any_of(allowed_, [&](const Network& network) { return network.contains(address); });
  }
  [[nodiscard]] bool may_listen_on(const IpAddress& address) const {
    return address.is_loopback() || open_ || !allowed_.empty();
  }
  /// Instead of those of before; connections that were let in stay.
  void set_allowed(std::vector<Network> allowed) { allowed_ = std::move(allowed); }
  [[nodiscard]] const std::vector<Network>& allowed() const { return allowed_; }
  /// Who was refused, at most `kMaxRefusals`: a new one takes the place of that which came least often. All
  /// are in `refused`.
  [[nodiscard]] const std::vector<Refusal>& refusals() const { return refusals_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  /// An HTTP client sent another token than that of `http-token`, or none (CTL-8).
  void note_without_token(const IpAddress& source, Instant now, std::string_view listener);
  /// They are not in `refused`: their networks are allowed.
  [[nodiscard]] std::uint64_t refused_without_token() const { return refused_without_token_; }
  /// Datagrams that came from media ports of this relay.
  [[nodiscard]] std::uint64_t refused_from_media() const { return refused_from_media_; }

  /// A control listener has bound this socket: media must not go to its port (LAT-11a). Sockets that have no
  /// port, those of Unix, count for nothing.
  void note_listener(int socket);
  /// Ports of all listeners so far.
  [[nodiscard]] const std::vector<UdpPort>& listening() const { return listening_; }
  /// `told` is called after each further port.
  void set_on_listening(std::function<void()> told) { on_listening_ = std::move(told); }

 private:
  static constexpr std::uint32_t kRequestsPerSecond = 2000;  // CTL-5
  static constexpr std::size_t kMaxSources = 4096;
  static constexpr std::size_t kMaxRefusals = 32;
  void note_refusal(const IpAddress& source, TurnedAway why, Instant now, std::string_view listener);
  /// A line about that source may be written now.
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
  // Lines about them that were written in the minute that began then.
  std::optional<Instant> lines_since_;
  unsigned lines_ = 0;
  std::uint64_t refused_from_media_ = 0;
  std::uint64_t media_told_ = 0;  // how many of them the log knows of
  std::optional<Instant> media_told_at_;
  bool open_;
};

}  // namespace ferry

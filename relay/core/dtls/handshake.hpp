// SPDX-License-Identifier: Apache-2.0
// One handshake with one source: its association, its last flight and when that is sent again, and how much
// it may send before the source has proved to be there (DTL-6, DTL-13, LIM-2).
#pragma once

#include "relay/core/dtls/dtls.hpp"
#include "relay/core/dtls/dtls_budget.hpp"
#include "relay/core/dtls/flights.hpp"
#include "relay/core/dtls/records.hpp"
#include "relay/core/forward/component.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {

/// Sends datagrams to any address.
class DatagramOutput {
 public:
  virtual ~DatagramOutput() = default;
  /// Sends one datagram; borrowed for the call.
  virtual void send(const Endpoint& to, Bytes datagram) noexcept = 0;
  /// Sends one datagram from one of several own addresses. By default there is only one.
  virtual void send_by(const Path& path, Bytes datagram) noexcept { send(path.peer, datagram); }
};

/// Moves an instant forward, unless it is not set.
inline void postpone(Instant& each, Duration by) noexcept {
  if (each != Instant{}) each += by;
}

/// Things that one call of a channel may use. Valid during that call.
struct DtlsTurn {
  const DtlsPlan& plan;
  DtlsBudget& budget;
  DatagramOutput& out;
  Instant now;
  /// True if the source has proved to be there (ICE), so that no cookie is asked for (DTL-5).
  bool is_proven = false;
  /// Address and port that signalling names. Unset with ICE, and if they cannot be meant for us.
  Endpoint signalled{};
};

/// Runs one handshake. Sans-IO, except that the back end's retransmission timer reads a clock. An empty
/// object is no handshake.
class DtlsHandshake {
 public:
  /// Result of a call.
  enum class Outcome : std::uint8_t {
    kGoesOn,
    kEstablished,
    /// Something that came ended it; anybody may have written that.
    kBroken,
    /// The peer's certificate is not the signalled one.
    kRefused,
    /// All tries are used up.
    kUnanswered,
  };

  DtlsHandshake() = default;
  /// A server, which waits for the first `take`. `hello` is the message that it begins with.
  DtlsHandshake(const Path& path, std::unique_ptr<DtlsAssociation> association, const ClientHello& hello,
                DtlsBudget::Place place);
  /// A client. `credit` is the number of octets that came from a source that has not proved to be there, and
  /// thus may be sent to it. Nothing: no bound.
  DtlsHandshake(const Path& path, std::unique_ptr<DtlsAssociation> association,
                std::optional<std::size_t> credit, DtlsBudget::Place place);

  /// True if it is a handshake, under way or complete.
  explicit operator bool() const noexcept { return association_ != nullptr; }
  [[nodiscard]] DtlsRole role() const noexcept { return role_; }
  [[nodiscard]] const Path& path() const noexcept { return path_; }
  [[nodiscard]] bool is_established() const noexcept { return established_ != Instant{}; }
  [[nodiscard]] bool is_under_way() const noexcept { return association_ && !is_established(); }
  /// True if only the address of its source is known, which anybody may have forged.
  [[nodiscard]] bool is_unproven() const noexcept { return credit_.has_value(); }
  /// Its association; only if it is a handshake.
  [[nodiscard]] const DtlsAssociation& association() const noexcept { return *association_; }
  /// True for a server that began with this very message, so that the peer repeats it.
  [[nodiscard]] bool began_with(const ClientHello& hello) const noexcept;

  /// Sends a client's first flight.
  Outcome start(DtlsTurn turn);
  /// Takes records that came by `from`; replies go there. `has_sent`, if not null, becomes true if any left.
  Outcome take(const Path& from, Bytes records, DtlsTurn turn, bool* has_sent = nullptr);
  /// Notes that so many octets came from its source, whatever they were: as many more may be sent.
  void earn(std::size_t octets, DtlsTurn turn);
  /// Goes on with what is due. `way`, if set, is where the peer is reached now.
  Outcome drive(const Path& way, DtlsTurn turn);
  /// Sends the flight that waits for an answer once more.
  void repeat(DtlsTurn turn);
  /// The peer is reached by `way` from now on: the flight that waits for an answer is sent there at once.
  void move(const Path& way, DtlsTurn turn);
  /// Ends a complete handshake with a fatal alert (DTL-9).
  void refuse(DtlsTurn turn);
  /// Gives its place in the budget back.
  void leave_budget() noexcept { place_.reset(); }
  /// Moves all times forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept;
  /// When `drive` has something to do; nothing if never.
  [[nodiscard]] std::optional<Instant> due(Instant now) const noexcept;
  /// True if a complete handshake no longer needs to answer late copies of the peer's last flight.
  [[nodiscard]] bool is_over(Instant now) const noexcept;
  /// Time from which `is_over` is true. Only for a complete handshake.
  [[nodiscard]] Instant over_at() const noexcept;

 private:
  /// Receives what the association sends during one call.
  class Owner;
  /// Turns the association's state into an outcome. `is_by_time`: no datagram caused it.
  Outcome settle(DtlsAssociation::State state, bool is_refused, bool is_by_time, DtlsTurn turn);
  /// Sends a datagram if the credit allows it.
  void put(Bytes datagram, DtlsTurn turn);

  /// Null: this is no handshake.
  std::unique_ptr<DtlsAssociation> association_;
  /// Path that the peer spoke by last.
  Path path_;
  DtlsRole role_ = DtlsRole::kServer;
  /// Random number and message number of the ClientHello that a server began with.
  std::array<std::byte, 32> random_{};
  std::uint16_t hello_sequence_ = 0;
  /// Empty once it is complete.
  DtlsBudget::Place place_;
  /// When it became complete; `Instant{}` = not yet.
  Instant established_{};
  /// Datagrams that it sent last, while they wait for an answer.
  std::vector<std::vector<std::byte>> flight_;
  /// When the flight is repeated on a new way; `Instant{}` = when the association says so.
  Instant again_{};
  /// Time between that repetition and the next.
  Duration gap_{};
  /// Octets that may still be sent; nothing: no bound.
  std::optional<std::size_t> credit_;
  /// True if a part of the flight was not sent for want of credit.
  bool was_withheld_ = false;
  /// For a client until it is complete; null otherwise.
  std::unique_ptr<FlightWatch> watch_;
  /// When a client first heard two different messages under one number; what it follows may be somebody
  /// else's. `Instant{}` = never.
  Instant doubted_{};
};

}  // namespace ferry

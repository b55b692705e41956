// One handshake with one source: its association, its last flight, when that is sent again, and what it
// may send before the source has proved to be there (DTL-6, DTL-13, LIM-2).
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

/// Where datagrams to any address go.
class DatagramOutput {
 public:
  virtual ~DatagramOutput() = default;
  virtual void send(const Endpoint& to, Bytes datagram) noexcept = 0;
  /// From one of several own addresses. By default there is one.
  virtual void send_by(const Path& path, Bytes datagram) noexcept { send(path.peer, datagram); }
};

/// Moves an instant that is set.
inline void postpone(Instant& each, Duration by) noexcept {
  if (each != Instant{}) each += by;
}

/// What one call of a channel may use.
struct DtlsTurn {
  const DtlsPlan& plan;
  DtlsBudget& budget;
  DatagramOutput& out;
  Instant now;
  /// The source has proved that it is there (ICE): no cookie is asked for (DTL-5).
  bool is_proven = false;
  /// Address and port that signalling names; unset with ICE, and where they cannot be meant for us.
  Endpoint signalled{};
};

/// Sans-IO but for the retransmission timer of the back end. An empty one is no handshake.
class DtlsHandshake {
 public:
  enum class Outcome : std::uint8_t {
    kGoesOn,
    kEstablished,
    kBroken,      // by what came: anybody may have written it
    kRefused,     // the certificate is not the signalled one
    kUnanswered,  // the tries are used up
  };

  DtlsHandshake() = default;
  /// A server, which waits for the first `take`. `hello` is what it begins with.
  DtlsHandshake(const Path& path, std::unique_ptr<DtlsAssociation> association, const ClientHello& hello,
                DtlsBudget::Place place);
  /// A client. `credit`: octets that came from a source that has not proved to be there, which is as much as
  /// may leave for it; without a value there is no bound.
  DtlsHandshake(const Path& path, std::unique_ptr<DtlsAssociation> association,
                std::optional<std::size_t> credit, DtlsBudget::Place place);

  explicit operator bool() const noexcept { return association_ != nullptr; }
  [[nodiscard]] DtlsRole role() const noexcept { return role_; }
  [[nodiscard]] const Path& path() const noexcept { return path_; }
  [[nodiscard]] bool is_established() const noexcept { return established_ != Instant{}; }
  [[nodiscard]] bool is_under_way() const noexcept { return association_ && !is_established(); }
  /// Nothing but the address of its source is known, which anybody may have written.
  [[nodiscard]] bool is_unproven() const noexcept { return credit_.has_value(); }
  [[nodiscard]] const DtlsAssociation& association() const noexcept { return *association_; }
  /// A server that began with this very message, which comes again.
  [[nodiscard]] bool began_with(const ClientHello& hello) const noexcept;

  /// A client's first flight.
  Outcome start(DtlsTurn turn);
  /// Takes records that came by `from`, which replies go to. `has_sent` says whether any left.
  Outcome take(const Path& from, Bytes records, DtlsTurn turn, bool* has_sent = nullptr);
  /// So much came from its source, whatever it was: as much more may leave.
  void earn(std::size_t octets, DtlsTurn turn);
  /// Goes on with what is due. `way` is set if the peer is reached there now, wherever it was before.
  Outcome drive(const Path& way, DtlsTurn turn);
  /// The flight that waits for an answer leaves once more.
  void repeat(DtlsTurn turn);
  /// The peer is reached by `way` from now on: what waits for an answer is sent there at once.
  void move(const Path& way, DtlsTurn turn);
  /// Ends an established one with a fatal alert (DTL-9).
  void refuse(DtlsTurn turn);
  /// It gives its place in the budget back.
  void leave_budget() noexcept { place_.reset(); }
  /// Time passed in which nobody listened (C-13).
  void skip(Duration pause) noexcept;
  /// When `drive` has something to do.
  [[nodiscard]] std::optional<Instant> due(Instant now) const noexcept;
  /// An established one answers late copies of the peer's last flight for a while.
  [[nodiscard]] bool is_over(Instant now) const noexcept;
  [[nodiscard]] Instant over_at() const noexcept;

 private:
  class Owner;
  Outcome settle(DtlsAssociation::State state, bool is_refused, bool is_by_time, DtlsTurn turn);
  void put(Bytes datagram, DtlsTurn turn);

  std::unique_ptr<DtlsAssociation> association_;
  Path path_;
  DtlsRole role_ = DtlsRole::kServer;
  std::array<std::byte, 32> random_{};  // of the ClientHello that a server began with
  std::uint16_t hello_sequence_ = 0;
  DtlsBudget::Place place_;
  Instant established_{};
  /// What it sent last, while that waits for an answer.
  std::vector<std::vector<std::byte>> flight_;
  /// When the flight is said again on a way that is new; unset: when the association says so.
  Instant again_{};
  Duration gap_{};  // until the time after that
  std::optional<std::size_t> credit_;
  bool was_withheld_ = false;           // a part of the flight, for want of credit
  std::unique_ptr<FlightWatch> watch_;  // a client's, until it is established
  /// A client heard two things at once: what it follows may be somebody else's.
  Instant doubted_{};
};

}  // namespace ferry

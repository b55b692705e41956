// SPDX-License-Identifier: Apache-2.0
// The handshakes of one component: who may begin one, whose keys are in force, and what is held until its
// source may speak (DTL-1 to DTL-14).
#pragma once

#include "relay/base/address.hpp"
#include "relay/core/dtls/dtls.hpp"
#include "relay/core/dtls/dtls_budget.hpp"
#include "relay/core/dtls/dtls_evidence.hpp"
#include "relay/core/dtls/handshake.hpp"
#include "relay/core/dtls/parties.hpp"
#include "relay/core/dtls/records.hpp"
#include "relay/core/forward/component.hpp"
#include "relay/core/forward/drop_reason.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace ferry {

/// Runs all handshakes of one component. Sans-IO, except that the back end's retransmission timer reads a
/// clock. Owned by one worker together with its transport.
class DtlsChannel {
 public:
  enum class State : std::uint8_t {
    /// Nothing has begun yet.
    kWaiting,
    kHandshaking,
    /// A handshake is complete, but no fingerprint was signalled to compare its certificate with (DTL-9).
    kUnverified,
    /// The keys are in force.
    kReady,
    /// A certificate was not the signalled one (DTL-8). Another handshake may still be the peer's.
    kMismatch,
    /// The peer does not answer, or the sides have nothing in common.
    kFailed,
  };
  /// Events that `take_news` reports.
  enum class News : std::uint8_t { kNone, kReady, kMismatch, kFailed };
  using Turn = DtlsTurn;

  /// Takes a datagram from a source that may not speak yet. True if it was kept, because it may be part of
  /// the peer's first flight (DTL-3).
  bool hold(const Path& from, Bytes datagram, Instant now);
  /// Path that the held flight came by; unset if none is held.
  [[nodiscard]] Path held_from(Instant now) const noexcept {
    return now - held_.since <= kHeldTime ? held_.from : Path{};
  }
  /// Hands the held flight to `take`, because its source may speak now.
  void release(Turn turn);

  /// Takes a datagram from a source that may speak (DTL-2). kNone if it was of use; otherwise why it was
  /// dropped.
  DropReason take(const Path& from, Bytes datagram, Turn turn);
  /// Begins what the plan asks for and goes on with what is due. `way` is the path of a client's first
  /// flight, and with ICE also of repeated flights. If it is unset, no handshake begins. If it differs from
  /// the call before, flights that wait for an answer are sent there at once.
  void drive(const Path& way, Turn turn);
  /// When `drive` has something to do; nothing if never.
  [[nodiscard]] std::optional<Instant> due(Instant now) const noexcept;
  /// Moves all times forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept;

  /// Keys of the newest handshake whose certificate was right; nothing if there was none.
  [[nodiscard]] const std::optional<DtlsKeys>& keys() const noexcept { return keys_; }
  /// Address of that handshake's peer, which has proved to hold the certificate.
  [[nodiscard]] const Endpoint& peer() const noexcept { return peer_; }
  /// Number of the plan's association that `keys` belong to.
  [[nodiscard]] std::uint32_t keyed_for() const noexcept { return keyed_for_; }
  [[nodiscard]] State state() const noexcept { return state_; }
  /// The newest event since the previous call; kNone if there was none.
  [[nodiscard]] News take_news() noexcept { return std::exchange(news_, News::kNone); }
  /// Record of what happened, for explanations; null if nothing did yet.
  [[nodiscard]] const DtlsEvidence* evidence() const noexcept { return evidence_.get(); }

  /// Goes on with exported keys that were agreed for `association`. No handshake begins until signalling asks
  /// for another association.
  void restore(const DtlsKeys& keys, std::uint32_t association);
  /// Gives its places in the budget back, because it moves to another worker.
  void leave_budget() noexcept;

 private:
  /// DTL-3: how long a flight is held.
  static constexpr Duration kHeldTime = std::chrono::seconds(2);
  /// DTL-3: octets of a held flight.
  static constexpr std::size_t kHeldOctets = 4096;
  /// How often a client begins if nobody answers.
  static constexpr unsigned kRounds = 3;
  // DTL-13: after a round that somebody spoiled, the next one begins `kSoon` later. If that happened less
  // than `kRare` ago, it begins `kNextRound` after the spoiled one began.
  static constexpr Duration kSoon = std::chrono::milliseconds(100);
  static constexpr Duration kNextRound = std::chrono::milliseconds(900);
  static constexpr Duration kRare = std::chrono::seconds(10);

  /// A first flight of a source that may not speak yet.
  struct Held {
    Path from;
    Instant since{};
    std::vector<std::vector<std::byte>> datagrams;
    std::size_t octets = 0;
  };

  /// Takes a ClientHello whose first piece holds the cookie.
  DropReason on_hello(const Path& from, Bytes records, const ClientHello& hello, Turn turn);
  /// Takes a further piece of a ClientHello.
  DropReason on_hello_piece(const Path& from, Bytes records, Turn turn);
  /// Gives records to a handshake that is under way or complete.
  DropReason on_records(DtlsParty& party, DtlsHandshake& taker, const Path& from, Bytes records, Turn turn);
  /// A client hears from a source that it has no handshake with: it begins one with that source (DTL-13).
  DropReason answer(const Path& from, Bytes records, Turn turn);
  /// Begins a handshake as server with `hello`, whose contents are in `shown`.
  DropReason begin_server(DtlsParty& party, const Path& from, Bytes hello, const ClientHello& shown,
                          bool after_cookie, Turn turn);
  /// Begins a handshake as client. False if the budget is used up. `credit` as in `DtlsHandshake`.
  [[nodiscard]] bool begin_client(DtlsParty& party, const Path& way, std::optional<std::size_t> credit,
                                  Turn turn);
  /// Begins the next round of a client, if one is due. `is_open`: `way_` may be spoken to now.
  void begin_round(bool is_open, Turn turn);
  /// Plans the round after one that ended. `is_spoiled`: something that came ended it.
  void plan_round(bool is_spoiled, Instant now) noexcept;
  /// Takes over a changed plan.
  void follow_plan(Turn turn);
  /// Takes over a changed way to the peer.
  void follow_way(const Path& way, Turn turn);
  /// Goes on with what is due in one handshake.
  void run(DtlsParty& party, DtlsHandshake& handshake, Turn turn);
  /// Acts on the outcome of a handshake.
  void settle(DtlsParty& party, DtlsHandshake& handshake, DtlsHandshake::Outcome outcome, Turn turn);
  /// Judges the certificate of a complete handshake and takes its keys.
  void verify(DtlsParty& party, DtlsHandshake& handshake, Turn turn);
  /// Ends a handshake that failed.
  void fail(DtlsParty& party, DtlsHandshake& handshake, DtlsHandshake::Outcome outcome, Turn turn);
  /// The evidence, made if necessary.
  DtlsEvidence& ensure_evidence(Turn turn);
  /// The evidence about one source.
  DtlsEvidence::Source& noted(const Endpoint& with, Turn turn);

  DtlsParties parties_;
  std::optional<DtlsKeys> keys_;
  Endpoint peer_;
  std::uint32_t keyed_for_ = 0;
  /// To the peer, as `drive` was told last.
  Path way_;
  Held held_;
  /// The plan's association that the handshakes belong to.
  std::uint32_t association_ = 0;
  /// True while no handshake for this association is complete.
  bool is_wanted_ = true;
  /// Rounds that a client began, without those that somebody spoiled.
  unsigned rounds_ = 0;
  Instant round_began_{};
  /// When the next round begins; `Instant{}` = none is planned.
  Instant next_round_{};
  /// When the last round was spoiled; `Instant{}` = never.
  Instant spoiled_{};
  State state_ = State::kWaiting;
  News news_ = News::kNone;
  /// Made when something happens; null before.
  std::unique_ptr<DtlsEvidence> evidence_;
};

/// Spelling in replies of commands.
std::string_view to_string(DtlsChannel::State state) noexcept;

}  // namespace ferry

// The handshakes of one component: who may begin one, which is in force, what is held until its source may
// speak (media-security section 5).
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

/// Sans-IO but for the retransmission timer of the back end. Owned by one worker, with its transport.
class DtlsChannel {
 public:
  enum class State : std::uint8_t {
    kWaiting,  // for the peer to begin
    kHandshaking,
    kUnverified,  // finished, but nothing was signalled to compare the certificate with (DTL-9)
    kReady,
    kMismatch,  // the certificate is not the signalled one (DTL-8); another handshake may still be the peer's
    kFailed,    // the peer does not answer, or nothing suits both
  };
  enum class News : std::uint8_t { kNone, kReady, kMismatch, kFailed };
  using Turn = DtlsTurn;

  /// A datagram from a source that may not speak yet. Kept if it may be the peer's first flight (DTL-3):
  /// whether it was.
  bool hold(const Path& from, Bytes datagram, Instant now);
  /// Whose flight is held; unset if none is.
  [[nodiscard]] Path held_from(Instant now) const noexcept {
    return now - held_.since <= kHeldTime ? held_.from : Path{};
  }
  /// The source of the held flight may speak now.
  void release(Turn turn);

  /// A datagram from a source that may speak (DTL-2). Why it was dropped; kNone if it was of use.
  DropReason take(const Path& from, Bytes datagram, Turn turn);
  /// Begins what the plan asks for, and goes on with what is due. `way`: where a client speaks to, and with a
  /// proven source where flights are sent again; unset: no handshake begins. Where it is another one than
  /// before, what waits for an answer is said there at once (WDTLS-4).
  void drive(const Path& way, Turn turn);
  /// When `drive` has something to do.
  [[nodiscard]] std::optional<Instant> due(Instant now) const noexcept;
  /// Time passed in which nobody listened (C-13).
  void skip(Duration pause) noexcept;

  /// Of the newest handshake whose certificate was right; those before it are no longer good.
  [[nodiscard]] const std::optional<DtlsKeys>& keys() const noexcept { return keys_; }
  /// Who proved to have them.
  [[nodiscard]] const Endpoint& peer() const noexcept { return peer_; }
  /// The number of the plan's association that `keys` belong to.
  [[nodiscard]] std::uint32_t keyed_for() const noexcept { return keyed_for_; }
  [[nodiscard]] State state() const noexcept { return state_; }
  /// What happened since it was asked last.
  [[nodiscard]] News take_news() noexcept { return std::exchange(news_, News::kNone); }
  /// Null if nothing happened yet.
  [[nodiscard]] const DtlsEvidence* evidence() const noexcept { return evidence_.get(); }

  /// Goes on with keys of an export, which were agreed for `association`: no handshake until signalling asks
  /// for another one.
  void restore(const DtlsKeys& keys, std::uint32_t association);
  /// The budget it counted in is that of another worker from now on.
  void leave_budget() noexcept;

 private:
  static constexpr Duration kHeldTime = std::chrono::seconds(2);
  static constexpr std::size_t kHeldOctets = 4096;
  static constexpr unsigned kRounds = 3;  // of a client whom nobody answers
  // DTL-13: from a round that somebody spoiled to the next one; where that happened lately, between the
  // beginnings of the two.
  static constexpr Duration kSoon = std::chrono::milliseconds(100);
  static constexpr Duration kNextRound = std::chrono::milliseconds(900);
  static constexpr Duration kRare = std::chrono::seconds(10);

  struct Held {
    Path from;
    Instant since{};
    std::vector<std::vector<std::byte>> datagrams;
    std::size_t octets = 0;
  };

  DropReason on_hello(const Path& from, Bytes records, const ClientHello& hello, Turn turn);
  DropReason on_hello_piece(const Path& from, Bytes records, Turn turn);
  DropReason on_records(DtlsParty& party, DtlsHandshake& taker, const Path& from, Bytes records, Turn turn);
  /// A client hears from a source that it has no handshake with (DTL-13).
  DropReason answer(const Path& from, Bytes records, Turn turn);
  DropReason begin_server(DtlsParty& party, const Path& from, Bytes hello, const ClientHello& shown,
                          bool after_cookie, Turn turn);
  [[nodiscard]] bool begin_client(DtlsParty& party, const Path& way, std::optional<std::size_t> credit,
                                  Turn turn);
  /// `is_open`: `way_` may be spoken to now.
  void begin_round(bool is_open, Turn turn);
  void plan_round(bool is_spoiled, Instant now) noexcept;
  void follow_plan(Turn turn);
  void follow_way(const Path& way, Turn turn);
  void run(DtlsParty& party, DtlsHandshake& handshake, Turn turn);
  void settle(DtlsParty& party, DtlsHandshake& handshake, DtlsHandshake::Outcome outcome, Turn turn);
  void verify(DtlsParty& party, DtlsHandshake& handshake, Turn turn);
  void fail(DtlsParty& party, DtlsHandshake& handshake, DtlsHandshake::Outcome outcome, Turn turn);
  DtlsEvidence& made_evidence(Turn turn);
  DtlsEvidence::Source& noted(const Endpoint& with, Turn turn);

  DtlsParties parties_;
  std::optional<DtlsKeys> keys_;
  Endpoint peer_;
  std::uint32_t keyed_for_ = 0;
  Path way_;  // to the peer, as `drive` was told last
  Held held_;
  std::uint32_t association_ = 0;  // of the plan
  bool is_wanted_ = true;          // no handshake for it is complete
  unsigned rounds_ = 0;            // of a client, unless somebody spoiled them
  Instant round_began_{};
  Instant next_round_{};  // unset: none is planned
  Instant spoiled_{};     // the last round that was; unset: none
  State state_ = State::kWaiting;
  News news_ = News::kNone;
  std::unique_ptr<DtlsEvidence> evidence_;  // made when something happens
};

std::string_view to_string(DtlsChannel::State state) noexcept;

}  // namespace ferry

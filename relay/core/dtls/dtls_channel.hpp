// The handshakes of one component: who may begin one, which is in force, what is held until its source may
// speak (media-security section 5).
#pragma once

#include "relay/base/address.hpp"
#include "relay/core/dtls/dtls.hpp"
#include "relay/core/dtls/dtls_budget.hpp"
#include "relay/core/dtls/records.hpp"
#include "relay/core/forward/component.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
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

/// Sans-IO but for the retransmission timer of the back end. Owned by one worker, with its transport.
class DtlsChannel {
 public:
  enum class State : std::uint8_t {
    kWaiting,  // for the peer to begin
    kHandshaking,
    kUnverified,  // finished, but nothing was signalled to compare the certificate with (DTL-9)
    kReady,
    kMismatch,  // the certificate is not the signalled one (DTL-8)
    kFailed,    // the peer does not answer, or nothing suits both
  };
  enum class News : std::uint8_t { kNone, kReady, kMismatch, kFailed };

  /// What one call may use.
  struct Turn {
    const DtlsPlan& plan;
    DtlsBudget& budget;
    DatagramOutput& out;
    Instant now;
    /// The source has proved that it is there (ICE): no cookie is asked for (DTL-5).
    bool is_proven = false;
  };

  /// A datagram from a source that may not speak yet. Kept if it may be the peer's first flight (DTL-3):
  /// whether it was.
  bool hold(const Path& from, Bytes datagram, Instant now);
  /// Whose flight is held; unset if none is.
  [[nodiscard]] Path held_from(Instant now) const noexcept {
    return now - held_.since <= kHeldTime ? held_.from : Path{};
  }
  /// The source of the held flight may speak now.
  void release(Turn turn);

  /// A datagram from a source that may speak (DTL-2). False: it is nothing that DTLS knows.
  bool take(const Path& from, Bytes datagram, Turn turn);
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

  /// Goes on with keys of an export, which were agreed for `association`: no handshake until signalling asks
  /// for another one.
  void restore(const DtlsKeys& keys, std::uint32_t association);
  /// The budget it counted in is that of another worker from now on.
  void leave_budget() noexcept;

 private:
  static constexpr Duration kHeldTime = std::chrono::seconds(2);
  static constexpr std::size_t kHeldOctets = 4096;
  static constexpr std::size_t kStarts = 4;  // the first, and three more in `kStartTime` (DTL-4)
  static constexpr Duration kStartTime = std::chrono::seconds(10);
  static constexpr unsigned kRounds = 3;  // of a client whom nobody answers
  static constexpr Duration kKept = std::chrono::seconds(30);

  using Random = std::array<std::byte, 32>;
  struct Running {
    std::unique_ptr<DtlsAssociation> association;
    Path path;
    DtlsRole role = DtlsRole::kServer;
    Random random{};  // of the ClientHello that began it
    DtlsBudget::Place place;
    Instant established{};
    bool is_established = false;
    /// What it sent last, while that waits for an answer.
    std::vector<std::vector<std::byte>> flight;
    /// When the flight is said again on a way that is new; unset: when the association says so.
    Instant again{};
    Duration gap{};  // until the time after that
    explicit operator bool() const noexcept { return association != nullptr; }
  };
  struct Held {
    Path from;
    Instant since{};
    std::vector<std::vector<std::byte>> datagrams;
    std::size_t octets = 0;
  };

  /// What an association of ours does outside.
  class Owner;

  void on_hello(const Path& from, Bytes records, const ClientHello& hello, Turn turn);
  void begin_server(const Path& from, Bytes hello, bool after_cookie, Turn turn);
  void begin_client(const Path& way, Turn turn);
  [[nodiscard]] bool may_start(Instant now) noexcept;
  /// The association that records from `from` belong to, unless they begin a new one; null if there is none.
  [[nodiscard]] Running* running_with(const Path& from) noexcept;
  /// Returns whether the association sent something.
  bool feed(Running& running, const Path& from, Bytes records, Turn turn);
  /// Sends the flight that waits for an answer once more.
  static void repeat(const Running& running, Turn turn);
  /// The peer is reached another way from now on.
  void move(Running& running, Turn turn);
  void run(Running& running, bool has_moved, Turn turn);
  void settle(Running& running, DtlsAssociation::State state, bool is_refused, Turn turn);
  void verify(Running& running, Turn turn);
  void fail(Running& running, State state, News news);

  Running current_;
  Running next_;  // beside a live one (DTL-11)
  std::optional<DtlsKeys> keys_;
  Endpoint peer_;
  std::uint32_t keyed_for_ = 0;
  Path way_;  // to the peer, as `drive` was told last
  Held held_;
  HelloAssembly assembly_;
  Random assembling_{};
  std::uint32_t association_ = 0;  // of the plan
  bool is_wanted_ = true;          // no handshake for it is complete
  std::array<Instant, kStarts> starts_{};
  unsigned rounds_ = 0;
  State state_ = State::kWaiting;
  News news_ = News::kNone;
};

std::string_view to_string(DtlsChannel::State state) noexcept;

}  // namespace ferry

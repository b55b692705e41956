// The handshakes of one component: who may begin one, which is in force, what is held until its source may
// speak (media-security section 5).
#pragma once

#include "relay/base/address.hpp"
#include "relay/core/dtls/dtls.hpp"
#include "relay/core/dtls/dtls_budget.hpp"
#include "relay/core/dtls/records.hpp"

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
  bool hold(const Endpoint& from, Bytes datagram, Instant now);
  /// Whose flight is held; unset if none is.
  [[nodiscard]] Endpoint held_from(Instant now) const noexcept {
    return now - held_.since <= kHeldTime ? held_.from : Endpoint{};
  }
  /// The source of the held flight may speak now.
  void release(Turn turn);

  /// A datagram from a source that may speak (DTL-2). False: it is nothing that DTLS knows.
  bool take(const Endpoint& from, Bytes datagram, Turn turn);
  /// Begins what the plan asks for (`peer`: where a client speaks to, may be unset), and goes on with what is
  /// due.
  void drive(const Endpoint& peer, Turn turn);
  /// When `drive` has something to do.
  [[nodiscard]] std::optional<Instant> due(Instant now) const noexcept;

  /// Of the newest handshake whose certificate was right; those before it are no longer good.
  [[nodiscard]] const std::optional<DtlsKeys>& keys() const noexcept { return keys_; }
  /// Who proved to have them.
  [[nodiscard]] const Endpoint& peer() const noexcept { return peer_; }
  [[nodiscard]] State state() const noexcept { return state_; }
  /// What happened since it was asked last.
  [[nodiscard]] News take_news() noexcept { return std::exchange(news_, News::kNone); }

  /// Goes on with keys of an export: no handshake until signalling asks for one.
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
    Endpoint peer;
    DtlsRole role = DtlsRole::kServer;
    Random random{};  // of the ClientHello that began it
    DtlsBudget::Place place;
    Instant established{};
    bool is_established = false;
    explicit operator bool() const noexcept { return association != nullptr; }
  };
  struct Held {
    Endpoint from;
    Instant since{};
    std::vector<std::vector<std::byte>> datagrams;
    std::size_t octets = 0;
  };

  void on_hello(const Endpoint& from, Bytes records, const ClientHello& hello, Turn turn);
  void begin_server(const Endpoint& from, Bytes hello, bool after_cookie, Turn turn);
  void begin_client(const Endpoint& peer, Turn turn);
  [[nodiscard]] bool may_start(Instant now) noexcept;
  void feed(Running& running, const Endpoint& from, Bytes records, Turn turn);
  void settle(Running& running, DtlsAssociation::State state, Turn turn);
  void verify(Running& running, Turn turn);
  void fail(Running& running, State state, News news);

  Running current_;
  Running next_;  // beside a live one (DTL-11)
  std::optional<DtlsKeys> keys_;
  Endpoint peer_;
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

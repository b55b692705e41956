// SPDX-License-Identifier: Apache-2.0
// A fax between T.38 and a modem's sound (ITU-T T.38), by spandsp.
#pragma once

#include "codecs/fax/udptl.hpp"
#include "relay/base/bytes.hpp"
#include "relay/core/audio/fax.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace ferry {

/// How many octets a datagram to a party may have whose SDP says `T38FaxMaxDatagram:said`; 0 = it says
/// nothing. Old devices mean the IFP packet alone (72 is common), so that a limit without room for three
/// repeats of a packet of the fastest modem only says that they are old.
[[nodiscard]] std::size_t datagram_room(std::uint32_t said) noexcept;

/// Both directions of one fax call between a T.38 party and a party with sound.
///
/// The caller keeps a steady clock: 160 samples of sound in (`hear` or `miss`) and 160 out (`speak`) every 20
/// ms, whatever comes. Datagrams go in as they come (`take`); those for the T.38 side wait until
/// `next_datagram` has given them. Sans-IO. Allocates when it is made; spandsp allocates in its own way. For
/// one thread.
class T38Gateway {
 public:
  /// Samples of one step of the clock.
  static constexpr std::size_t kStep = 160;
  /// Most datagrams that wait; further ones are lost, as on the network.
  static constexpr std::size_t kMostWaiting = 32;

  /// Throws std::bad_alloc.
  explicit T38Gateway(const T38Settings& settings);
  ~T38Gateway();
  T38Gateway(const T38Gateway&) = delete;
  T38Gateway& operator=(const T38Gateway&) = delete;

  /// Hears the next samples of the party with sound, at 8 kHz.
  void hear(std::span<const std::int16_t> samples) noexcept;
  /// So many of its samples are missing.
  void miss(std::size_t samples) noexcept;
  /// Fills `out` with the next samples for it; silence while nobody sends.
  void speak(std::span<std::int16_t> out) noexcept;

  /// Takes a datagram of the T.38 party.
  UdptlReader::Outcome take(Bytes datagram) noexcept;
  /// The next datagram for it, in order; empty if none waits. Borrowed until the next call of anything.
  [[nodiscard]] Bytes next_datagram() noexcept;

  /// What the T.38 party's datagrams were.
  [[nodiscard]] const UdptlReader::Figures& figures() const noexcept { return reader_.figures(); }
  /// Datagrams that found no room to wait.
  [[nodiscard]] std::uint64_t overflown() const noexcept { return overflown_; }
  /// Whole pages so far, bit/s of the modems, and whether pages are corrected (ECM).
  struct Progress {
    int pages = 0;
    int bit_rate = 0;
    bool is_corrected = false;
  };
  [[nodiscard]] Progress progress() const noexcept;

 private:
  struct Modems;
  struct Waiting {
    std::size_t size = 0;
    std::array<std::byte, 1400> octets;
  };
  /// Puts an IFP packet into a datagram that waits `times` times.
  void send(Bytes ifp, int times) noexcept;

  UdptlReader reader_;
  UdptlWriter writer_;
  std::size_t most_datagram_;
  /// A ring of datagrams that wait: the first one, and how many.
  std::unique_ptr<std::array<Waiting, kMostWaiting>> waiting_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::uint64_t overflown_ = 0;
  std::unique_ptr<Modems> modems_;
};

}  // namespace ferry

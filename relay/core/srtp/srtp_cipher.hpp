// SPDX-License-Identifier: Apache-2.0
// The cryptography of SRTP, which a back end implements. It is told the index of each packet and keeps no
// state; indices and replay are the business of srtp_context.hpp.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"
#include "relay/core/srtp/srtp_key.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace ferry {

/// Steps of prefetching what a packet will need, in the order in which the addresses become known.
enum class SrtpFetch : std::uint8_t { kSession, kContext };

/// The session keys of one master key (RFC 3711 §4.3, key derivation rate 0), and the packet form of its
/// suite, MKI included. No state between packets. One thread at a time.
class SrtpCipher {
 public:
  virtual ~SrtpCipher() = default;

  /// Most octets that sealing adds to any packet.
  [[nodiscard]] virtual std::size_t overhead() const noexcept = 0;

  /// Begins to load what the next packet needs. With thousands of sessions it is not in the cache.
  virtual void prefetch(SrtpFetch /*step*/) const noexcept {}

  /// Octets that sealing adds to an RTP packet.
  [[nodiscard]] virtual std::size_t rtp_overhead() const noexcept = 0;

  /// Encrypts what follows the first `header` octets, and appends MKI and tag. `size` grows, within `space`.
  /// False if there is no room or the library failed; the packet must then not be sent.
  virtual bool seal_rtp(MutableBytes space, std::size_t& size, std::size_t header, Ssrc ssrc,
                        std::uint64_t index) noexcept = 0;
  /// Checks the tag, then decrypts in place. `packet` is the whole packet; `size` becomes that of the plain
  /// one. False if it is not authentic; the packet is then unchanged.
  virtual bool open_rtp(MutableBytes packet, std::size_t& size, std::size_t header, Ssrc ssrc,
                        std::uint64_t index) noexcept = 0;
  /// Encrypts a compound RTCP packet. `index` has 31 bits; it is written behind the packet together with the
  /// E bit.
  virtual bool seal_rtcp(MutableBytes space, std::size_t& size, Ssrc ssrc, std::uint32_t index) noexcept = 0;
  /// Reads the index that an SRTCP packet carries. False if the packet is too short to have one.
  virtual bool rtcp_index(Bytes packet, std::uint32_t& index) const noexcept = 0;
  /// Checks and decrypts an SRTCP packet. One without the E bit is refused, because nobody agreed to leave it
  /// plain (SRT-12).
  virtual bool open_rtcp(MutableBytes packet, std::size_t& size, Ssrc ssrc) noexcept = 0;
};

/// One RTP packet of a batch: the arguments of `seal_rtp` or `open_rtp`, and the result.
struct SrtpWork {
  /// The cipher to use; borrowed.
  SrtpCipher* cipher = nullptr;
  /// Sealing: the packet with room behind it. Opening: the packet.
  MutableBytes space;
  /// Argument and result of `seal_rtp` or `open_rtp`; so are the next three.
  std::size_t size = 0;
  std::size_t header = 0;
  Ssrc ssrc;
  std::uint64_t index = 0;
  /// Result: true if the packet was sealed, or opened and found authentic.
  bool done = false;
};

/// Makes ciphers. One for the process; safe on any thread.
class SrtpBackend {
 public:
  virtual ~SrtpBackend() = default;
  /// True if several packets at once are cheaper than one after the other, so that it pays to collect them.
  [[nodiscard]] virtual bool is_batching() const noexcept { return false; }
  /// Seals each packet of the batch. All ciphers must come from this back end.
  virtual void seal_rtp(std::span<SrtpWork> batch) const noexcept {
    for (SrtpWork& each : batch)
      each.done = each.cipher->seal_rtp(each.space, each.size, each.header, each.ssrc, each.index);
  }
  /// Opens each packet of the batch. All ciphers must come from this back end.
  virtual void open_rtp(std::span<SrtpWork> batch) const noexcept {
    for (SrtpWork& each : batch)
      each.done = each.cipher->open_rtp(each.space, each.size, each.header, each.ssrc, each.index);
  }
  /// Makes the cipher of a key. Null if the sizes of the key do not fit its suite, or the suite must not be
  /// used.
  [[nodiscard]] virtual std::unique_ptr<SrtpCipher> make(const SrtpMasterKey& key) const = 0;
};

}  // namespace ferry

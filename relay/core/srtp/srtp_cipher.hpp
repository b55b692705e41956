// The transforms of SRTP at an index that somebody else decided on: what a back end implements.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"
#include "relay/core/srtp/srtp_key.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace ferry {

/// Memory that a packet will need, in the order in which it can be fetched.
enum class SrtpFetch : std::uint8_t { kSession, kContext };

/// The session keys of one master key (RFC 3711 §4.3, key derivation rate 0), and the packet forms of its
/// suite, MKI included. Keeps no state between packets. One thread at a time.
class SrtpCipher {
 public:
  virtual ~SrtpCipher() = default;

  /// Most octets that sealing adds to a packet.
  [[nodiscard]] virtual std::size_t overhead() const noexcept = 0;

  /// Begins to fetch what the next packets need: with thousands of sessions it is not in the cache.
  virtual void prefetch(SrtpFetch /*step*/) const noexcept {}

  /// What sealing adds to an RTP packet.
  [[nodiscard]] virtual std::size_t rtp_overhead() const noexcept = 0;

  /// Encrypts behind the first `header` octets and appends the tag; `size` grows within `space`. False if
  /// there is no room or the library failed: the packet must not be sent.
  virtual bool seal_rtp(MutableBytes space, std::size_t& size, std::size_t header, Ssrc ssrc,
                        std::uint64_t index) noexcept = 0;
  /// Checks the tag, then decrypts; `packet` is whole, `size` becomes that of the plain packet. False: it is
  /// not authentic, and unchanged.
  virtual bool open_rtp(MutableBytes packet, std::size_t& size, std::size_t header, Ssrc ssrc,
                        std::uint64_t index) noexcept = 0;
  /// The same for a compound RTCP packet. `index` has 31 bits and is written behind it, with the E bit.
  virtual bool seal_rtcp(MutableBytes space, std::size_t& size, Ssrc ssrc, std::uint32_t index) noexcept = 0;
  /// The index that an SRTCP packet carries; false if it is too short to have one.
  virtual bool rtcp_index(Bytes packet, std::uint32_t& index) const noexcept = 0;
  /// A packet without the E bit is refused: its sender was not to leave it plain (SRT-12).
  virtual bool open_rtcp(MutableBytes packet, std::size_t& size, Ssrc ssrc) noexcept = 0;
};

/// One RTP packet of a batch: the arguments of `seal_rtp` or `open_rtp`, and what came of it.
struct SrtpWork {
  SrtpCipher* cipher = nullptr;
  MutableBytes space;  // opening: the packet
  std::size_t size = 0;
  std::size_t header = 0;
  Ssrc ssrc;
  std::uint64_t index = 0;
  bool done = false;
};

/// Makes ciphers; one for the process. Any thread.
class SrtpBackend {
 public:
  virtual ~SrtpBackend() = default;
  /// Several packets at once are cheaper than one after the other: worth collecting them.
  [[nodiscard]] virtual bool is_batching() const noexcept { return false; }
  /// Of ciphers that this back end made.
  virtual void seal_rtp(std::span<SrtpWork> batch) const noexcept {
    for (SrtpWork& each : batch)
      each.done = each.cipher->seal_rtp(each.space, each.size, each.header, each.ssrc, each.index);
  }
  virtual void open_rtp(std::span<SrtpWork> batch) const noexcept {
    for (SrtpWork& each : batch)
      each.done = each.cipher->open_rtp(each.space, each.size, each.header, each.ssrc, each.index);
  }
  /// Null if the key has not the sizes of its suite, or the suite is not to be used.
  [[nodiscard]] virtual std::unique_ptr<SrtpCipher> make(const SrtpMasterKey& key) const = 0;
};

}  // namespace ferry

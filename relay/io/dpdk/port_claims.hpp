// SPDX-License-Identifier: Apache-2.0
// Says which worker has which local UDP port. Asked for each received frame.
#pragma once

#include "relay/base/address.hpp"
#include "relay/io/packet_buffer.hpp"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <vector>

#include <sys/resource.h>

namespace ferry::dpdk {

/// The owner of a port: a worker, and the cookie that it gave to the port.
struct Claim {
  unsigned worker = 0;
  std::uint64_t cookie = 0;
};

/// The owners of all UDP ports of the configured addresses, which never change. A worker claims and gives up
/// its own ports; all workers look. No locks: an element is one word.
class PortClaims {
 public:
  /// `addresses`: local addresses whose ports can be claimed. Throws std::bad_alloc.
  explicit PortClaims(std::vector<IpAddress> addresses) : addresses_(std::move(addresses)) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    descriptors_ = static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_cur, 1 << 22));
    claims_.reset(make<std::uint64_t>(addresses_.size() * kPorts));
    marks_.reset(make<std::uint8_t>(descriptors_));
  }

  /// Enters an owner; `give_up` removes it. A port of another address is ignored.
  void claim(const Endpoint& local, Claim claim) noexcept { set(local, pack(claim)); }
  void give_up(const Endpoint& local) noexcept { set(local, 0); }
  /// The owner of a port; nothing if nobody has claimed it.
  [[nodiscard]] std::optional<Claim> find(const Endpoint& local) const noexcept {
    std::uint64_t* at = element(local);
    if (at == nullptr) return std::nullopt;
    const std::uint64_t value = std::atomic_ref(*at).load(std::memory_order_acquire);
    if (value == 0) return std::nullopt;
    return Claim{static_cast<unsigned>(value >> kCookieBits) - 1, value & kCookieMask};
  }

  /// DSCP and ECN octet of what leaves a port. Control writes it, workers read it; 0 by default.
  void set_tos(PortHandle port, std::uint8_t tos) noexcept {
    const auto index = static_cast<std::size_t>(port.native);
    if (index < descriptors_) std::atomic_ref(marks_[index]).store(tos, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint8_t tos_of(PortHandle port) const noexcept {
    const auto index = static_cast<std::size_t>(port.native);
    return index < descriptors_ ? std::atomic_ref(marks_[index]).load(std::memory_order_relaxed)
                                : std::uint8_t{0};
  }

 private:
  static constexpr std::size_t kPorts = 65536;
  static constexpr unsigned kCookieBits = 48;
  static constexpr std::uint64_t kCookieMask = (std::uint64_t{1} << kCookieBits) - 1;
  static std::uint64_t pack(Claim claim) noexcept {
    return (std::uint64_t{claim.worker} + 1) << kCookieBits | (claim.cookie & kCookieMask);
  }
  struct Free {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };
  /// Zeroed memory; pages that are never touched take none.
  template <class T>
  static T* make(std::size_t count) {
    void* memory = std::calloc(count + 1, sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  /// The element of a port; null if its address is not served.
  [[nodiscard]] std::uint64_t* element(const Endpoint& local) const noexcept {
    for (std::size_t i = 0; i < addresses_.size(); ++i) {
      if (addresses_[i] == local.address) return &claims_[i * kPorts + local.port.value];
    }
    return nullptr;
  }
  void set(const Endpoint& local, std::uint64_t value) noexcept {
    if (std::uint64_t* at = element(local)) std::atomic_ref(*at).store(value, std::memory_order_release);
  }

  std::vector<IpAddress> addresses_;
  std::size_t descriptors_ = 0;
  /// An element for each address and port: worker + 1 above the cookie; 0: nobody has the port.
  std::unique_ptr<std::uint64_t[], Free> claims_;
  /// The DSCP and ECN octets, by the port's descriptor.
  std::unique_ptr<std::uint8_t[], Free> marks_;
};

}  // namespace ferry::dpdk

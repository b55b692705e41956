// Finds the transport of a received datagram by its port. Where several transports share one port, the
// address that the datagram came from and the ICE user name fragment (ufrag) that it names decide.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"
#include "relay/core/forward/component.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/worker/transport_table.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ferry {

/// Names a shared port within its worker.
struct SharedPortId {
  std::uint32_t value = 0;
  bool operator==(const SharedPortId&) const = default;
};

// The engine returns a cookie with each datagram, so that a packet finds its transport without a search:
//
//   bit 47        1 if the port is shared
//   bits 4 to 35  own port: the slot of its transport; shared port: its `SharedPortId`
//   bits 1 to 3   the number of the local address
//   bit 0         the component (0 = RTP, 1 = RTCP)
//
// The bits above 47 stay 0, because the DPDK engine keeps 48 bits of a cookie.
constexpr std::uint64_t kSharedCookie = std::uint64_t{1} << 47;

constexpr std::uint64_t cookie_bits(std::uint32_t number, LocalPort port) {
  return (static_cast<std::uint64_t>(number) << 4) | (static_cast<std::uint64_t>(port.local) << 1) |
         static_cast<std::uint64_t>(port.component);
}
/// The cookie of a port that one transport has for itself.
constexpr std::uint64_t make_cookie(TransportId id, LocalPort port) { return cookie_bits(id.slot, port); }
/// The cookie of a shared port. The port has the same number among the local addresses of all its transports.
constexpr std::uint64_t make_cookie(SharedPortId id, LocalPort port) {
  return kSharedCookie | cookie_bits(id.value, port);
}
constexpr bool is_shared(std::uint64_t cookie) { return (cookie & kSharedCookie) != 0; }
/// The slot of an own port's transport. For a shared port it is a slot that no table has.
constexpr std::size_t slot_of(std::uint64_t cookie) { return static_cast<std::size_t>(cookie >> 4); }
/// Which of its transport's ports it is. Good for both kinds of port.
constexpr LocalPort port_of(std::uint64_t cookie) {
  return {static_cast<Component>(cookie & 1), static_cast<std::uint8_t>((cookie >> 1) & 7)};
}

/// The ports of a worker, and whose datagrams arrive there.
///
/// An own port belongs to one transport, which its cookie names. A shared port belongs to several transports.
/// There the table keeps the ufrags of each transport and its bindings: remote endpoints whose datagrams are
/// for this transport. A datagram goes to the transport that its remote endpoint is bound to. If the endpoint
/// is bound to none, a STUN request goes to the transport whose ufrag stands first in its USERNAME (RFC 8445
/// §7.2.2). Everything else is a stranger's.
///
/// `find` never makes a binding, because anybody can write a ufrag into a request and forge an address. The
/// caller binds an endpoint after the transport has authenticated a check from there.
///
/// The `WorkerContext` owns it; only the worker's thread uses it.
class PortTable {
 public:
  /// Most endpoints that one transport has bound at one port. With one more, the endpoint that was used
  /// longest ago gives way.
  static constexpr std::size_t kMaxBindings = 8;
  /// Most endpoints bound at one port, unless `add_shared` says otherwise.
  static constexpr std::size_t kMaxPortBindings = 65536;
  /// Longest STUN request that `find` reads for a stranger, in octets. A connectivity check is much shorter.
  static constexpr std::size_t kMaxRequest = 1280;

  /// `transports` outlives the table.
  explicit PortTable(const TransportTable& transports) noexcept : transports_(transports) {}

  /// The transport that a datagram is for, which came from `from` to the port with this cookie. Null for a
  /// stranger at a shared port, and for an own port whose transport is gone. Does not allocate.
  [[nodiscard]] TransportEntry* find(std::uint64_t cookie, const Endpoint& from, Bytes datagram) noexcept {
    if (!is_shared(cookie)) [[likely]]
      return transports_.at(slot_of(cookie));
    return find_sharing(cookie, from, datagram);
  }
  /// The transport of an own port, or the one that `remote` is bound to at a shared port; null if there is
  /// none. Unlike `find` it does not count as a use of the binding.
  [[nodiscard]] TransportEntry* find_bound(std::uint64_t cookie, const Endpoint& remote) const noexcept;

  /// Adds a shared port that nobody uses yet. `most` limits its bindings. Throws std::bad_alloc.
  SharedPortId add_shared(std::size_t most = kMaxPortBindings);
  /// Removes a shared port with its ufrags and bindings. Detach it from the engine first.
  void remove_shared(SharedPortId port) noexcept;

  /// Gives a transport its ufrag at a shared port, which makes it one of the port's transports. After an ICE
  /// restart the ufrag from before stays valid until `drop_former_ufrag`; one from before that goes. False
  /// with no effect if the port is not there, if another transport has this ufrag, or if it is no ufrag.
  /// Throws std::bad_alloc, with no effect on any ufrag.
  bool set_ufrag(SharedPortId port, TransportId id, std::string_view ufrag);
  /// Takes the ufrag from before the last ICE restart away, once no check uses it any more.
  void drop_former_ufrag(SharedPortId port, TransportId id) noexcept;

  /// Binds a remote endpoint to a transport. Call it only after an authentic check from there. False if the
  /// endpoint is not bound to the transport afterwards:
  /// - The transport has no ufrag at this port.
  /// - Another transport has the endpoint bound. It keeps the endpoint; otherwise a party of one call could
  ///   draw another call's media away by a check with a forged address.
  /// - The port has its most bindings, and none of them is this transport's and could give way.
  /// - There is no memory (C-12).
  bool bind(SharedPortId port, TransportId id, const Endpoint& remote) noexcept;
  /// Ends a binding of the transport, so that another one may bind the endpoint: its consent has expired
  /// (RFC 7675). Without effect if there is no such binding.
  void unbind(SharedPortId port, TransportId id, const Endpoint& remote) noexcept;

  /// Takes a transport that leaves the worker out of all shared ports, with its ufrags and bindings.
  void remove(TransportId id) noexcept;

  /// Endpoints that are bound at a port now.
  [[nodiscard]] std::size_t bindings(SharedPortId port) const noexcept;

 private:
  struct Binding {
    TransportId id;
    /// The value of `uses_` when it was used last.
    std::uint64_t used = 0;
  };
  /// A transport at a shared port.
  struct Sharer {
    TransportId id;
    std::string ufrag;
    /// The ufrag from before the last ICE restart; empty if there is none.
    std::string former_ufrag;
    /// The bound endpoints, in no order.
    std::array<Endpoint, kMaxBindings> remotes;
    std::size_t bound = 0;
  };
  /// Lets a map of strings be searched by a view, without making a string.
  struct TextHash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Bindings = std::unordered_map<Endpoint, Binding>;
  struct SharedPort {
    explicit SharedPort(std::size_t most) : max_bindings(most) {}
    std::size_t max_bindings;
    Bindings bindings;
    std::unordered_map<std::string, TransportId, TextHash, std::equal_to<>> by_ufrag;
    /// By slot of the transport.
    std::unordered_map<std::uint32_t, Sharer> sharers;

    /// Null if the transport has no ufrag here.
    Sharer* sharer(TransportId id) noexcept;
    void forget_ufrag(std::string& ufrag) noexcept;
    /// Takes a transport out.
    void leave(TransportId id) noexcept;
    /// Takes the binding of `sharer` out that was used longest ago. There is one.
    Bindings::node_type take_oldest(Sharer& sharer) noexcept;
  };

  [[nodiscard]] SharedPort* shared(std::size_t number) const noexcept {
    return number < shared_.size() ? shared_[number].get() : nullptr;
  }
  [[nodiscard]] SharedPort* shared_of(std::uint64_t cookie) const noexcept {
    return shared(slot_of(cookie & ~kSharedCookie));
  }
  TransportEntry* find_sharing(std::uint64_t cookie, const Endpoint& from, Bytes datagram) noexcept;

  const TransportTable& transports_;
  /// By number; null where a port was removed.
  std::vector<std::unique_ptr<SharedPort>> shared_;
  /// Uses of all bindings so far: the order of their last use.
  std::uint64_t uses_ = 0;
};

}  // namespace ferry

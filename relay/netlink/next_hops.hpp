// SPDX-License-Identifier: Apache-2.0
// Finds out how a packet gets to a host on the link, from the kernel's routes and neighbours, and keeps the
// answers current.
#pragma once

#include "relay/base/address.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

struct mnl_socket;

namespace ferry {

/// How a frame with a packet leaves this host. Ethernet only.
struct NextHop {
  /// The link that the route leaves by; 0: none.
  unsigned ifindex = 0;
  /// If that link is a VLAN: the link below it, and the number of the VLAN (IEEE 802.1Q). Both 0 otherwise.
  unsigned lower_ifindex = 0;
  std::uint16_t vlan = 0;
  /// Longest IP packet that may go there, in octets: the smaller one of the route's and the link's.
  unsigned mtu = 0;
  /// MAC addresses of the neighbour and of our link.
  std::array<std::uint8_t, 6> destination{};
  std::array<std::uint8_t, 6> source{};
  /// The host that `destination` belongs to: the receiver itself or a router.
  IpAddress neighbour;
  bool operator==(const NextHop&) const = default;
};

/// Whether there is a way. kFound: yes. kLater: the neighbour's MAC address is not known yet. kNone: there is
/// no way over Ethernet.
enum class HopAnswer : std::uint8_t { kFound, kLater, kNone };

/// Closes a netlink socket.
struct CloseNetlink {
  void operator()(mnl_socket* socket) const noexcept;
};
using NetlinkSocket = std::unique_ptr<mnl_socket, CloseNetlink>;

/// A netlink socket for questions. Blocks for up to 200 ms if the kernel does not answer. For one thread at a
/// time.
class RouteQuery {
 public:
  /// Throws std::system_error if the kernel gives no netlink socket.
  RouteQuery();

  /// How a packet from `local` gets to `remote`; `hop` is set for kFound. kNone: there is no unicast route
  /// off this host over Ethernet. kLater: the neighbour is not known yet; a datagram sent there by a socket
  /// makes the kernel find out.
  [[nodiscard]] HopAnswer resolve(const IpAddress& local, const IpAddress& remote, NextHop& hop);
  /// Numbers of the VLANs that are set up on a link; empty if there are none or the kernel does not answer.
  [[nodiscard]] std::vector<std::uint16_t> vlans_on(unsigned ifindex);

 private:
  /// The facts about a link. `usable`: Ethernet, up, not loopback, with a MAC address.
  struct Link {
    unsigned mtu = 0;
    std::array<std::uint8_t, 6> address{};
    bool usable = false;
    unsigned lower = 0;
    std::uint16_t vlan = 0;
  };
  /// The link; nothing if it cannot be used.
  [[nodiscard]] std::optional<Link> link(unsigned ifindex);
  /// MAC address of a neighbour; nothing if the kernel does not know it.
  [[nodiscard]] std::optional<std::array<std::uint8_t, 6>> neighbour(unsigned ifindex,
                                                                     const IpAddress& address);
  /// Sends a request and calls `handle` with each reply. False if it failed or the kernel did not answer in
  /// time.
  bool ask(void* message, int (*handle)(const void* header, void* data), void* data);

  NetlinkSocket socket_;
  unsigned sequence_ = 0;
};

/// A source of ways between two addresses, which names them by numbers.
class HopSource {
 public:
  /// Our address, then the receiver's.
  using Pair = std::pair<IpAddress, IpAddress>;
  virtual ~HopSource() = default;
  /// Asks for the way and holds it. kFound: `id` names it, and the caller owes one `release`. Otherwise
  /// nothing is held.
  [[nodiscard]] virtual HopAnswer acquire(const Pair& pair, std::uint32_t& id) = 0;
  /// Gives up one `acquire`. With the last one the number becomes free for another pair.
  virtual void release(const Pair& pair) = 0;
};

/// Keeps the ways in use current, by pairs of addresses, and tells `publish` whenever one changes. Any thread
/// may call; a call can wait for one question to the kernel.
class NextHops final : public HopSource {
 public:
  /// Called with each change of a way. `hop` null: there is no way now, and the kernel or a socket must send.
  /// Called under a mutex of this class and from its thread too: it must not call back.
  using Publish = std::function<void(std::uint32_t id, const Pair&, const NextHop* hop)>;

  /// Gives out ids from 1 to `ids`. Throws std::system_error if the kernel gives no netlink socket or no
  /// thread.
  NextHops(std::uint32_t ids, Publish publish);
  ~NextHops() override;
  NextHops(const NextHops&) = delete;
  NextHops& operator=(const NextHops&) = delete;

  [[nodiscard]] HopAnswer acquire(const Pair& pair, std::uint32_t& id) override;
  void release(const Pair& pair) override;
  /// Pairs that somebody holds.
  [[nodiscard]] std::size_t size() const;

 private:
  /// `hop` unset: there is no way now. `id` stays as long as there are users.
  struct Entry {
    std::size_t users = 0;
    std::uint32_t id = 0;
    std::optional<NextHop> hop;
  };
  /// The thread: listens to changes of routes, links, addresses and neighbours until `stop_` is written to.
  void watch();
  /// Asks again for each hop that `concerns` is true for. The mutex is given up between them, so that a
  /// worker waits for one at most.
  void refresh(const std::function<bool(const Entry&)>& concerns);

  Publish publish_;
  std::uint32_t ids_;
  mutable std::mutex mutex_;
  /// Used under the mutex.
  RouteQuery query_;
  std::map<Pair, Entry> entries_;
  /// Ids that were given back; above `next_id_` none was given out yet.
  std::vector<std::uint32_t> free_ids_;
  std::uint32_t next_id_ = 1;
  /// The kernel's events.
  NetlinkSocket events_;
  /// An eventfd that ends the thread.
  int stop_ = -1;
  std::thread watcher_;
};

}  // namespace ferry

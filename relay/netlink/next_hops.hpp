// How to reach a flow's receiver on the link: asked of the kernel's routes and neighbours, and kept current.
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

/// The frame that carries a packet of a route. Ethernet only.
struct NextHop {
  unsigned ifindex = 0;
  /// If that is a VLAN of another link: which one, and its number (IEEE 802.1Q). Else 0.
  unsigned lower_ifindex = 0;
  std::uint16_t vlan = 0;
  unsigned mtu = 0;
  std::array<std::uint8_t, 6> destination{};
  std::array<std::uint8_t, 6> source{};
  /// Whose address `destination` is: the receiver or a router.
  IpAddress neighbour;
  bool operator==(const NextHop&) const = default;
};

/// `kLater`: a neighbour does not answer yet. `kNone`: there is no way over Ethernet.
enum class HopAnswer : std::uint8_t { kFound, kLater, kNone };

struct CloseNetlink {
  void operator()(mnl_socket* socket) const noexcept;
};
using NetlinkSocket = std::unique_ptr<mnl_socket, CloseNetlink>;

/// One netlink socket for questions. Not for two threads at a time.
class RouteQuery {
 public:
  /// Throws std::system_error if the kernel gives no netlink socket.
  RouteQuery();

  /// `kNone` if there is no unicast route off this host over Ethernet, `kLater` if the neighbour's address is
  /// not known yet (a datagram sent there makes the kernel find out).
  [[nodiscard]] HopAnswer resolve(const IpAddress& local, const IpAddress& remote, NextHop& hop);
  /// Numbers of the VLANs that are set up on a link.
  [[nodiscard]] std::vector<std::uint16_t> vlans_on(unsigned ifindex);

 private:
  struct Link {
    unsigned mtu = 0;
    std::array<std::uint8_t, 6> address{};
    bool usable = false;
    unsigned lower = 0;
    std::uint16_t vlan = 0;
  };
  [[nodiscard]] std::optional<Link> link(unsigned ifindex);
  [[nodiscard]] std::optional<std::array<std::uint8_t, 6>> neighbour(unsigned ifindex,
                                                                     const IpAddress& address);
  bool ask(void* message, int (*handle)(const void* header, void* data), void* data);

  NetlinkSocket socket_;
  unsigned sequence_ = 0;
};

/// Who can tell the way between two addresses.
class HopSource {
 public:
  using Pair = std::pair<IpAddress, IpAddress>;  // local, remote
  virtual ~HopSource() = default;
  /// `kFound` if the way is known: `id` names it to whoever sends. Each needs its `release`.
  [[nodiscard]] virtual HopAnswer acquire(const Pair& pair, std::uint32_t& id) = 0;
  virtual void release(const Pair& pair) = 0;
};

/// Hops in use, by pair of addresses. Told to `publish` whenever something about them changes; any thread may
/// call.
class NextHops final : public HopSource {
 public:
  /// `hop` null: no way now, packets are to be punted.
  using Publish = std::function<void(std::uint32_t id, const Pair&, const NextHop* hop)>;

  /// Ids from 1 to `ids`. Throws std::system_error if the kernel gives no netlink socket.
  NextHops(std::uint32_t ids, Publish publish);
  ~NextHops() override;
  NextHops(const NextHops&) = delete;
  NextHops& operator=(const NextHops&) = delete;

  [[nodiscard]] HopAnswer acquire(const Pair& pair, std::uint32_t& id) override;
  void release(const Pair& pair) override;
  [[nodiscard]] std::size_t size() const;

 private:
  struct Entry {
    std::size_t users = 0;
    std::uint32_t id = 0;
    std::optional<NextHop> hop;
  };
  /// Listens to changes of routes, links, addresses and neighbours.
  void watch();
  /// Asks again for the hops that `concerns`, one at a time: workers wait for one at most.
  void refresh(const std::function<bool(const Entry&)>& concerns);

  Publish publish_;
  std::uint32_t ids_;
  mutable std::mutex mutex_;
  RouteQuery query_;  // under the mutex
  std::map<Pair, Entry> entries_;
  std::vector<std::uint32_t> free_ids_;
  std::uint32_t next_id_ = 1;
  NetlinkSocket events_;
  int stop_ = -1;
  std::thread watcher_;
};

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// Asks the kernel how a packet gets to a host, and keeps the answers current.
//
// A question (`RouteQuery::resolve`) takes three netlink requests: the route (which link, which gateway,
// which MTU), the link (Ethernet and up, our MAC address, VLAN), and the neighbour (its MAC address). If the
// neighbour is not known, nothing here asks for it by ARP. The answer is kLater: the caller sends one
// datagram by a socket, the kernel resolves the neighbour for that, and the next question finds it.
//
// Keeping current (`NextHops::watch`): one thread listens to the kernel's events. An event about a neighbour
// concerns only the hops by that neighbour; every other event (a route, a link, an address) concerns all of
// them. A hop that is concerned is asked for again and published if it has changed. `publish` runs under the
// mutex, so that two answers cannot overtake each other.
//
// Traps:
// - On a busy link neighbour events come all the time, for neighbours that nobody here uses. They must cost
//   little.
// - When the event socket overflows (ENOBUFS), events are lost, and everything has to be asked for again.
// - The kernel sends no event when an ICMP message changes the MTU of a path.
#include "relay/netlink/next_hops.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <vector>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry {

namespace {

// States in which the neighbour's address may be used. NUD_STALE is one of them: it was right, and the kernel
// checks it when it sends itself.
constexpr std::uint16_t kUsableNeighbour =
    NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;

std::uint8_t family_of(const IpAddress& address) {
  return static_cast<std::uint8_t>(address.is_v6() ? AF_INET6 : AF_INET);
}
std::uint16_t size_of(const IpAddress& address) { return address.is_v6() ? 16 : 4; }

IpAddress address_from(const nlattr* attribute) {
  const auto* octets = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
  if (mnl_attr_get_payload_len(attribute) == 4)
    return IpAddress::v4({octets[0], octets[1], octets[2], octets[3]});
  std::array<std::uint8_t, 16> all{};
  if (mnl_attr_get_payload_len(attribute) == 16) std::copy_n(octets, 16, all.begin());
  return IpAddress::v6(all);
}

std::optional<std::array<std::uint8_t, 6>> mac_from(const nlattr* attribute) {
  if (mnl_attr_get_payload_len(attribute) != 6) return std::nullopt;
  std::array<std::uint8_t, 6> mac{};
  std::memcpy(mac.data(), mnl_attr_get_payload(attribute), mac.size());
  return mac;
}

// Calls `visit` with each netlink attribute in a range of memory.
template <class Visit>
void each_between(const void* begin, const void* end, Visit visit) {
  const auto* attribute = static_cast<const nlattr*>(begin);
  const auto left = [&] {
    return static_cast<int>(static_cast<const char*>(end) - reinterpret_cast<const char*>(attribute));
  };
  for (; mnl_attr_ok(attribute, left()); attribute = mnl_attr_next(attribute)) visit(attribute);
}

template <class Visit>
void each_nested(const nlattr* attribute, Visit visit) {
  const auto* begin = static_cast<const char*>(mnl_attr_get_payload(attribute));
  each_between(begin, begin + mnl_attr_get_payload_len(attribute), visit);
}

/// Number of the VLAN that a link is; 0 if the link is something else. Only IEEE 802.1Q, not 802.1ad. The
/// protocol may come before or after the number, so both are looked at.
std::uint16_t vlan_in(const nlattr* link_info) {
  bool is_vlan = false;
  std::uint16_t number = 0;
  each_nested(link_info, [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND)
      is_vlan = std::string_view(mnl_attr_get_str(attribute)) == "vlan";
    if (mnl_attr_get_type(attribute) != IFLA_INFO_DATA || !is_vlan) return;
    each_nested(attribute, [&](const nlattr* data) {
      if (mnl_attr_get_type(data) == IFLA_VLAN_ID) number = mnl_attr_get_u16(data);
      if (mnl_attr_get_type(data) == IFLA_VLAN_PROTOCOL && ntohs(mnl_attr_get_u16(data)) != ETH_P_8021Q)
        is_vlan = false;
    });
  });
  return is_vlan ? number : std::uint16_t{0};
}

/// Calls `visit` with each attribute behind a fixed header of `offset` octets.
template <class Visit>
void each_attribute(const nlmsghdr* header, std::size_t offset, Visit visit) {
  each_between(mnl_nlmsg_get_payload_offset(header, offset), mnl_nlmsg_get_payload_tail(header), visit);
}

// Room for a request; replies have a buffer of their own.
using Message = std::array<char, 512>;

}  // namespace

void CloseNetlink::operator()(mnl_socket* socket) const noexcept { mnl_socket_close(socket); }

RouteQuery::RouteQuery() : socket_(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)) {
  if (!socket_ || mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0)
    throw std::system_error(errno, std::generic_category(), "netlink");
  // The kernel answers at once. If it does not, the worker that asks must not wait longer than 200 ms.
  const timeval limit{0, 200'000};
  setsockopt(mnl_socket_get_fd(socket_.get()), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

bool RouteQuery::ask(void* message, int (*handle)(const void*, void*), void* data) {
  auto* header = static_cast<nlmsghdr*>(message);
  header->nlmsg_seq = ++sequence_;
  header->nlmsg_flags = static_cast<std::uint16_t>(header->nlmsg_flags | NLM_F_REQUEST);
  if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0) return false;
  // The size that libmnl recommends; a smaller buffer could cut replies of the kernel off.
  std::vector<char> buffer(static_cast<std::size_t>(MNL_SOCKET_BUFFER_SIZE));
  struct Context {
    int (*handle)(const void*, void*);
    void* data;
  } context{handle, data};
  const bool is_dump = (header->nlmsg_flags & NLM_F_DUMP) != 0;
  int result = MNL_CB_OK;
  // A dump comes in several parts and ends with a message of its own.
  do {
    const auto received = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (received < 0) return false;
    result = mnl_cb_run(
        buffer.data(), static_cast<std::size_t>(received), sequence_, mnl_socket_get_portid(socket_.get()),
        [](const nlmsghdr* answer, void* p) {
          const auto* c = static_cast<Context*>(p);
          return c->handle(answer, c->data);
        },
        &context);
  } while (is_dump && result > MNL_CB_STOP);
  return result >= 0;
}

std::optional<RouteQuery::Link> RouteQuery::link(unsigned ifindex) {
  Message memory{};
  nlmsghdr* header = mnl_nlmsg_put_header(memory.data());
  header->nlmsg_type = RTM_GETLINK;
  auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  info->ifi_index = static_cast<int>(ifindex);
  Link found;
  const bool asked = ask(
      header,
      [](const void* answer, void* data) {
        const auto* message = static_cast<const nlmsghdr*>(answer);
        auto& link = *static_cast<Link*>(data);
        const auto* head = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
        // Loopback is no way off this host, and only Ethernet frames are written here.
        link.usable = head->ifi_type == ARPHRD_ETHER && (head->ifi_flags & IFF_UP) != 0 &&
                      (head->ifi_flags & IFF_LOOPBACK) == 0;
        each_attribute(message, sizeof *head, [&](const nlattr* attribute) {
          if (mnl_attr_get_type(attribute) == IFLA_MTU) link.mtu = mnl_attr_get_u32(attribute);
          if (mnl_attr_get_type(attribute) == IFLA_LINK) link.lower = mnl_attr_get_u32(attribute);
          if (mnl_attr_get_type(attribute) == IFLA_LINKINFO) link.vlan = vlan_in(attribute);
          if (mnl_attr_get_type(attribute) == IFLA_ADDRESS) {
            const auto mac = mac_from(attribute);
            link.usable = link.usable && mac.has_value();
            if (mac) link.address = *mac;
          }
        });
        return MNL_CB_OK;
      },
      &found);
  // For a veth, IFLA_LINK is the other end: no link below this one.
  if (found.vlan == 0) found.lower = 0;
  return asked && found.usable ? std::optional(found) : std::nullopt;
}

std::optional<std::array<std::uint8_t, 6>> RouteQuery::neighbour(unsigned ifindex, const IpAddress& address) {
  Message memory{};
  nlmsghdr* header = mnl_nlmsg_put_header(memory.data());
  header->nlmsg_type = RTM_GETNEIGH;
  auto* question = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ndmsg)));
  question->ndm_family = family_of(address);
  question->ndm_ifindex = static_cast<int>(ifindex);
  mnl_attr_put(header, NDA_DST, size_of(address), address.octets().data());
  std::optional<std::array<std::uint8_t, 6>> found;
  ask(
      header,
      [](const void* answer, void* data) {
        const auto* message = static_cast<const nlmsghdr*>(answer);
        const auto* head = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
        // Asked for, but no answer yet; or it has failed.
        if ((head->ndm_state & kUsableNeighbour) == 0) return MNL_CB_OK;
        each_attribute(message, sizeof *head, [&](const nlattr* attribute) {
          if (mnl_attr_get_type(attribute) == NDA_LLADDR)
            *static_cast<std::optional<std::array<std::uint8_t, 6>>*>(data) = mac_from(attribute);
        });
        return MNL_CB_OK;
      },
      &found);
  return found;
}

std::vector<std::uint16_t> RouteQuery::vlans_on(unsigned ifindex) {
  Message memory{};
  nlmsghdr* header = mnl_nlmsg_put_header(memory.data());
  header->nlmsg_type = RTM_GETLINK;
  header->nlmsg_flags = NLM_F_DUMP;
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  struct Search {
    unsigned lower;
    std::vector<std::uint16_t> found;
  } search{ifindex, {}};
  ask(
      header,
      [](const void* answer, void* data) {
        const auto* message = static_cast<const nlmsghdr*>(answer);
        auto& s = *static_cast<Search*>(data);
        unsigned lower = 0;
        std::uint16_t vlan = 0;
        each_attribute(message, sizeof(ifinfomsg), [&](const nlattr* attribute) {
          if (mnl_attr_get_type(attribute) == IFLA_LINK) lower = mnl_attr_get_u32(attribute);
          if (mnl_attr_get_type(attribute) == IFLA_LINKINFO) vlan = vlan_in(attribute);
        });
        if (lower == s.lower && vlan != 0) s.found.push_back(vlan);
        return MNL_CB_OK;
      },
      &search);
  return search.found;
}

HopAnswer RouteQuery::resolve(const IpAddress& local, const IpAddress& remote, NextHop& hop) {
  if (local.family() != remote.family()) return HopAnswer::kNone;
  Message memory{};
  nlmsghdr* header = mnl_nlmsg_put_header(memory.data());
  header->nlmsg_type = RTM_GETROUTE;
  auto* question = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  question->rtm_family = family_of(remote);
  // A route to this very host is asked for, as the kernel would look it up for a packet.
  question->rtm_dst_len = static_cast<std::uint8_t>(size_of(remote) * 8);
  question->rtm_src_len = question->rtm_dst_len;
  mnl_attr_put(header, RTA_DST, size_of(remote), remote.octets().data());
  // The source matters: rules may route by it.
  mnl_attr_put(header, RTA_SRC, size_of(local), local.octets().data());
  struct Route {
    unsigned ifindex = 0;
    IpAddress gateway;
    unsigned mtu = 0;
    bool usable = false;
  } route;
  const bool asked = ask(
      header,
      [](const void* answer, void* data) {
        const auto* message = static_cast<const nlmsghdr*>(answer);
        auto& found = *static_cast<Route*>(data);
        const auto* head = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
        // Routes to this host itself, blackholes and multicast are no way for a frame.
        found.usable = head->rtm_type == RTN_UNICAST;
        each_attribute(message, sizeof *head, [&](const nlattr* attribute) {
          switch (mnl_attr_get_type(attribute)) {
            case RTA_OIF:
              found.ifindex = mnl_attr_get_u32(attribute);
              break;
            case RTA_GATEWAY:
              found.gateway = address_from(attribute);
              break;
            // An IPv4 route by an IPv6 neighbour.
            case RTA_VIA:
            // A tunnel: the frame would need another header.
            case RTA_ENCAP:
              found.usable = false;
              break;
            // The MTU of the route; where it has none, that of the link counts.
            case RTA_METRICS: {
              each_nested(attribute, [&](const nlattr* metric) {
                if (mnl_attr_get_type(metric) == RTAX_MTU) found.mtu = mnl_attr_get_u32(metric);
              });
              break;
            }
            default:
              break;
          }
        });
        return MNL_CB_OK;
      },
      &route);
  if (!asked || !route.usable || route.ifindex == 0) return HopAnswer::kNone;
  const auto out = link(route.ifindex);
  if (!out) return HopAnswer::kNone;
  // Without a gateway the receiver is on the link itself.
  const bool routed = route.gateway.family() != AddressFamily::kNone;
  hop.neighbour = routed ? route.gateway : remote;
  const auto mac = neighbour(route.ifindex, hop.neighbour);
  if (!mac) return HopAnswer::kLater;
  hop.ifindex = route.ifindex;
  hop.lower_ifindex = out->lower;
  hop.vlan = out->vlan;
  hop.mtu = route.mtu != 0 ? std::min(route.mtu, out->mtu) : out->mtu;
  hop.destination = *mac;
  hop.source = out->address;
  return HopAnswer::kFound;
}

NextHops::NextHops(std::uint32_t ids, Publish publish)
    : publish_(std::move(publish)),
      ids_(ids),
      events_(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK)),
      stop_(eventfd(0, EFD_CLOEXEC)) {
  constexpr unsigned kGroups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE |
                               RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
  if (stop_ < 0 || !events_ || mnl_socket_bind(events_.get(), kGroups, MNL_SOCKET_AUTOPID) < 0) {
    const int error = errno;
    if (stop_ >= 0) close(stop_);
    throw std::system_error(error, std::generic_category(), "netlink");
  }
  try {
    watcher_ = std::thread([this] { watch(); });
  } catch (const std::system_error& e) {
    close(stop_);
    throw std::system_error(e.code(), "the host gives no thread that watches routes");
  }
}

NextHops::~NextHops() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = write(stop_, &one, sizeof one);
  watcher_.join();
  close(stop_);
}

HopAnswer NextHops::acquire(const Pair& pair, std::uint32_t& id) {
  const std::lock_guard lock(mutex_);
  // The entry may be there with users: one pair is asked for once, however many flows go that way.
  const auto known = entries_.try_emplace(pair).first;
  Entry& entry = known->second;
  // Also asked again if the way was lost: the caller has just sent by a socket.
  if (!entry.hop) {
    NextHop hop;
    const HopAnswer answer = query_.resolve(pair.first, pair.second, hop);
    if (answer != HopAnswer::kFound) {
      if (entry.users == 0) entries_.erase(known);
      return answer;
    }
    // All ids are in use.
    if (entry.id == 0 && free_ids_.empty() && next_id_ > ids_) {
      entries_.erase(known);
      return HopAnswer::kNone;
    }
    if (entry.id == 0 && free_ids_.empty()) free_ids_.push_back(next_id_++);
    if (entry.id == 0) {
      entry.id = free_ids_.back();
      free_ids_.pop_back();
    }
    entry.hop = hop;
    publish_(entry.id, pair, &hop);
  }
  id = entry.id;
  ++entry.users;
  return HopAnswer::kFound;
}

void NextHops::release(const Pair& pair) {
  const std::lock_guard lock(mutex_);
  const auto known = entries_.find(pair);
  // The last user is gone: the id may mean another pair soon.
  if (known == entries_.end() || --known->second.users > 0) return;
  publish_(known->second.id, pair, nullptr);
  free_ids_.push_back(known->second.id);
  entries_.erase(known);
}

std::size_t NextHops::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void NextHops::refresh(const std::function<bool(const Entry&)>& concerns) {
  for (Pair at;;) {
    // The mutex is given up after each hop, so a worker waits for one question at most.
    const std::lock_guard lock(mutex_);
    auto next = entries_.upper_bound(at);
    while (next != entries_.end() && !concerns(next->second)) ++next;
    if (next == entries_.end()) return;
    at = next->first;
    NextHop hop;
    const bool found = query_.resolve(at.first, at.second, hop) == HopAnswer::kFound;
    const auto now = found ? std::optional(hop) : std::nullopt;
    // Most events change nothing.
    if (now == next->second.hop) continue;
    next->second.hop = now;
    publish_(next->second.id, at, found ? &hop : nullptr);
  }
}

void NextHops::watch() {
  mnl_socket* events = events_.get();
  alignas(nlmsghdr) std::array<char, 16384> buffer;
  for (;;) {
    std::array<pollfd, 2> wait = {{{mnl_socket_get_fd(events), POLLIN, 0}, {stop_, POLLIN, 0}}};
    if (poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR) break;
    // The destructor has rung.
    if (wait[1].revents != 0) break;
    std::set<IpAddress> neighbours;
    bool everything = false;
    ssize_t size = 0;
    while ((size = mnl_socket_recvfrom(events, buffer.data(), buffer.size())) > 0) {
      int left = static_cast<int>(size);
      for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
           mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        // Not about a neighbour: a route, a link or an address.
        if (message->nlmsg_type != RTM_NEWNEIGH && message->nlmsg_type != RTM_DELNEIGH) {
          everything = true;
          continue;
        }
        each_attribute(message, sizeof(ndmsg), [&](const nlattr* attribute) {
          if (mnl_attr_get_type(attribute) == NDA_DST) neighbours.insert(address_from(attribute));
        });
      }
    }
    // Messages were lost.
    everything = everything || (size < 0 && errno == ENOBUFS);
    // A hop that has no way now is asked for at every event: what was missing may have come.
    refresh([&](const Entry& entry) {
      return everything || !entry.hop || neighbours.contains(entry.hop->neighbour);
    });
  }
}

}  // namespace ferry

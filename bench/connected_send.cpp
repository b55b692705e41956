// SPDX-License-Identifier: Apache-2.0
// CPU time per relayed datagram of the portable engine, with and without a connected socket to the locked
// peer (docs/adr/0002). Rounds are interleaved; medians are printed.

#include "relay/io/portable/portable_io.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <vector>

#include <unistd.h>

namespace {

using namespace ferry;

constexpr std::size_t kLegs = 200;
constexpr std::size_t kPayload = 172;
constexpr int kRounds = 15;
constexpr int kTurns = 100;

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

int open_peer(Endpoint& endpoint) {
  SocketAddress any(Endpoint{IpAddress::v4({127, 0, 0, 2}), UdpPort{0}});
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (bind(fd, any.get(), any.size()) != 0) return -1;
  SocketAddress bound;
  getsockname(fd, bound.get(), bound.size_pointer());
  endpoint = bound.endpoint();
  return fd;
}

struct Leg {
  PortHandle port;
  int peer_fd = -1;
  Endpoint peer;
};

/// One round: every peer sends, the relay receives and sends back. Microseconds of the relay's CPU per
/// datagram.
double round(PortableIo& io, std::vector<Leg>& legs, bool connected) {
  std::array<std::byte, kPayload> payload{};
  std::array<PacketBuffer, 64> batch;
  std::array<SendError, 64> errors{};
  double used = 0;
  std::size_t relayed = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    for (const Leg& leg : legs) send(leg.peer_fd, payload.data(), payload.size(), 0);
    const double start = cpu_seconds();
    for (std::size_t n = legs.size(); n > 0;) {
      io.wait(io.now() + std::chrono::milliseconds(100));
      const std::size_t got = io.receive(batch);
      if (got == 0) break;
      for (std::size_t i = 0; i < got; ++i) {
        const Leg& leg = legs[batch[i]->cookie];
        batch[i]->via = leg.port;
        batch[i]->remote = leg.peer;
        batch[i]->to_locked_peer = connected;
      }
      io.send({batch.data(), got}, {errors.data(), got});
      relayed += got;
      n -= std::min(got, n);
    }
    used += cpu_seconds() - start;
    for (const Leg& leg : legs) {
      while (recv(leg.peer_fd, payload.data(), payload.size(), 0) > 0) {
      }
    }
  }
  return used * 1e6 / static_cast<double>(relayed);
}

}  // namespace

int main() {
  std::array<std::vector<double>, 2> results;
  for (int i = 0; i < kRounds * 2; ++i) {
    const bool connected = i % 2 == 1;
    auto twins = std::make_shared<ConnectedSockets>();
    PortableProvider provider(twins);
    PortableIo io(twins);
    std::vector<Leg> legs;
    for (std::uint16_t number = 42000; legs.size() < kLegs && number < 60000; number += 2) {
      Leg leg;
      const Endpoint local{IpAddress::v4({127, 0, 0, 1}), UdpPort{number}};
      const auto port = provider.activate(local, 0);
      if (!port) continue;
      leg.port = *port;
      leg.peer_fd = open_peer(leg.peer);
      const SocketAddress to(local);
      connect(leg.peer_fd, to.get(), to.size());
      io.attach(leg.port, legs.size());
      legs.push_back(leg);
    }
    results[connected ? 1 : 0].push_back(round(io, legs, connected));
    for (const Leg& leg : legs) {
      io.detach(leg.port);
      provider.release(leg.port);
      close(leg.peer_fd);
    }
  }
  for (auto& r : results) std::ranges::sort(r);
  const double plain = results[0][kRounds / 2];
  const double connected = results[1][kRounds / 2];
  std::printf(
      "receive + send of %zu octets, %zu legs, us CPU a datagram, median of %d: sendto %.2f, connected %.2f, "
      "ratio %.2f\n",
      kPayload, kLegs, kRounds, plain, connected, plain / connected);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Opens and closes the local ports of calls.
#pragma once

#include "control/call/call.hpp"
#include "control/call/totals.hpp"
#include "control/ports/interfaces.hpp"
#include "control/session/media_plane.hpp"
#include "control/session/observer.hpp"
#include "control/session/worker_events.hpp"
#include "relay/io/port_provider.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// Draws ports from the pool of a local address and opens them by the provider. It closes them only once
/// their worker has let go of them (LAT-13): `close` takes them out of use, and after a fence `release` gives
/// them back. Control thread only.
class PortsDesk {
 public:
  /// Borrows all.
  PortsDesk(MediaPlane& plane, PortProvider& provider, WorkerEvents& events, const CallObservers& observers)
      : plane_(plane), provider_(provider), events_(events), observers_(observers) {}
  PortsDesk(const PortsDesk&) = delete;
  PortsDesk& operator=(const PortsDesk&) = delete;
  /// Closes the ports that still wait. The workers must have let go of them.
  ~PortsDesk();

  /// Opens a pair of ports at `local`, with a name for its transport at the call's worker. The error has been
  /// counted.
  Result<LocalPorts, PortFailure> open(const Call& call, const LocalAddress& local, Instant now);
  /// Opens the shared port of every address that has one. Throws std::runtime_error with a sentence for the
  /// operator if one cannot be opened. Call it before the first call.
  void open_shared(const InterfaceSet& interfaces);
  /// The shared port at `local`, with a name for its transport at the call's worker. Nothing if the address
  /// has none.
  std::optional<LocalPorts> share(const Call& call, const LocalAddress& local);
  /// A pair of ports, open and without a transport.
  struct OpenedPair {
    PortPool::Pair drawn;
    std::array<PortHandle, 2> handles;
  };
  Result<OpenedPair, PortFailure> open_pair(const Call& call, const LocalAddress& local, Instant now);
  /// Opens a pair at each further address of `interface` that `ports` does not have, for candidates of ICE.
  /// It returns as many pairs as could be opened. If `ports` are shared, so are the further ones.
  std::vector<LocalPorts::More> open_more(const Call& call, const LogicalInterface& interface,
                                          const LocalPorts& ports, Instant now);
  /// Counts a pair that could not be opened, and returns `failure`.
  PortFailure note_failure(PortFailure failure, Instant now);

  /// Takes the ports out of use. `figures` (null = not wanted) receives their counts; it is valid after the
  /// next fence. A second call does nothing.
  void close(Call& call, LocalPorts& ports, TransportFigures* figures = nullptr);
  /// The same for a further pair.
  void close_more(const Call& call, const LocalPorts::More& more);
  /// Closes all ports of the transport and forgets them.
  void close_all(Call& call, MediaTransport& transport);
  /// Closes all ports of the transport except those at index `kept`, which become the only ones.
  void keep_only(Call& call, MediaTransport& transport, std::size_t kept);
  /// Gives back the ports that are out of use. To be called after a fence.
  void release(Instant now);

  /// The values of `a=candidate` lines for these ports (RFC 8839 §5.1). `has_rtcp`: RTCP has a component of
  /// its own. `advertised` replaces the first address; nothing = it is not replaced.
  std::vector<std::string> candidates_of(const LocalPorts& ports, bool has_rtcp,
                                         const std::optional<IpAddress>& advertised);
  /// Candidates that the relay adds to those of a party.
  struct Beside {
    /// They are called relayed ones.
    bool is_relayed = false;
    /// True if RTCP has a component, and so candidates, of its own.
    bool has_rtcp = false;
    /// The lowest priority of the party's own candidates. Those of the relay are below it.
    std::uint32_t below = 0x7fffffff;
  };
  /// The values of `a=candidate` lines for these ports, as in `candidates_of`, below those of a party.
  std::vector<std::string> candidates_beside(const LocalPorts& ports, const Beside& beside,
                                             const std::optional<IpAddress>& advertised);
  /// Marks all packets of the call with this DSCP octet from now on.
  void set_tos(Call& call, std::uint8_t tos);
  /// Marks the packets that leave by these ports, whatever the octet of the call.
  void mark_alone(LocalPorts& ports, std::uint8_t tos);

  [[nodiscard]] const PortFailures& failures() const { return failures_; }
  [[nodiscard]] PortProvider& provider() { return provider_; }

 private:
  /// A pair of ports that is out of use, until its worker has let go of it.
  struct Closing {
    Closing(std::array<PortHandle, 2> h, PortPool* p, UdpPort first, const Endpoint& last, std::size_t w,
            std::optional<TransportId> t)
        : handles(h), pool(p), port(first), peer(last), worker(w), transport(t) {}
    /// Closed handles for a shared port, which stays open; `pool` is null then.
    std::array<PortHandle, 2> handles;
    PortPool* pool;
    UdpPort port;
    /// Who sent to it, for the rest of the pair. The worker writes it until the fence.
    Endpoint peer;
    std::size_t worker;
    /// Unset for further pairs of a transport, whose name the first pair gives back.
    std::optional<TransportId> transport;
  };
  /// Closes the sockets of a pair.
  void release(const Closing& closing);
  /// Sets the octet of the open sockets.
  void mark(const LocalPorts& ports, std::uint8_t tos);
  /// The foundation that names a local address in candidates (RFC 8445 §5.1.1.3). Random, and the same for
  /// ever.
  const std::string& foundation_of(const LocalAddress& local);

  MediaPlane& plane_;
  PortProvider& provider_;
  WorkerEvents& events_;
  const CallObservers& observers_;
  /// The sockets of all shared ports.
  std::vector<PortHandle> shared_;
  std::map<const LocalAddress*, std::string> foundations_;
  /// A deque, because workers write into its elements.
  std::deque<Closing> closing_;
  PortFailures failures_;
};

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// A pair of ports lives in four steps: drawn from its pool and opened (`open_pair`), given to a worker with
// the first plan (PlanSync), taken out of use (`close`, the worker is told to let go), and given back after
// the next fence (`release`).
//
// The port that ICE legs share at an address is opened once, before the first call, with a socket for each
// worker. A transport there takes part in it under its ufrag, and takes nothing from the pool.
//
// Trap: a pair that is closed before the fence would let its worker read a socket that another call has.
#include "control/session/ports_desk.hpp"

#include "relay/base/random.hpp"
#include "relay/core/ice/ice_agent.hpp"
#include "relay/worker/transport_table.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

namespace ferry {

namespace {

// How many pairs are tried that another process may hold.
constexpr unsigned kPortTries = 64;

std::string_view text_of(PortError error) {
  switch (error) {
    case PortError::kInUse:
      return "another process has it, maybe another rtpferryd: find it with ss -ulpn";
    case PortError::kNoAddress:
      return "the address is not of this host";
    case PortError::kNoDescriptors:
      return "there are no descriptors left (LimitNOFILE of the unit, ulimit -n)";
    case PortError::kNoMemory:
      return "there is no memory left";
    case PortError::kNotShared:
      return "this engine has no shared ports; leave ice-port out, or use the portable engine";
    case PortError::kOther:
      break;
  }
  return "the host refuses it (ports below 1024 need CAP_NET_BIND_SERVICE)";
}

}  // namespace

void PortsDesk::open_shared(const InterfaceSet& interfaces) {
  std::set<Endpoint> known;
  for (const LogicalInterface& logical : interfaces.all()) {
    for (const LocalAddress& local : logical.addresses) {
      const Endpoint at{local.address, local.ice_port};
      if (local.ice_port.value == 0 || !known.insert(at).second) continue;
      const auto wrong = [&](std::string_view why) {
        return std::runtime_error(fmt::format("interface '{}': ice-port {} at {}: {}", logical.name,
                                              at.port.value, at.address.to_string(), why));
      };
      const auto handles = provider_.activate_shared(at, 0, plane_.workers());
      if (!handles) throw wrong(text_of(handles.error()));
      shared_.insert(shared_.end(), handles->begin(), handles->end());
      if (!plane_.share(at, *handles)) throw wrong("a media worker cannot serve it");
    }
  }
}

std::optional<LocalPorts> PortsDesk::share(const Call& call, const LocalAddress& local) {
  const PortHandle handle = plane_.shared({local.address, local.ice_port}, call.worker);
  if (!handle.is_open()) return std::nullopt;
  LocalPorts ports;
  ports.local = &local;
  ports.port = local.ice_port;
  ports.is_shared = true;
  ports.handles = {handle, PortHandle{}};
  ports.activity = std::make_shared<TransportActivity>();
  ports.transport = plane_.allocate(call.worker);
  return ports;
}

PortFailure PortsDesk::note_failure(PortFailure failure, Instant now) {
  const auto index = static_cast<std::size_t>(failure);
  ++failures_.times[index];
  failures_.last_at[index] = now;
  return failures_.last = failure;
}

Result<PortsDesk::OpenedPair, PortFailure> PortsDesk::open_pair(const Call& call, const LocalAddress& local,
                                                                Instant now) {
  // Pairs of which another process holds a port, or the last pair if the host refuses it.
  std::vector<UdpPort> foreign;
  Result<OpenedPair, PortFailure> result = fail(PortFailure::kExhausted);
  for (unsigned attempt = 0; attempt < kPortTries; ++attempt) {
    const auto pair = local.ports->draw(now);
    if (!pair) break;
    auto rtp = provider_.activate({local.address, pair->rtp}, call.tos);
    auto rtcp = rtp ? provider_.activate(
                          {local.address, UdpPort{static_cast<std::uint16_t>(pair->rtp.value + 1)}}, call.tos)
                    : rtp;
    if (rtcp) {
      result = OpenedPair{*pair, {*rtp, *rtcp}};
      break;
    }
    if (rtp) provider_.release(*rtp);
    foreign.push_back(pair->rtp);
    if (rtcp.error() == PortError::kInUse) continue;
    result = fail(failure_of(rtcp.error()));
    break;
  }
  for (const UdpPort port : foreign) local.ports->give_back(port, {}, now);
  if (!result) note_failure(result.error(), now);
  return result;
}

Result<LocalPorts, PortFailure> PortsDesk::open(const Call& call, const LocalAddress& local, Instant now) {
  const auto pair = open_pair(call, local, now);
  if (!pair) return fail(pair.error());
  LocalPorts ports;
  ports.local = &local;
  ports.port = pair->drawn.rtp;
  ports.barred = pair->drawn.barred;
  ports.handles = pair->handles;
  ports.activity = std::make_shared<TransportActivity>();
  ports.transport = plane_.allocate(call.worker);
  return ports;
}

std::vector<LocalPorts::More> PortsDesk::open_more(const Call& call, const LogicalInterface& interface,
                                                   const LocalPorts& ports, Instant now) {
  std::vector<LocalPorts::More> opened;
  for (const LocalAddress& local : interface.addresses) {
    const bool has_it = &local == ports.local ||
                        std::ranges::find(ports.more, &local, &LocalPorts::More::local) != ports.more.end();
    if (has_it || 1 + ports.more.size() + opened.size() >= kMaxLocals) continue;
    if (ports.is_shared) {
      const PortHandle handle = plane_.shared({local.address, local.ice_port}, call.worker);
      if (handle.is_open()) opened.push_back({&local, local.ice_port, true, {handle, PortHandle{}}});
      continue;
    }
    const auto pair = open_pair(call, local, now);
    // A pair that cannot be opened is one candidate less.
    if (pair) opened.push_back({&local, pair->drawn.rtp, false, pair->handles});
  }
  return opened;
}

void PortsDesk::close_more(const Call& call, const LocalPorts::More& more) {
  if (more.is_shared) return;
  closing_.emplace_back(more.handles, more.local->ports.get(), more.port, Endpoint{}, call.worker,
                        std::nullopt);
  more.local->ports->set_owner(more.port, nullptr);
}

const std::string& PortsDesk::foundation_of(const LocalAddress& local) {
  std::string& foundation = foundations_[&local];
  if (foundation.empty()) foundation = random_hex(16);
  return foundation;
}

std::vector<std::string> PortsDesk::candidates_of(const LocalPorts& ports, bool has_rtcp,
                                                  const std::optional<IpAddress>& advertised) {
  std::vector<std::string> lines;
  const auto add = [&](const LocalAddress& local, UdpPort rtp, LocalPort port, bool is_first) {
    const auto component = static_cast<unsigned>(port.component);
    lines.push_back(fmt::format(
        "{} {} UDP {} {} {} typ host", foundation_of(local), component + 1, host_priority(port),
        (is_first && advertised ? *advertised : local.advertised).to_string(), rtp.value + component));
  };
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    if (component == Component::kRtcp && (!has_rtcp || ports.is_shared)) continue;
    add(*ports.local, ports.port, {component, 0}, true);
    for (std::size_t i = 0; i < ports.more.size(); ++i)
      add(*ports.more[i].local, ports.more[i].port, {component, static_cast<std::uint8_t>(i + 1)}, false);
  }
  return lines;
}

std::vector<std::string> PortsDesk::candidates_beside(const LocalPorts& ports, const Beside& beside,
                                                      const std::optional<IpAddress>& advertised) {
  // RFC 8445 §5.1.2: type preference 0, which is that of relayed candidates, and for those beside a party's
  // own also the lowest local preferences. A priority is at least 1 and has 31 bits.
  constexpr std::uint32_t kPreferences = 16;
  const std::uint32_t highest = beside.is_relayed ? 0xffff : kPreferences - 1;
  std::vector<std::string> lines;
  const auto add = [&](const LocalAddress& local, UdpPort rtp, LocalPort port, bool is_first) {
    const auto component = static_cast<std::uint32_t>(port.component);
    const std::uint32_t usual =
        ((highest - std::min<std::uint32_t>(port.local, highest)) << 8) | (255 - component);
    const std::uint32_t place = port.local * 2u + component + 1;
    const std::uint32_t priority = std::min(usual, beside.below > place ? beside.below - place : 1u);
    const std::string address = (is_first && advertised ? *advertised : local.advertised).to_string();
    const auto number = rtp.value + component;
    std::string line = fmt::format("{} {} UDP {} {} {} typ {}", foundation_of(local), component + 1, priority,
                                   address, number, beside.is_relayed ? "relay" : "host");
    if (beside.is_relayed) line += fmt::format(" raddr {} rport {}", address, number);
    lines.push_back(std::move(line));
  };
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    if (component == Component::kRtcp && !beside.has_rtcp) continue;
    add(*ports.local, ports.port, {component, 0}, true);
    for (std::size_t i = 0; i < ports.more.size(); ++i)
      add(*ports.more[i].local, ports.more[i].port, {component, static_cast<std::uint8_t>(i + 1)}, false);
  }
  return lines;
}

void PortsDesk::close(Call& call, LocalPorts& ports, TransportFigures* figures) {
  if (ports.closed) return;
  events_.end_presses(call, ports);
  ports.closed = true;
  ports.peer.reset();
  const bool installed = ports.plan != nullptr;
  const Endpoint signalled = installed ? ports.plan->rtp_latch.signalled : Endpoint{};
  Closing& closing = closing_.emplace_back(ports.is_shared ? std::array<PortHandle, 2>{} : ports.handles,
                                           ports.is_shared ? nullptr : ports.local->ports.get(), ports.port,
                                           signalled, call.worker, ports.transport);
  if (installed) {
    RemoveTransport removal{ports.transport, &closing.peer, figures};
    observers_.tell(&CallObserver::on_closing, call, ports, removal);
    plane_.post(call.worker, removal, true);
  }
  // The owners are cleared even without a plan: they are set before the first plan is made, which may fail.
  if (!ports.is_shared) ports.local->ports->set_owner(ports.port, nullptr);
  plane_.set_owner(call.worker, ports.transport, nullptr);
  for (const LocalPorts::More& more : ports.more) close_more(call, more);
}

void PortsDesk::mark(const LocalPorts& ports, std::uint8_t tos) {
  // The octet of a shared port is nobody's to change.
  if (ports.closed || ports.is_shared) return;
  for (const PortHandle handle : ports.handles) provider_.set_tos(handle, ports.local->address.family(), tos);
  for (const LocalPorts::More& more : ports.more) {
    for (const PortHandle handle : more.handles) provider_.set_tos(handle, more.local->address.family(), tos);
  }
}

void PortsDesk::mark_alone(LocalPorts& ports, std::uint8_t tos) {
  ports.tos = tos;
  mark(ports, tos);
}

void PortsDesk::set_tos(Call& call, std::uint8_t tos) {
  if (call.tos == tos) return;
  call.tos = tos;
  for (const auto& leg : call.legs) {
    for (MediaTransport& transport : leg->transports) {
      for (const LocalPorts& ports : transport.ports) mark(ports, tos);
    }
  }
}

void PortsDesk::close_all(Call& call, MediaTransport& transport) {
  for (LocalPorts& ports : transport.ports) close(call, ports);
  transport.ports.clear();
  transport.active = transport.sending = 0;
}

void PortsDesk::keep_only(Call& call, MediaTransport& transport, std::size_t kept) {
  for (std::size_t i = 0; i < transport.ports.size(); ++i) {
    if (i != kept) close(call, transport.ports[i]);
  }
  if (kept != 0) std::swap(transport.ports.front(), transport.ports[kept]);
  transport.ports.erase(transport.ports.begin() + 1, transport.ports.end());
  transport.active = transport.sending = 0;
}

void PortsDesk::release(Instant now) {
  for (const Closing& closing : closing_) {
    release(closing);
    if (closing.pool != nullptr) closing.pool->give_back(closing.port, closing.peer, now);
    if (closing.transport) plane_.free(closing.worker, *closing.transport);
  }
  closing_.clear();
}

void PortsDesk::release(const Closing& closing) {
  for (const PortHandle handle : closing.handles) {
    if (handle.is_open()) provider_.release(handle);
  }
}

PortsDesk::~PortsDesk() {
  std::ranges::for_each(closing_, [this](const Closing& each) { release(each); });
  if (shared_.empty()) return;
  plane_.unshare();
  for (const PortHandle handle : shared_) provider_.release(handle);
}

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// The simulated network. It carries datagrams at once and in order; time is a number that the test moves. A
// datagram of the relay to one of the relay's own ports arrives there, as it would through the host's stack.
//
// `ready_` holds the ports in which something waits, so that an engine need not look through all of them. It
// may name ports of other engines; each one takes only what it has attached.
#include "relay/io/sim/sim_network.hpp"

#include <algorithm>

namespace ferry {

Result<PortHandle, PortError> SimNetwork::activate(const Endpoint& local, std::uint8_t) {
  if (port_error_) return fail(*port_error_);
  if (ports_.size() >= descriptor_limit_) return fail(PortError::kNoDescriptors);
  if (occupied_.contains(local) || by_endpoint_.contains(local)) return fail(PortError::kInUse);
  const std::int32_t handle = next_handle_++;
  ports_.emplace(handle, Port{local, {}});
  by_endpoint_.emplace(local, handle);
  return PortHandle{handle};
}

Result<std::vector<PortHandle>, PortError> SimNetwork::activate_shared(const Endpoint& local,
                                                                       std::uint8_t tos,
                                                                       std::size_t workers) {
  const auto first = activate(local, tos);
  if (!first) return fail(first.error());
  std::vector<PortHandle> handles{*first};
  shared_[local] = workers;
  while (handles.size() < workers) {
    handles.push_back({next_handle_++});
    ports_.emplace(handles.back().native, Port{local, {}});
  }
  return handles;
}

void SimNetwork::release(PortHandle port) {
  const auto found = ports_.find(port.native);
  if (found == ports_.end()) return;
  if (const auto first = by_endpoint_.find(found->second.local);
      first != by_endpoint_.end() && first->second == port.native) {
    shared_.erase(found->second.local);
    by_endpoint_.erase(first);
  }
  ready_.erase(port.native);
  ports_.erase(found);
}

bool SimNetwork::send_to_relay(const SimDatagram& datagram) {
  // The kernel's programs see a datagram before any socket does, as on a real host.
  if (below_ && below_(datagram)) return true;
  const auto found = by_endpoint_.find(datagram.to);
  if (found == by_endpoint_.end()) return false;
  std::int32_t handle = found->second;
  if (const auto shared = shared_.find(datagram.to); shared != shared_.end())
    handle += static_cast<std::int32_t>(datagram.from.port.value % shared->second);
  ports_.at(handle).queue.push_back(datagram);
  ready_.insert(handle);
  return true;
}

bool SimNetwork::send_from_relay(const SimDatagram& datagram) {
  // A datagram to another port of the relay stays inside.
  if (send_to_relay(datagram)) return true;
  const auto port = by_endpoint_.find(datagram.from);
  // A closed port sends nothing and so gets no error back.
  if (refusing_.contains(datagram.to) && port != by_endpoint_.end()) {
    problems_.push_back({port->second, datagram.to});
    return true;
  }
  return !outlet_ || outlet_(datagram);
}

std::size_t SimIo::take_problems(std::span<PortProblem> into) noexcept {
  std::size_t count = 0;
  // Only the engine that has the port attached learns of it; for the others the errors wait.
  std::erase_if(network_.problems_, [&](const SimNetwork::Problem& problem) {
    const auto port = attached_.find(problem.port);
    if (port == attached_.end() || count == into.size()) return false;
    into[count++] = {port->second, problem.to, SendError::kPortUnreachable, problem.to.address};
    return true;
  });
  return count;
}

bool SimIo::attach(PortHandle port, std::uint64_t cookie) noexcept {
  if (network_.refuses_ports_) return false;
  attached_[port.native] = cookie;
  return true;
}

Endpoint SimIo::local_of(PortHandle port) const noexcept {
  const auto found = network_.ports_.find(port.native);
  return found == network_.ports_.end() ? Endpoint{} : found->second.local;
}

std::size_t SimIo::receive(std::span<PacketBuffer> batch) noexcept {
  std::size_t filled = 0;
  for (auto next = network_.ready_.begin(); next != network_.ready_.end();) {
    const auto attached = attached_.find(*next);
    const auto port = network_.ports_.find(*next);
    // Attached to another engine, or to none.
    if (attached == attached_.end()) {
      ++next;
      continue;
    }
    while (filled < batch.size() && !port->second.queue.empty()) {
      PacketBuffer buffer = pool_.allocate();
      // No buffer: the datagram stays in the port, as it would in a socket.
      if (!buffer) return filled;
      const SimDatagram& datagram = port->second.queue.front();
      const MutableBytes space = buffer.space();
      buffer->truncated = datagram.payload.size() > space.size();
      const std::size_t size = std::min(datagram.payload.size(), space.size());
      std::copy_n(datagram.payload.begin(), size, space.begin());
      buffer.set_data_size(size);
      buffer->remote = datagram.from;
      buffer->cookie = attached->second;
      batch[filled++] = std::move(buffer);
      port->second.queue.pop_front();
    }
    next = port->second.queue.empty() ? network_.ready_.erase(next) : std::next(next);
  }
  return filled;
}

void SimIo::send(std::span<PacketBuffer> batch, std::span<SendError> errors) noexcept {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const PacketBuffer buffer = std::move(batch[i]);
    const auto port = network_.ports_.find(buffer->via.native);
    if (port == network_.ports_.end()) {
      errors[i] = SendError::kOther;
      continue;
    }
    const MutableBytes data = buffer.data();
    const bool sent =
        network_.send_from_relay({port->second.local, buffer->remote, {data.begin(), data.end()}});
    errors[i] = sent ? SendError::kNone : SendError::kOther;
  }
}

}  // namespace ferry

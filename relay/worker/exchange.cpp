// SPDX-License-Identifier: Apache-2.0
#include "relay/worker/exchange.hpp"

#include "relay/base/memory.hpp"

#include <span>
#include <utility>

namespace ferry {

Exchange::Exchange(std::size_t workers) : ends_(workers), lanes_(workers * workers) {
  for (std::size_t from = 0; from < workers; ++from) {
    for (std::size_t to = 0; to < workers; ++to) {
      if (from == to) continue;
      lane_of(from, to).places.reset(static_cast<Place*>(::operator new(kPlaces * sizeof(Place))));
    }
  }
}

bool Exchange::push(WorkerNumber from, WorkerNumber to, const Item& item) noexcept {
  Lane& lane = lane_of(from, to);
  const std::size_t head = lane.head.load(std::memory_order_relaxed);
  const bool is_stranger = item.kind == Kind::kDatagram && !item.is_known;
  const std::size_t most = is_stranger ? kPlacesOfStrangers : kPlaces;
  if (head - lane.tail.load(std::memory_order_acquire) >= most || item.octets.size() > kLongest) return false;
  Place& place = *new (&lane.places[head % kPlaces]) Place;
  place.kind = item.kind;
  place.is_known = item.is_known;
  place.port = item.port;
  place.remote = item.remote;
  place.size = static_cast<std::uint16_t>(item.octets.size());
  std::ranges::copy(item.octets, place.octets.begin());
  lane.head.store(head + 1, std::memory_order_release);
  // Waking is a system call: one is enough until the worker has looked.
  if (!ends_[to].has_news.exchange(true)) {
    if (PacketIo* io = ends_[to].io.load()) io->wake();
  }
  return true;
}

ExchangeEnd::ExchangeEnd(std::shared_ptr<Exchange> exchange, WorkerNumber worker, PacketIo& io)
    : exchange_(std::move(exchange)), worker_(worker), waiting_(exchange_->workers()) {
  exchange_->set_io(worker_, &io);
}

ExchangeEnd::~ExchangeEnd() { exchange_->set_io(worker_, nullptr); }

bool ExchangeEnd::pass_on(WorkerNumber to, SharedPortId port, const Endpoint& from, bool is_known,
                          Bytes datagram) noexcept {
  return reaches(to) &&
         exchange_->push(worker_, to, {Exchange::Kind::kDatagram, port, from, is_known, datagram});
}

bool ExchangeEnd::push_ufrag(WorkerNumber to, SharedPortId port, std::string_view ufrag,
                             bool is_here) noexcept {
  return exchange_->push(worker_, to,
                         {is_here ? Exchange::Kind::kUfrag : Exchange::Kind::kUfragGone,
                          port,
                          {},
                          false,
                          std::as_bytes(std::span(ufrag))});
}

void ExchangeEnd::tell_ufrag(SharedPortId port, std::string_view ufrag, bool is_here) noexcept {
  for (std::size_t to = 0; to < exchange_->workers(); ++to) {
    if (to == worker_) continue;
    // What waits comes first, so that the order stays.
    if (waiting_[to].empty() && push_ufrag(static_cast<WorkerNumber>(to), port, ufrag, is_here)) continue;
    // Without memory the other worker does not learn of it: what it receives for this ufrag is a stranger's
    // until ICE restarts (C-12).
    static_cast<void>(had_memory([&] { waiting_[to].push_back({port, std::string(ufrag), {}, is_here}); }));
  }
}

void ExchangeEnd::tell_endpoint(WorkerNumber receiver, SharedPortId port, const Endpoint& remote,
                                std::optional<BindingProof> proof) noexcept {
  if (!reaches(receiver)) return;
  auto& waiting = waiting_[receiver];
  if (!proof) {
    if (waiting.empty() && push_endpoint_gone(receiver, port, remote)) return;
    // Without memory the other worker keeps the endpoint until somebody else proves that it has it (C-12).
    static_cast<void>(had_memory([&] { waiting.push_back({port, {}, remote, false}); }));
    return;
  }
  // It must not overtake that the same endpoint was gone before.
  if (!waiting.empty()) return;
  exchange_->push(worker_, receiver,
                  {*proof == BindingProof::kMove ? Exchange::Kind::kEndpointMoved : Exchange::Kind::kEndpoint,
                   port,
                   remote,
                   *proof == BindingProof::kAnswer,
                   {}});
}

bool ExchangeEnd::push_endpoint_gone(WorkerNumber to, SharedPortId port, const Endpoint& remote) noexcept {
  return exchange_->push(worker_, to, {Exchange::Kind::kEndpointGone, port, remote, false, {}});
}

std::size_t ExchangeEnd::tell_waiting() noexcept {
  std::size_t told = 0;
  for (std::size_t to = 0; to < waiting_.size(); ++to) {
    auto& queue = waiting_[to];
    for (; !queue.empty(); queue.pop_front(), ++told) {
      const Waiting& next = queue.front();
      const auto receiver = static_cast<WorkerNumber>(to);
      const bool is_told = next.ufrag.empty() ? push_endpoint_gone(receiver, next.port, next.remote)
                                              : push_ufrag(receiver, next.port, next.ufrag, next.is_here);
      if (!is_told) break;
    }
  }
  return told;
}

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// What workers pass to each other at shared ports: datagrams, and news of whose they are.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"
#include "relay/io/packet_io.hpp"
#include "relay/worker/port_table.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace ferry {

/// One bounded lane from each worker to each other one. Buffers belong to an engine, so a datagram is copied
/// into the lane and out of it. No lock, and no allocation after construction.
///
/// All workers share it. `push` belongs to the thread of the sender, `drain` to that of the receiver.
class Exchange {
 public:
  /// Longest datagram that is passed on, in octets. ICE legs keep their packets below the path MTU.
  static constexpr std::size_t kLongest = 2048;
  /// Items that wait in one lane at most.
  static constexpr std::size_t kPlaces = 128;
  /// A datagram of an endpoint that is bound to nobody enters only a lane with fewer items than this. So a
  /// flood of checks and answers, which anybody can write, does not displace media and news (LIM-3).
  static constexpr std::size_t kPlacesOfStrangers = 32;

  enum class Kind : std::uint8_t { kDatagram, kUfrag, kUfragGone, kEndpoint, kEndpointMoved, kEndpointGone };
  /// Something on its way. Borrows `octets`.
  struct Item {
    Kind kind = Kind::kDatagram;
    /// The shared port that it is about.
    SharedPortId port;
    /// Datagram: its source. News of an endpoint: the endpoint.
    Endpoint remote;
    /// Datagram: the sender of the item has its source as an endpoint of the receiver. News of an endpoint:
    /// an answer came from there.
    bool is_known = false;
    /// The datagram, or the ufrag.
    Bytes octets;
  };

  /// For workers 0 to `workers` - 1. Reserves address space for every lane; memory is taken by lanes that are
  /// used. Throws std::bad_alloc.
  explicit Exchange(std::size_t workers);

  /// The number of workers.
  [[nodiscard]] std::size_t workers() const noexcept { return ends_.size(); }
  /// Says what wakes a worker; null = it is ending. On its own thread.
  void set_io(WorkerNumber worker, PacketIo* io) noexcept { ends_[worker].io.store(io); }
  /// Puts an item into the lane from one worker to another, and wakes that one. False if the lane is full,
  /// for a stranger's datagram (`is_known` false) also if it is a quarter full, or if the item is too long.
  bool push(WorkerNumber from, WorkerNumber to, const Item& item) noexcept;
  /// True if something may wait for the worker.
  [[nodiscard]] bool has_news(WorkerNumber worker) const noexcept { return ends_[worker].has_news.load(); }
  /// Calls `visit(from, item)` for each item that waits for the worker, and returns their number. The octets
  /// of an item are valid during the call.
  template <class Visit>
  std::size_t drain(WorkerNumber to, Visit visit) noexcept {
    // Cleared before looking, so that what comes meanwhile wakes the worker again.
    if (!ends_[to].has_news.exchange(false)) return 0;
    std::size_t count = 0;
    for (std::size_t from = 0; from < workers(); ++from) {
      if (from == to) continue;
      Lane& lane = lane_of(from, to);
      const std::size_t end = lane.head.load(std::memory_order_acquire);
      for (std::size_t at = lane.tail.load(std::memory_order_relaxed); at != end; ++at, ++count) {
        const Place& place = lane.places[at % kPlaces];
        visit(static_cast<WorkerNumber>(from), Item{place.kind, place.port, place.remote, place.is_known,
                                                    Bytes(place.octets.data(), place.size)});
        lane.tail.store(at + 1, std::memory_order_release);
      }
    }
    return count;
  }

 private:
  struct Place {
    Kind kind;
    bool is_known;
    std::uint16_t size;
    SharedPortId port;
    Endpoint remote;
    std::array<std::byte, kLongest> octets;
  };
  static_assert(std::is_trivially_destructible_v<Place>);
  struct Free {
    void operator()(Place* memory) const noexcept { ::operator delete(memory); }
  };
  struct Lane {
    /// Raw memory, so that a lane that is never used takes none. `push` makes the places.
    std::unique_ptr<Place[], Free> places;
    // Both only rise. Each lies in a cache line of its own.
    alignas(64) std::atomic<std::size_t> head{0};
    alignas(64) std::atomic<std::size_t> tail{0};
  };
  struct End {
    std::atomic<PacketIo*> io{nullptr};
    std::atomic<bool> has_news{false};
  };
  [[nodiscard]] Lane& lane_of(std::size_t from, std::size_t to) noexcept {
    return lanes_[from * workers() + to];
  }

  std::vector<End> ends_;
  std::vector<Lane> lanes_;
};

/// One worker's end of the exchange. News about ufrags, and of endpoints that are gone, must not get lost, so
/// they wait here while a lane is full. That an endpoint is here is told again when it is missed. The worker
/// owns it.
class ExchangeEnd final : public SharedPortNews {
 public:
  /// `io` wakes the worker, and outlives this.
  ExchangeEnd(std::shared_ptr<Exchange> exchange, WorkerNumber worker, PacketIo& io);
  ~ExchangeEnd() override;
  ExchangeEnd(const ExchangeEnd&) = delete;
  ExchangeEnd& operator=(const ExchangeEnd&) = delete;

  /// Passes a datagram on that came to `port` and is for worker `to`. False if it could not: there is no such
  /// other worker, its lane is full, or the datagram is too long.
  bool pass_on(WorkerNumber to, SharedPortId port, const Endpoint& from, bool is_known,
               Bytes datagram) noexcept;
  /// True if that worker is another one of the process.
  [[nodiscard]] bool reaches(WorkerNumber worker) const noexcept {
    return worker < exchange_->workers() && worker != worker_;
  }
  void tell_ufrag(SharedPortId port, std::string_view ufrag, bool is_here) noexcept override;
  void tell_endpoint(WorkerNumber receiver, SharedPortId port, const Endpoint& remote,
                     std::optional<BindingProof> proof) noexcept override;
  /// Tells what had to wait. Returns how much it told.
  std::size_t tell_waiting() noexcept;
  [[nodiscard]] bool has_waiting() const noexcept {
    return std::ranges::any_of(waiting_, [](const auto& each) { return !each.empty(); });
  }
  [[nodiscard]] bool has_news() const noexcept { return exchange_->has_news(worker_); }
  template <class Visit>
  std::size_t drain(Visit visit) noexcept {
    return exchange_->drain(worker_, visit);
  }

 private:
  /// News that wait for room: of a ufrag, or (without one) of an endpoint that is gone.
  struct Waiting {
    SharedPortId port;
    std::string ufrag;
    Endpoint remote;
    bool is_here = false;
  };
  bool push_ufrag(WorkerNumber to, SharedPortId port, std::string_view ufrag, bool is_here) noexcept;
  bool push_endpoint_gone(WorkerNumber to, SharedPortId port, const Endpoint& remote) noexcept;

  std::shared_ptr<Exchange> exchange_;
  WorkerNumber worker_;
  /// By worker that is to be told.
  std::vector<std::deque<Waiting>> waiting_;
};

}  // namespace ferry

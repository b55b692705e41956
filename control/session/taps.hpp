// SPDX-License-Identifier: Apache-2.0
// Taps on the media of calls: recordings, traces, and others that want copies of packets.
#pragma once

#include "control/session/media_plane.hpp"
#include "control/session/observer.hpp"
#include "relay/core/tap.hpp"

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

namespace ferry {

/// What one tap should hear.
struct TapOrder {
  /// Gets the copies. Workers call it; it must live until the fence after it was detached.
  PacketTap* tap = nullptr;
  /// True if the tap should hear these ports. Asked again whenever the plans of the call change.
  std::function<bool(const MediaTransport&, const LocalPorts&)> hears;
  /// Called for each set of ports that the tap begins to hear, and again when the name of their transport
  /// changes. May be empty.
  std::function<void(const MediaTransport&, const LocalPorts&)> on_attached;
};

/// Attaches any number of taps to a call. Each follows the transports of its call through re-offers, merges
/// and moves to another worker, and ends with the call. Control thread only. Borrows the plane.
class Taps final : public CallObserver {
 public:
  explicit Taps(MediaPlane& plane) : plane_(plane) {}

  /// Attaches a tap, and has it hear the ports of the call at once.
  TapId attach(Call& call, TapOrder order);
  /// Detaches a tap. It hears nothing after the next fence. A tap that is gone already is no error.
  void detach(TapId id);
  /// Asks all taps of the call again which ports they hear.
  void renew(Call& call);
  /// True if the tap hears the transport.
  [[nodiscard]] bool hears(TapId id, TransportId transport) const;
  /// True if the tap is still there. It goes with its call.
  [[nodiscard]] bool is_there(TapId id) const { return find(id) != nullptr; }

  void on_planned(Call& call) override { renew(call); }
  void on_moved(Call& call, const MediaTransport& transport, const LocalPorts& ports,
                TransportId before) override;
  void on_closing(Call& call, const LocalPorts& ports, RemoveTransport& removal) override;
  void on_merged(Call& call, Call& other) override;
  void on_forgotten(Call& call) override;

 private:
  /// A tap, and the transports that it hears.
  struct Attached {
    TapId id;
    TapOrder order;
    std::vector<TransportId> transports;
    /// Transports of a call that moves, under their new names. These may equal names at the old worker that
    /// are still in `transports`. Empty once the call has moved.
    std::vector<TransportId> moved;
  };
  /// All taps of one call.
  struct OfCall {
    Call* call = nullptr;
    std::vector<Attached> taps;
  };
  /// Attaches and detaches the tap so that it hears what it should.
  void follow(Call& call, Attached& tap);
  /// Adds the new names to `transports`.
  static void end_move(Attached& tap);
  [[nodiscard]] const Attached* find(TapId id) const;

  MediaPlane& plane_;
  /// By `Call::serial`. Calls without taps have no entry.
  std::unordered_map<std::uint64_t, OfCall> calls_;
  /// The `Call::serial` of each tap's call.
  std::unordered_map<std::uint64_t, std::uint64_t> call_of_;
  std::uint64_t next_ = 1;
};

}  // namespace ferry

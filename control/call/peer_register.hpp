// SPDX-License-Identifier: Apache-2.0
// Which transports send to one remote address, in all calls and on all workers (LAT-12). It keeps the relay
// from being used to flood an address: of many peers that nobody has heard, only some are sent to.
#pragma once

#include "relay/core/forward/transport.hpp"

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace ferry {

/// Decides which of many unheard peers of an address are sent to (LAT-12b), and keeps what ICMP said about
/// each address (LAT-12a). Control thread only. The register must outlive its members.
class PeerRegister {
 public:
  /// What control knows of one transport.
  struct Entry {
    /// The address that it sends to.
    IpAddress address;
    /// The worker's notes about the transport: whether its peer was heard, and when. Never null.
    std::shared_ptr<const TransportActivity> activity;
    /// `Call::serial` of its call.
    std::uint64_t call = 0;
    /// True if LAT-12b applies: the call is answered, and the peer is one that should speak.
    bool is_limited = false;
    /// Its learning epoch. A new epoch is another peer, which nobody has heard yet.
    std::uint32_t epoch = 0;
    /// When the answer came. The register replaces it by the time since which `is_limited` holds for the
    /// peer.
    Instant answered_at{};
  };

 private:
  /// An entry, and what the register remembers of it.
  struct Known {
    Entry entry;
    /// Its index in `Address::members`.
    std::size_t place = 0;
    /// True if the peer is not sent to any more once its free time is over.
    bool stops = false;
  };

 public:
  /// The entry of one transport in the register, as long as it lives. `LocalPorts` owns it.
  class Member {
   public:
    Member(PeerRegister& owner, Entry entry);
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;
    /// Until when media goes to the peer although it is unheard. `Instant::max()` = for ever.
    [[nodiscard]] Instant unheard_until() const noexcept;
    /// The ICMP errors of the address, shared by all transports that send to it. Never null.
    [[nodiscard]] const std::shared_ptr<AddressErrors>& errors() const noexcept;
    [[nodiscard]] const Entry& entry() const noexcept { return known_.entry; }
    /// Notes that the transport went to another call, by a merge.
    void set_call(std::uint64_t call) noexcept { known_.entry.call = call; }

   private:
    PeerRegister& register_;
    Known known_;
  };

  /// `per_address`: how many unheard peers of one address are sent to freely; 0 = all.
  explicit PeerRegister(std::size_t per_address) : per_address_(per_address) {}
  PeerRegister(const PeerRegister&) = delete;
  PeerRegister& operator=(const PeerRegister&) = delete;

  /// Makes `member` say what `entry` says. A null member is made.
  void follow(std::unique_ptr<Member>& member, Entry entry);
  /// Notes that the process stood still for `pause`, until `now`: nobody could be heard meanwhile (C-13).
  void skip(Duration pause, Instant now);
  /// Decides again; to be called about once a second. Returns the serial numbers of the calls that have a
  /// transport whose `unheard_until` changed: their plans must be made again.
  [[nodiscard]] std::unordered_set<std::uint64_t> decide(Instant now);

 private:
  /// One remote address.
  struct Address {
    std::shared_ptr<AddressErrors> errors;
    std::vector<Known*> members;
    /// Limited members that nobody had heard when they were looked at last, the oldest answer first.
    std::vector<Known*> unheard;
  };

  void enter(Known& member);
  void leave(Known& member);
  /// How many unheard members are sent to freely. Counting ends at `enough`.
  [[nodiscard]] std::size_t allowed(const Address& address, std::size_t enough, Instant now) const;

  std::size_t per_address_;
  /// The end of the last pause. Silence counts from it.
  Instant awake_since_{};
  /// No address without members.
  std::unordered_map<IpAddress, Address> addresses_;
  /// Addresses that may have too many unheard members. Only these are looked at by `decide`.
  std::unordered_set<IpAddress> crowded_;
};

}  // namespace ferry

// Which transports send to one remote address, in all calls and on all workers (LAT-12).
#pragma once

#include "relay/core/forward/transport.hpp"

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace ferry {

/// Decides which of many peers that were never heard are sent to (LAT-12 b), and has what ICMP said about
/// each address (LAT-12 a). Control thread only. The register outlives its members.
class PeerRegister {
 public:
  /// What is known of one transport.
  struct Entry {
    /// Where it sends.
    IpAddress address;
    /// The worker's notes about the transport: whether its peer was heard, and when.
    std::shared_ptr<const TransportActivity> activity;
    /// Serial number of its call.
    std::uint64_t call = 0;
    /// LAT-12 b applies: the call is answered, and the peer is one that should speak.
    bool is_limited = false;
    /// Its learning epoch. A new one is another peer, which nobody has heard yet.
    std::uint32_t epoch = 0;
    /// When the answer came. It counts from when `is_limited` became true for the peer.
    Instant answered_at{};
  };

  /// The entry of one transport. Its owner ends it by destroying it.
  class Member {
   public:
    ~Member() { register_.leave(*this); }
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;
    /// Until then media goes to the peer unheard; `Instant::max()`: it never stops.
    [[nodiscard]] Instant unheard_until() const noexcept;
    /// Shared by all transports that send to the address.
    [[nodiscard]] const std::shared_ptr<AddressErrors>& errors() const noexcept;

   private:
    friend class PeerRegister;
    Member(PeerRegister& owner, Entry entry) : register_(owner), entry_(std::move(entry)) {}
    PeerRegister& register_;
    Entry entry_;
    std::size_t place_ = 0;  // in `Address::members`
    bool stops_ = false;
  };

  /// `per_address`: how many unheard peers of one address are sent to freely; 0 = all.
  explicit PeerRegister(std::size_t per_address) : per_address_(per_address) {}
  PeerRegister(const PeerRegister&) = delete;
  PeerRegister& operator=(const PeerRegister&) = delete;

  /// Makes `member` (null: there was none) say what `entry` says.
  void follow(std::unique_ptr<Member>& member, Entry entry);
  /// Nobody ran for so long, until `now`: nobody could be heard (C-13).
  void skip(Duration pause, Instant now);
  /// Decides again; to be called about once a second. Serial numbers of the calls that have a transport whose
  /// `unheard_until` changed.
  [[nodiscard]] std::unordered_set<std::uint64_t> decide(Instant now);

 private:
  struct Address {
    std::shared_ptr<AddressErrors> errors;
    std::vector<Member*> members;
    /// Limited members that nobody had heard when they were looked at last, oldest answer first.
    std::vector<Member*> unheard;
  };

  void enter(Member& member);
  void leave(Member& member);
  /// How many unheard members are sent to freely. Counting ends at `enough`.
  [[nodiscard]] std::size_t allowed(const Address& address, std::size_t enough, Instant now) const;

  std::size_t per_address_;
  Instant awake_since_{};
  std::unordered_map<IpAddress, Address> addresses_;  // none without members
  /// Addresses that may have too many unheard members.
  std::unordered_set<IpAddress> crowded_;
};

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// Finds the transport of a received datagram by its port. Where several transports share one port, the
// address that the datagram came from and the ICE user name fragment (ufrag) that it names decide.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"
#include "relay/core/forward/component.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/ice/stun.hpp"
#include "relay/io/packet_buffer.hpp"
#include "relay/worker/shared_binding.hpp"
#include "relay/worker/transport_table.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ferry {

// The engine returns a cookie with each datagram, so that a packet finds its transport without a search:
//
//   bit 47         1 if the port is shared
//   bit 44         shared port: the worker that passed the datagram on has its source as an endpoint of ours
//   bits 36 to 43  shared port: number of the worker that passed the datagram on, plus one; 0: it came here
//   bits 4 to 35   own port: the slot of its transport; shared port: its `SharedPortId`
//   bits 1 to 3    own port: the number of the local address
//   bit 0          the component (0 = RTP, 1 = RTCP)
//
// The bits above 47 stay 0, because the DPDK engine keeps 48 bits of a cookie.
constexpr std::uint64_t kSharedCookie = std::uint64_t{1} << 47;
constexpr std::uint64_t kKnownThere = std::uint64_t{1} << 44;
constexpr unsigned kPassedOnShift = 36;

constexpr std::uint64_t cookie_bits(std::uint32_t number, LocalPort port) {
  return (static_cast<std::uint64_t>(number) << 4) | (static_cast<std::uint64_t>(port.local) << 1) |
         static_cast<std::uint64_t>(port.component);
}
/// The cookie of a port that one transport has for itself.
constexpr std::uint64_t make_cookie(TransportId id, LocalPort port) { return cookie_bits(id.slot, port); }
/// The cookie of a shared port. It is for RTP, and RTCP that is multiplexed with it. Its number among the
/// local addresses differs from transport to transport, so the table has it.
constexpr std::uint64_t make_cookie(SharedPortId id) { return kSharedCookie | cookie_bits(id.value, {}); }
/// The cookie of a datagram at a shared port that worker `by` has received and passed on. `is_known`: it came
/// from an endpoint of which that worker knows that it is ours.
constexpr std::uint64_t make_cookie(SharedPortId id, WorkerNumber by, bool is_known) {
  return make_cookie(id) | ((std::uint64_t{by} + 1) << kPassedOnShift) | (is_known ? kKnownThere : 0);
}
constexpr bool is_shared(std::uint64_t cookie) { return (cookie & kSharedCookie) != 0; }
/// The worker that passed a datagram at a shared port on. Nothing if it came here.
constexpr std::optional<WorkerNumber> passed_on_by(std::uint64_t cookie) {
  const auto number = static_cast<unsigned>((cookie >> kPassedOnShift) & 0xff);
  return number == 0 || !is_shared(cookie) ? std::nullopt
                                           : std::optional(static_cast<WorkerNumber>(number - 1));
}
/// The slot of an own port's transport. For a shared port it is a slot that no table has.
constexpr std::size_t slot_of(std::uint64_t cookie) { return static_cast<std::size_t>(cookie >> 4); }
/// The number of a shared port.
constexpr SharedPortId shared_port_of(std::uint64_t cookie) {
  return {static_cast<std::uint32_t>((cookie >> 4) & 0xffffffff)};
}
/// Which of its transport's ports an own port is.
constexpr LocalPort port_of(std::uint64_t cookie) {
  return {static_cast<Component>(cookie & 1), static_cast<std::uint8_t>((cookie >> 1) & 7)};
}

/// Tells other workers what changed at the shared ports of this one. Nothing throws; what does not get
/// through is told again when it is missed.
class SharedPortNews {
 public:
  virtual ~SharedPortNews() = default;
  /// A transport of this worker has the ufrag from now on, or (`is_here` false) none has it any more. For all
  /// workers.
  virtual void tell_ufrag(SharedPortId port, std::string_view ufrag, bool is_here) noexcept = 0;
  /// Datagrams from `remote` are for this worker by that proof, or without one not any more. For the one
  /// worker that receives them.
  virtual void tell_endpoint(WorkerNumber receiver, SharedPortId port, const Endpoint& remote,
                             std::optional<BindingProof> proof) noexcept = 0;
};

/// The ports of a worker, and whose datagrams arrive there.
///
/// An own port belongs to one transport, which its cookie names. A shared port belongs to several transports.
/// There the table keeps the ufrags of each transport and its bindings: remote endpoints whose datagrams are
/// for this transport. A STUN request goes to the transport whose ufrag stands first in its USERNAME (RFC
/// 8445 §7.2.2), an answer to the one whose check it answers, and everything else to the one that its remote
/// endpoint is bound to. What is left is a stranger's.
///
/// `find` never makes a binding, because anybody can write a ufrag into a request and forge an address. The
/// caller binds an endpoint after the transport has authenticated a check from there, or an answer to one. A
/// check proves only that its sender has the password; a party of one call can send it with the address of
/// another call's party. An answer also proves that its sender was reached at the endpoint, as it repeats a
/// random transaction. So a binding by a check gives way to whoever proves more or comes later, and a binding
/// by an answer moves only to another answer, and only when nothing came from the endpoint for a while: two
/// sessions with the same remote endpoint cannot be told apart.
///
/// With several workers each has a socket of the shared port, and the kernel always gives the datagrams of
/// one remote endpoint to the same worker, which need not be the one that has the transport. So the table
/// also knows the ufrags and endpoints of other workers (`set_ufrag_of_other`, `set_endpoint_of_other`), and
/// tells them of its own through `SharedPortNews`.
///
/// The `WorkerContext` owns it; only the worker's thread uses it.
class PortTable {
 public:
  /// Most endpoints that one transport has bound at one port. With one more, an endpoint gives way: one whose
  /// proof is a check alone, else the one that was used longest ago. A check alone takes no place from an
  /// endpoint that was reached and is in use.
  static constexpr std::size_t kMaxBindings = 8;
  /// Most endpoints bound at one port, unless `add_shared` says otherwise.
  static constexpr std::size_t kMaxPortBindings = 65536;
  /// Most ufrags of other workers at one port.
  static constexpr std::size_t kMaxUfragsOfOthers = 262144;
  /// Longest STUN request that `find` reads for a stranger, in octets. A connectivity check is much shorter.
  static constexpr std::size_t kMaxRequest = 1280;
  /// For so long after its last datagram, DTLS aside, an endpoint that was reached stays with its transport,
  /// whatever others prove. A silent party is heard within that time, as it answers our checks for consent
  /// (RFC 7675).
  static constexpr Duration kInUse = std::chrono::seconds(6);

  /// Where a datagram belongs.
  struct Found {
    /// Null for a stranger, for an own port whose transport is gone, and for another worker's transport.
    TransportEntry* entry = nullptr;
    /// Which of the transport's ports it came to.
    LocalPort port;
    /// The worker that has the transport, if it is another one. For an answer it is the worker that has
    /// asked, which may be this one; then `entry` counts.
    std::optional<WorkerNumber> worker;
    /// True if its source is bound to the transport.
    bool is_bound = false;
  };

  /// `transports` outlives the table.
  explicit PortTable(const TransportTable& transports) noexcept : transports_(transports) {}
  /// Tells `news` of changes from now on, in a process with several workers. It outlives the table.
  void set_news(SharedPortNews* news) noexcept { news_ = news; }

  /// Whose a datagram is that came from `from` to the port with this cookie, at `now`. Does not allocate.
  [[nodiscard]] Found find(std::uint64_t cookie, const Endpoint& from, Bytes datagram, Instant now) noexcept {
    if (!is_shared(cookie)) [[likely]]
      return {transports_.at(slot_of(cookie)), port_of(cookie), {}, false};
    return find_sharing(cookie, from, datagram, now);
  }
  /// The transport of an own port, or the one that `remote` is bound to at a shared port; null if there is
  /// none here. Unlike `find` it does not count as a use of the binding.
  [[nodiscard]] TransportEntry* find_bound(std::uint64_t cookie, const Endpoint& remote) const noexcept;

  /// Adds a shared port that nobody uses yet. `handle`: the socket of this worker. `most` limits its
  /// bindings. Throws std::bad_alloc.
  SharedPortId add_shared(PortHandle handle = {}, std::size_t most = kMaxPortBindings);
  /// Removes a shared port with its ufrags and bindings. Detach it from the engine first.
  void remove_shared(SharedPortId port) noexcept;
  /// The shared port that has this socket; nothing if it is the own port of a transport. It looks at every
  /// shared port: there is one for each local address with `ice-port`, so few.
  [[nodiscard]] std::optional<SharedPortId> shared_by(PortHandle handle) const noexcept;

  /// Gives a transport its ufrag at a shared port, which makes it one of the port's transports. `local`: the
  /// number of the port among its local addresses. After an ICE restart the ufrag from before stays valid
  /// until `drop_former_ufrag`; one from before that goes. False with no effect if the port is not there, if
  /// another transport has this ufrag, or if it is no ufrag. Throws std::bad_alloc, with no effect on any
  /// ufrag.
  bool set_ufrag(SharedPortId port, TransportId id, std::string_view ufrag, std::uint8_t local = 0);
  /// Takes the ufrag from before the last ICE restart away, once no check uses it any more.
  void drop_former_ufrag(SharedPortId port, TransportId id) noexcept;
  /// Makes the transport one of its shared ports, under the ufrag of its plan. Without ICE in the plan it
  /// leaves them. False if a port does not take it: another transport has the ufrag. Throws std::bad_alloc.
  bool join(TransportEntry& entry);
  /// Unbinds what the transport has lost consent for, and takes its former ufrag away once it is not needed.
  void follow(TransportEntry& entry) noexcept;

  /// Binds a remote endpoint to a transport. Call it only after an authentic check from there, or an answer
  /// to one (`proof`). `cookie`: that of the datagram, which says by which worker it came. False if the
  /// endpoint is not bound to the transport afterwards:
  /// - The transport has no ufrag at this port.
  /// - Another transport was reached at the endpoint, and it is in use (`kInUse`) or `proof` is only a check.
  /// - The port or the transport has its most bindings, and none of them is this transport's and gives way.
  /// - There is no memory (C-12).
  bool bind(std::uint64_t cookie, TransportId id, const Endpoint& remote, BindingProof proof,
            Instant now) noexcept;
  /// Ends a binding of the transport: its consent has expired (RFC 7675). Without effect if there is no such
  /// binding.
  void unbind(SharedPortId port, TransportId id, const Endpoint& remote) noexcept;
  /// The bindings of a transport that is about to leave this worker, which is `here`, for another one. Throws
  /// std::bad_alloc.
  [[nodiscard]] std::vector<MovedBinding> bindings_of(TransportId id, WorkerNumber here) const;
  /// Binds what a transport has brought from another worker to `here`, after `join`.
  void bind_moved(TransportEntry& entry, WorkerNumber here, Instant now) noexcept;
  /// Notes that the transport sends a check, so that its answer is found. Only the latest checks are kept.
  void note_check(SharedPortId port, TransportId id, const stun::TransactionId& transaction) noexcept;

  /// Takes a transport that leaves the worker out of all shared ports, with its ufrags and bindings.
  void remove(TransportId id) noexcept;

  /// Takes news of another worker in. A ufrag that a transport of this worker has had until now belongs to
  /// the other worker from now on.
  void set_ufrag_of_other(SharedPortId port, std::string_view ufrag, WorkerNumber worker, bool is_there);
  /// The same for an endpoint, as far as `bind` would move it. No proof: the other worker has it no more.
  void set_endpoint_of_other(SharedPortId port, const Endpoint& remote, WorkerNumber worker,
                             std::optional<BindingProof> proof, Instant now) noexcept;

  /// True if the endpoint is bound at a port, to whomever.
  [[nodiscard]] bool is_bound(SharedPortId port, const Endpoint& remote) const noexcept;
  /// Endpoints that are bound at a port now, those of other workers with them.
  [[nodiscard]] std::size_t bindings(SharedPortId port) const noexcept;
  /// Transports of this worker at a port.
  [[nodiscard]] std::size_t sharers(SharedPortId port) const noexcept;

 private:
  /// Whose a ufrag or an endpoint is: a transport of this worker, or another worker.
  struct Holder {
    TransportId id;
    std::optional<WorkerNumber> worker;
    bool operator==(const Holder&) const = default;
  };
  struct Binding {
    Holder holder;
    /// The value of `uses_` when it was used last.
    std::uint64_t used = 0;
    /// When something last came from there for its holder, other than DTLS.
    Instant heard{};
    /// The strongest proof of its holder.
    BindingProof proof = BindingProof::kCheck;
    /// The worker that receives its datagrams; unset: this one.
    std::optional<WorkerNumber> receiver;
    /// True if its holder keeps it at `now`, whatever others prove.
    [[nodiscard]] bool is_in_use(Instant now) const noexcept {
      return proof == BindingProof::kAnswer && now - heard < kInUse;
    }
    /// True if it may move to another holder, who has that proof. A transport that moves takes it along from
    /// the worker that had it.
    [[nodiscard]] bool gives_way_to(BindingProof other, Instant now) const noexcept {
      if (proof == BindingProof::kCheck) return true;
      return other == BindingProof::kMove ? holder.worker.has_value() || !is_in_use(now)
                                          : other == BindingProof::kAnswer && !is_in_use(now);
    }
  };
  /// A transport at a shared port.
  struct Sharer {
    TransportId id;
    std::uint8_t local = 0;
    std::string ufrag;
    /// The ufrag from before the last ICE restart; empty if there is none.
    std::string former_ufrag;
    /// The bound endpoints, in no order.
    std::array<Endpoint, kMaxBindings> remotes;
    std::size_t bound = 0;
  };
  /// A check that a transport has sent.
  struct Check {
    stun::TransactionId transaction{};
    TransportId id;
    /// False: no check has had this place yet.
    bool is_set = false;
  };
  /// Lets a map of strings be searched by a view, without making a string.
  struct TextHash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Bindings = std::unordered_map<Endpoint, Binding>;
  struct SharedPort {
    SharedPort(SharedPortId number, PortHandle socket, std::size_t most)
        : id(number), handle(socket), max_bindings(most), checks(kChecks) {}
    /// Checks that are remembered. A later one with the same place takes it.
    static constexpr std::size_t kChecks = 4096;

    SharedPortId id;
    PortHandle handle;
    std::size_t max_bindings;
    Bindings bindings;
    std::unordered_map<std::string, Holder, TextHash, std::equal_to<>> by_ufrag;
    /// By slot of the transport.
    std::unordered_map<std::uint32_t, Sharer> sharers;
    /// By some bits of the transaction.
    std::vector<Check> checks;
    /// Ufrags in `by_ufrag` that are of other workers.
    std::size_t ufrags_of_others = 0;

    /// Null if the transport has no ufrag here.
    Sharer* sharer(TransportId id) noexcept;
    [[nodiscard]] const Sharer* sharer(TransportId id) const noexcept;
    Check& place_of(const stun::TransactionId& transaction) noexcept;
  };

  [[nodiscard]] SharedPort* shared(std::size_t number) const noexcept {
    return number < shared_.size() ? shared_[number].get() : nullptr;
  }
  Found find_sharing(std::uint64_t cookie, const Endpoint& from, Bytes datagram, Instant now) noexcept;
  /// Who has what a STUN message names: a request by its ufrag, an answer by its transaction. Nothing for
  /// anything else, and for what nobody has.
  [[nodiscard]] static std::optional<Holder> named_by(SharedPort& port, Bytes datagram) noexcept;
  /// What `find` returns for a datagram of `holder`.
  [[nodiscard]] Found reach(SharedPort& port, const Holder& holder, bool is_bound,
                            bool was_passed_on) const noexcept;
  void forget_ufrag(SharedPort& port, std::string& ufrag) noexcept;
  /// Takes a transport out.
  void leave(SharedPort& port, TransportId id) noexcept;
  /// Takes an endpoint out of the list of the transport that has it, without touching the binding.
  static void forget_remote(SharedPort& port, TransportId id, const Endpoint& remote) noexcept;
  /// Tells the worker that receives the datagrams of a binding.
  void tell_endpoint(const SharedPort& port, const Endpoint& remote, const Binding& binding,
                     bool is_here) noexcept;
  /// The binding of `sharer` with the weakest proof; of several, the one that was used longest ago. There is
  /// one.
  static Bindings::iterator weakest_of(SharedPort& port, Sharer& sharer) noexcept;
  /// Takes this binding of `sharer` out.
  Bindings::node_type take(SharedPort& port, Sharer& sharer, Bindings::iterator binding) noexcept;

  const TransportTable& transports_;
  /// Null with one worker.
  SharedPortNews* news_ = nullptr;
  /// By number; null where a port was removed.
  std::vector<std::unique_ptr<SharedPort>> shared_;
  /// Uses of all bindings so far: the order of their last use.
  std::uint64_t uses_ = 0;
};

}  // namespace ferry

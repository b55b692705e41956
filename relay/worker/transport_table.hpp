// SPDX-License-Identifier: Apache-2.0
// The transports of a worker, and what the worker keeps for each of them.
#pragma once

#include "relay/base/prefetch.hpp"
#include "relay/core/forward/transport.hpp"
#include "relay/core/latch/early_media.hpp"
#include "relay/core/offload/flow_offload.hpp"
#include "relay/core/output/output.hpp"
#include "relay/core/output/stage.hpp"
#include "relay/core/tap.hpp"
#include "relay/io/packet_buffer.hpp"
#include "relay/worker/shared_binding.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <forward_list>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {

/// A stream that the kernel forwards, as it was installed, and what the kernel had counted at the last
/// reading.
struct Offloaded {
  OffloadFlow flow;
  OffloadState seen;
  /// For each sink that gets nothing: the reason.
  std::vector<DropReason> refusals;
  /// A party that gets the stream: its transport and its media.
  struct Receiver {
    TransportId via;
    MediaId to;
    /// The numbers by which it gets the packets; nothing: those that they came by.
    std::optional<StreamShift> shift{};
    bool operator==(const Receiver&) const = default;
  };
  /// The receivers, in the order of the flow's sinks.
  std::vector<Receiver> receivers;
  /// Transports whose parties would get the stream but hear a prompt instead.
  std::vector<TransportId> hearing_prompt;
  /// Index in the offloader's list of flows.
  std::size_t place = 0;
  /// Number of the offloader's turn that read it last.
  std::uint64_t turn = 0;
};

/// Who listens to the speech of one media for digits (`ToneListeners`).
struct ToneListener {
  MediaId media;
  std::uint64_t serial = 0;
  /// Never null.
  std::unique_ptr<OutputStage> stage;
  /// When the newest event packet of the media came, and its event; unset: none did.
  Instant event_at{};
  std::uint8_t event = 0;
};

/// Most local addresses of one transport: the cookie of a port (`PortTable`) has three bits for them.
constexpr std::size_t kMaxLocals = 8;

/// What a transport waits for without a packet.
enum class DeadlineKind : std::uint8_t {
  /// Its own: handshakes, connectivity checks, key presses that end by time.
  kTransport,
  /// Packets kept from before the answer (LAT-14).
  kEarly,
  /// What its output makes: prompts, DTMF.
  kOutput,
  /// RTCP reports of the relay's own.
  kReport,
  /// Silence for a party that gets nothing else.
  kSilence,
  kCount
};

/// A transport with everything that the worker keeps for it. It moves between workers as a whole
/// (docs/architecture.md, seam 7).
struct TransportEntry {
  /// The other arguments are those of `Transport`; the ports are set afterwards.
  TransportEntry(TransportId name, std::shared_ptr<const TransportPlan> plan,
                 std::shared_ptr<TransportActivity> activity, Instant now, const Endpoint& barred)
      : id(name), state(std::move(plan), std::move(activity), now, barred) {}
  /// Its name at the worker that has it.
  TransportId id;
  Transport state;
  /// RTP and RTCP port at the first local address.
  std::array<PortHandle, 2> ports;
  /// RTP and RTCP ports at the other local addresses, from number 1 on (ICE). Empty without ICE.
  std::vector<std::array<PortHandle, 2>> more_ports;
  /// The port at a local address; a closed handle if there is none.
  [[nodiscard]] PortHandle port(LocalPort which) const noexcept {
    const auto component = static_cast<std::size_t>(which.component);
    if (which.local == 0) return ports[component];
    return which.local <= more_ports.size() ? more_ports[which.local - 1u][component] : PortHandle{};
  }
  /// True if one of its ports is shared with other transports (`PortTable`).
  bool shares_port = false;
  /// Its endpoints at shared ports, on the way from one worker to another. Empty at a worker.
  std::vector<MovedBinding> moved;
  /// How many local addresses it has.
  [[nodiscard]] std::size_t locals() const noexcept { return 1 + more_ports.size(); }
  /// The taps that see its packets. Borrowed; control detaches each before it dies.
  std::vector<PacketTap*> taps;
  /// For each component: packets kept from before the answer, or being let out since (LAT-14). Null: there
  /// are none.
  std::array<std::unique_ptr<EarlyMedia>, 2> early;
  /// A packet under probation, and its number among the worker's held packets.
  struct Held {
    PacketBuffer packet;
    std::uint64_t serial = 0;
  };
  /// Held packets, by the slots of `Transport`. Null until the first packet must be held.
  std::unique_ptr<std::array<Held, Transport::kHoldSlots>> held;
  /// Set while the kernel forwards its media. The offloader's.
  std::unique_ptr<Offloaded> offloaded;
  /// Its media is not offered to the kernel before this time.
  Instant offer_after{};
  /// Its next deadline of each kind in the worker's queue (`Deadlines`). Unset: it waits for none.
  std::array<Instant, static_cast<std::size_t>(DeadlineKind::kCount)> due{};
  [[nodiscard]] Instant& due_of(DeadlineKind kind) noexcept { return due[static_cast<std::size_t>(kind)]; }
  /// DTLS datagrams of it that wait for their turn at the worker.
  std::size_t waiting = 0;
  /// Since when its plan wants silence kept from the party (`TransportPlan::keep_alive_s`); unset: it does
  /// not.
  Instant kept_alive_since{};
  /// What the relay makes for one media of the transport's party.
  struct MediaOutput {
    MediaId media;
    Output output;
  };
  /// One for each media for which the relay has ever made anything. Most transports have none, and an empty
  /// list takes one pointer.
  std::forward_list<MediaOutput> outputs;

  /// One for each media that is listened to. Few transports have any.
  std::forward_list<ToneListener> listeners;

  /// The output of a media; null if the relay has never made anything for it.
  [[nodiscard]] Output* output_for(MediaId media) noexcept {
    const auto found = std::ranges::find(outputs, media, &MediaOutput::media);
    return found == outputs.end() ? nullptr : &found->output;
  }
  /// The same, made if there was none. Throws std::bad_alloc.
  Output& ensure_output(MediaId media) {
    if (Output* known = output_for(media)) return *known;
    return outputs.emplace_front(MediaOutput{media, {}}).output;
  }
  /// True while a prompt is played to this media of the party, which hears nobody else there meanwhile.
  [[nodiscard]] bool hears_prompt(MediaId media) const noexcept {
    return std::ranges::any_of(
        outputs, [&](const MediaOutput& each) { return each.media == media && each.output.plays_prompt(); });
  }
  /// True while a prompt whose end is an event is played to any media of the party.
  [[nodiscard]] bool tells_prompt_end() const noexcept {
    return std::ranges::any_of(outputs,
                               [](const MediaOutput& each) { return each.output.tells_prompt_end(); });
  }
};

/// Transports by slot. One worker owns it and is the only one to use it.
class TransportTable {
 public:
  /// The transport of this name; null if it is gone, also if another one has its slot now.
  [[nodiscard]] TransportEntry* find(TransportId id) const noexcept {
    TransportEntry* entry = at(id.slot);
    return entry != nullptr && entry->id == id ? entry : nullptr;
  }
  /// The transport that has the slot now; null if there is none.
  [[nodiscard]] TransportEntry* at(std::size_t slot) const noexcept {
    return slot < entries_.size() ? entries_[slot].get() : nullptr;
  }
  /// Octets at the start of an entry that every packet needs, for `prefetch`.
  static constexpr std::size_t kFetched = 256;
  /// Starts to load an entry into the cache. The slot's own place in the table must be cached already.
  void prefetch(std::size_t slot) const noexcept { prefetch_octets(at(slot), kFetched); }
  /// Puts an entry into a slot, in place of one that may be there, and gives it its name.
  void put(TransportId id, std::unique_ptr<TransportEntry> entry) {
    if (id.slot >= entries_.size()) entries_.resize(id.slot + 1);
    if (!entries_[id.slot]) ++size_;
    entry->id = id;
    entries_[id.slot] = std::move(entry);
  }
  /// Takes an entry out; null if it is not there.
  std::unique_ptr<TransportEntry> take(TransportId id) {
    if (find(id) == nullptr) return nullptr;
    --size_;
    return std::move(entries_[id.slot]);
  }
  /// Transports in the table.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Slots of the table, used or free.
  [[nodiscard]] std::size_t slots() const noexcept { return entries_.size(); }
  /// Calls `visit(entry)` for each transport, in order of the slots.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& entry : entries_) {
      if (entry) visit(*entry);
    }
  }
  /// Destroys all transports.
  void clear() noexcept {
    entries_.clear();
    size_ = 0;
  }

 private:
  std::vector<std::unique_ptr<TransportEntry>> entries_;
  std::size_t size_ = 0;
};

}  // namespace ferry

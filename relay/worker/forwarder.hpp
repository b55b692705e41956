// SPDX-License-Identifier: Apache-2.0
// The way of a received packet through one worker.
#pragma once

#include "relay/core/packet/received_packet.hpp"
#include "relay/worker/context.hpp"
#include "relay/worker/early_hellos.hpp"
#include "relay/worker/early_keeper.hpp"
#include "relay/worker/keep_alive.hpp"
#include "relay/worker/key_frames.hpp"
#include "relay/worker/offloader.hpp"
#include "relay/worker/own_packets.hpp"
#include "relay/worker/report_sender.hpp"
#include "relay/worker/send_batch.hpp"
#include "relay/worker/transport_turns.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ferry {

/// The parts of a worker that a packet meets on its way.
struct ForwarderParts {
  SendBatch& sends;
  OwnPackets& own_packets;
  TransportTurns& turns;
  EarlyKeeper& early;
  Offloader& offloader;
  KeyFrames& key_frames;
  ReportSender& reports;
  KeepAlive& keep_alive;
};

/// Takes received packets in, lets their transports judge them, and sends them to every sink. One worker owns
/// it.
class Forwarder final : public PacketIntake {
 public:
  /// Most packets that all calls of a worker together hold under probation. If there are more, the one held
  /// longest is dropped, so that held packets never take the buffers that other calls need.
  static constexpr std::size_t kMaxHeld = 512;
  /// Most packets received with one call.
  static constexpr std::size_t kMost = SendBatch::kMost;

  Forwarder(WorkerContext& context, const ForwarderParts& parts) : context_(context), parts_(parts) {}

  /// Carries a batch of received packets to its end, each one before the next. At most `kMost`.
  void take_batch(std::span<PacketBuffer> received, Instant now) noexcept;
  /// Takes in a packet that was kept before the answer.
  void take_in(TransportEntry& entry, PacketBuffer packet, Instant now) noexcept override {
    ReceivedPacket arrived = taken_in(packet, now);
    take_in(entry, std::move(packet), arrived, nullptr);
  }
  /// Takes in the first flight of DTLS that came from `remote` to a shared port before it was bound there
  /// (DTL-3). Nothing happens if it is not bound.
  void release_hellos(SharedPortId port, const Endpoint& remote, Instant now) noexcept;
  /// Drops first flights that have waited too long for that.
  void forget_old_hellos(Instant now) noexcept;

 private:
  /// Most receivers of one BUNDLE group that get each compound once. Further ones get it once for each media.
  static constexpr std::size_t kMostGroupReceivers = 32;
  /// The place of one held packet. The packet may have left its slot since; then its serial differs.
  struct HeldAt {
    TransportId id;
    std::uint8_t slot = 0;
    std::uint64_t serial = 0;
  };
  /// A packet that was accepted, on its way to the sinks. Borrowed.
  struct Accepted {
    TransportEntry& entry;
    const ReceivedPacket& arrived;
    const Verdict& verdict;
    const SourcePlan& source;
    /// Entry of its payload type, if a sink or the reporting of DTMF needs it; null otherwise.
    const PayloadEntry* payload = nullptr;
    /// What it is: RTP, RTCP, or kUnknown for another protocol that passes whole.
    DatagramClass kind = DatagramClass::kUnknown;
  };

  /// Lets a batching SRTP back end open all packets of a batch that can be opened ahead.
  void open_ahead(std::span<const PacketBuffer> received, Instant now) noexcept;
  /// What is known of a packet that begins its way now.
  [[nodiscard]] ReceivedPacket taken_in(const PacketBuffer& packet, Instant now) const noexcept;
  /// A datagram that the engine received. `packet` holds the octets of `arrived`. `opened`: what a batching
  /// back end has decrypted already, or null.
  void on_packet(PacketBuffer packet, ReceivedPacket& arrived, const SrtpOpened* opened) noexcept;
  /// Takes a datagram at a shared port that is for none of its transports. A first flight of DTLS is held;
  /// anything else is dropped and counted, in the totals alone, because there is no transport to count it
  /// for.
  void take_stranger(PacketBuffer packet, const ReceivedPacket& arrived) noexcept;
  /// Counts what `hellos_` has dropped.
  void count_dropped_hellos() noexcept;
  /// Passes a datagram at a shared port on to the worker that has its transport. `is_known`: its source is
  /// bound there. False if there is no such other worker; otherwise it was passed on, or dropped and counted.
  bool pass_on(WorkerNumber to, const PacketBuffer& packet, bool is_known) noexcept;
  /// Takes in a STUN message at the shared port with this cookie, and binds its source to `entry` if the
  /// message is authentic.
  void take_check(TransportEntry& entry, std::uint64_t cookie, PacketBuffer packet,
                  ReceivedPacket& arrived) noexcept;
  /// What a datagram turned out to be: an authentic connectivity check or an answer to one, or anything else.
  enum class Taken : std::uint8_t { kCheck, kElse };
  /// Takes in one datagram of `entry`: a handshake, or media that is decrypted and judged.
  Taken take_in(TransportEntry& entry, PacketBuffer packet, ReceivedPacket& arrived,
                const SrtpOpened* opened) noexcept;
  /// Asks the transport for a verdict on a datagram and carries it out. `packet` holds the octets of
  /// `arrived`. `depth` counts releases within releases.
  void judge(TransportEntry& entry, ReceivedPacket& arrived, PacketBuffer packet, int depth) noexcept;
  /// Sends an accepted packet to every sink of its source that may have it. Returns kNone if at least one
  /// gets it, else why the last one does not.
  DropReason forward(TransportEntry& entry, const ReceivedPacket& arrived, const Verdict& verdict,
                     PacketBuffer packet) noexcept;
  /// Counts an accepted packet and shows it to the taps.
  void count_accepted(const Accepted& accepted, Bytes datagram) noexcept;
  /// True if feedback of the party about the media can be obeyed by whom it hears there: the relay does not
  /// make that stream itself.
  [[nodiscard]] static bool feedback_means_sender(TransportEntry& entry, MediaId media) noexcept {
    const Output* output = entry.outputs.empty() ? nullptr : entry.output_for(media);
    return output == nullptr || !output->makes_media();
  }
  /// Sends it to one sink. `packet` is taken if `is_last`, copied otherwise. Returns kNone, or why the sink
  /// does not get it, which is counted.
  DropReason send_to(const Sink& sink, const Accepted& accepted, PacketBuffer& packet, bool is_last) noexcept;
  /// Makes an accepted packet anew for one sink. Returns as `send_to` does.
  DropReason make_anew(const Sink& sink, const Accepted& accepted, TransportEntry& out,
                       const Transport::NextHop& hop) noexcept;
  /// A transport that gets RTCP of a BUNDLE group.
  struct GroupReceiver {
    /// One of the sinks by which the receiver hears the group. Null only in a place that is not in use.
    const Sink* sink = nullptr;
    /// What the receiver gets.
    RtcpAudience audience;
    /// What becomes of full intra requests, which are about video, by the sinks of video. Unset = the
    /// receiver hears no video of the group, so its sink says it.
    std::optional<FullIntra> full_intra;
  };
  /// Sends an accepted RTCP compound of a BUNDLE group to everybody who hears its medias. Each transport gets
  /// it once, and only what is about its own medias. Returns as `forward` does.
  DropReason forward_group_rtcp(const Accepted& accepted, Bytes compound) noexcept;
  /// Sends one receiver its part of the compound. Returns kNone, or why the receiver gets nothing, which is
  /// counted.
  DropReason send_group_rtcp(GroupReceiver& receiver, const Accepted& accepted, Bytes compound) noexcept;
  /// Writes the MID of the sink into an RTP packet that is about to leave by `out`, if the receiver has not
  /// reported about the stream yet (BND-22).
  void tell_mid(const Sink& sink, const Accepted& accepted, TransportEntry& out,
                const PacketBuffer& packet) const noexcept;
  /// Holds a packet under probation in a slot of `entry`; the one that was there is given up.
  void hold(TransportEntry& entry, std::uint8_t slot, PacketBuffer packet) noexcept;
  /// Drops the packet held in `slot`, counted by what it waited for.
  void give_up(TransportEntry& entry, std::uint8_t slot) noexcept;

  WorkerContext& context_;
  ForwarderParts parts_;
  /// SSRC of the RTP packet that was judged last, if it was accepted; the offloader is offered its stream.
  std::optional<Ssrc> forwarded_ssrc_;
  /// A ring, indexed by serial modulo its size: where each held packet is.
  std::array<HeldAt, kMaxHeld> held_{};
  std::uint64_t next_held_ = 1;
  /// First flights at shared ports from endpoints that are bound to nobody yet.
  EarlyHellos hellos_;
  /// The packets of a batch that is opened ahead, by their index in it.
  std::array<std::optional<ReceivedPacket>, kMost> arrived_{};
  /// The results of decrypting a batch ahead, by the same index. `origin.key` 0: the packet was not opened
  /// ahead.
  std::array<SrtpOpened, kMost> opened_{};
  std::array<SrtpWork, kMost> work_{};
  /// For each item of `work_`: its index in the batch.
  std::array<std::size_t, kMost> work_of_{};
};

}  // namespace ferry

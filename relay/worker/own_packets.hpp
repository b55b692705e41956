// SPDX-License-Identifier: Apache-2.0
// The packets that one worker makes itself: prompts, DTMF, streams with another packet time or codec.
#pragma once

#include "relay/core/output/output.hpp"
#include "relay/worker/commands.hpp"
#include "relay/worker/context.hpp"
#include "relay/worker/deadlines.hpp"
#include "relay/worker/offloader.hpp"
#include "relay/worker/send_batch.hpp"
#include "relay/worker/tone_listeners.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// Drives the outputs of a worker's transports and sends what they make. One worker owns it.
class OwnPackets final : private MadeElsewhere {
 public:
  OwnPackets(WorkerContext& context, Deadlines& deadlines, SendBatch& sends, Offloader& offloader)
      : context_(context), deadlines_(deadlines), sends_(sends), offloader_(offloader), listeners_(context) {}

  /// Plays a prompt to the party of `entry`, in place of one that is being played. Throws std::bad_alloc.
  void start_prompt(TransportEntry& entry, StartPrompt& command);
  /// Stops the prompt of a media, if one is being played.
  void stop_prompt(TransportEntry& entry, const StopPrompt& command) noexcept;
  /// Sends a DTMF digit to the party of `entry`. One that finds too many waiting is dropped and counted.
  /// Throws std::bad_alloc.
  void send_digit(TransportEntry& entry, SendDigit& command);
  /// Ends the stages of receivers that get nothing converted of `entry` any more, now that `next` is about to
  /// be its plan. One that converts other sources, too, begins anew with their next packet.
  void before_plan(const TransportEntry& entry, const TransportPlan& next) noexcept;
  /// Follows a new plan of `entry`: ends the outputs of medias that the plan does not have any more, and, if
  /// the party receives under another party's key from now on, those in that party's stream (SRT-9).
  /// `was_alone`: the plan before had one media.
  void follow_plan(TransportEntry& entry, bool was_alone) noexcept;
  /// Sends an RTP packet without payload, which opens a way through the party's NAT.
  void send_probe(TransportEntry& entry, const SendProbe& command) noexcept;
  /// A packet of silence for one media of a party. Borrowed.
  struct Silence {
    MediaId media;
    PayloadType type;
    /// Clock of the type in Hz.
    std::uint32_t clock_rate_hz = 8000;
    Bytes payload;
    /// True for comfort noise (RFC 3389).
    bool is_noise = false;
  };
  /// Sends it in the stream that the party hears, or begins one. Throws std::bad_alloc.
  void send_silence(TransportEntry& entry, const Silence& silence, Instant now);
  /// What `remake` does with a packet. Borrowed.
  struct Remade {
    /// The transport that it came to, its judgement there, and itself.
    TransportEntry& from;
    const Verdict& verdict;
    const ReceivedPacket& arrived;
    /// The receiver.
    TransportEntry& out;
    const Sink& sink;
    const Transport::NextHop& hop;
    /// If the receiver is to hear silence: the octet that is silence in the packet's codec; 0 = it hears what
    /// was sent.
    std::uint8_t silence = 0;
  };
  /// Joins, splits or converts an RTP packet for its receiver, by `sink.ptime_ms` and `sink.conversion`.
  /// Where the conversion is that of a fax, a datagram of T.38 becomes sound. Returns why the party does not
  /// hear the sender; kNone also if the packet alone was lost.
  DropReason remake(const Remade& what) noexcept;
  /// Lets a packet that needs no more than other numbers go on in the receiver's stream, which has something
  /// of the relay's own in it. Nothing: it has to be made anew (`remake`). With a reason, the packet is
  /// counted and ends here.
  [[nodiscard]] std::optional<Passage> pass(const Remade& what) noexcept;
  /// Lets the source at this index of `entry` be heard by who listens for its digits, if anybody does.
  void listen(TransportEntry& entry, std::size_t source, const ReceivedPacket& packet,
              bool is_event) noexcept {
    listeners_.hear(entry, source, packet, is_event);
    await(entry, packet.at);
  }
  /// Sends what stages have made elsewhere, and returns the number of packets. The worker has stages.
  std::size_t collect_made(Instant now) noexcept;
  /// Ends the stages of `entry`, which is about to leave this worker. The streams go on where it goes: the
  /// next packet makes another stage there.
  void end_stages(TransportEntry& entry) noexcept;
  /// Sends what is due at `entry` and queues the next deadline.
  void drive(TransportEntry& entry, Instant now) noexcept;
  /// Queues the deadline of `entry`, if its output has one.
  void await(TransportEntry& entry, Instant now) noexcept;

 private:
  class FromOutput;
  /// Longest payload that is silenced on its way into a stage: that of a full Ethernet frame.
  static constexpr std::size_t kLongestSilence = 1500;
  /// Sends a packet that a stage has made elsewhere, if the stage is still wanted.
  void take(const StageOwner& owner, const MadePacket& packet) noexcept override;
  void take_datagram(const StageOwner& owner, Bytes datagram) noexcept override;
  /// Calls `place` with the output that still wants what the stage of `owner` has made, and with a sender.
  template <class Place>
  void place_collected(const StageOwner& owner, const Place& place) noexcept;
  void lose(DropReason reason, std::size_t packets) noexcept override {
    count_drops(context_.totals, reason, packets);
  }
  /// Counts what became of a packet of `what`, and queues the deadline of its receiver. Returns as `remake`.
  DropReason conclude(const Remade& what, DropReason reason) noexcept;
  /// Lets the relay make what the receiver hears, if it does not yet: with a stage where there is a
  /// conversion. Returns why that cannot be.
  [[nodiscard]] DropReason prepare(const Remade& what, Output*& output) noexcept;
  /// Where a stage is: the transport that is heard first, the receiver, and its media.
  struct StagePlace {
    TransportId from;
    TransportEntry& out;
    MediaId to;
  };
  /// Gives `output` a stage. Returns why there is none. Throws std::bad_alloc.
  [[nodiscard]] DropReason begin_stage(const StagePlace& place, Output& output);
  /// True if the output of a media has a stage, or has got one. Throws std::bad_alloc.
  [[nodiscard]] bool has_stage_for(TransportEntry& entry, MediaId media, Output& output);
  /// Takes the stage of an output away, if there is one.
  void end_stage(Output& output) noexcept;
  /// Ends the passing on of packets to a media of `out`, in the kernel, too: what follows goes on behind
  /// them.
  void stop_passing(TransportEntry& out, MediaId media, Output& output) noexcept;
  /// True if the numbers of `passage` lie far from what left last for the receiver: the sender began anew, or
  /// spoke where it was not heard. Under these numbers, a receiver of SRTP would take the packet for a
  /// replay.
  [[nodiscard]] static bool is_out_of_reach(const Remade& what, const Output& output,
                                            const Passage& passage) noexcept;
  /// Counts a packet that the receiver does not hear. Returns what `remake` does.
  DropReason count_unheard(const Remade& what, DropReason reason) noexcept;
  /// The media that a command is about: `wanted`, or the first one if that is nothing. Nothing if the
  /// transport does not carry it.
  [[nodiscard]] static std::optional<MediaId> media_of(const TransportEntry& entry,
                                                       std::optional<MediaId> wanted) noexcept;
  /// Lets the output go on behind what has left for this media until now. False if nothing has. Throws
  /// std::bad_alloc.
  bool take_over_stream(TransportEntry& entry, MediaId media, Output& output);
  /// Makes the output of a media go on with the stream that has left for it until now, or begin one with
  /// `numbers`. What its sources send then goes on in the same stream. Throws std::bad_alloc.
  void join_stream(TransportEntry& entry, MediaId media, Output& output, const FirstNumbers& numbers);
  /// When the first output of `entry` has something to send; nothing = never.
  [[nodiscard]] static std::optional<Instant> next_due(const TransportEntry& entry) noexcept;
  /// Reports that a prompt without `PromptOrder::progress` has ended.
  void tell_prompt_end(const TransportEntry& entry) noexcept;

  WorkerContext& context_;
  /// The time of `collect_made`.
  Instant collected_at_{};
  /// Stages that this worker has ever made.
  std::uint64_t made_stages_ = 0;
  Deadlines& deadlines_;
  SendBatch& sends_;
  Offloader& offloader_;
  ToneListeners listeners_;
};

/// Adds to the figures of a transport what its output has counted.
void add_output_figures(const TransportEntry& entry, TransportFigures& figures) noexcept;

}  // namespace ferry

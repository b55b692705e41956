// The packets that one worker makes itself: prompts, DTMF, streams with another packet time.
#pragma once

#include "relay/core/output/output.hpp"
#include "relay/worker/commands.hpp"
#include "relay/worker/context.hpp"
#include "relay/worker/deadlines.hpp"
#include "relay/worker/offloader.hpp"
#include "relay/worker/send_batch.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// Drives the outputs of a worker's transports and sends what they make. One worker owns it.
class OwnPackets {
 public:
  OwnPackets(WorkerContext& context, Deadlines& deadlines, SendBatch& sends, Offloader& offloader)
      : context_(context), deadlines_(deadlines), sends_(sends), offloader_(offloader) {}

  /// Plays a prompt to the party of `entry`, in place of one that is being played. Throws std::bad_alloc.
  void start_prompt(TransportEntry& entry, StartPrompt& command);
  /// Stops the prompt of a media, if one is being played.
  void stop_prompt(TransportEntry& entry, const StopPrompt& command) noexcept;
  /// Sends a DTMF digit to the party of `entry`. One that finds too many waiting is dropped and counted.
  /// Throws std::bad_alloc.
  void send_digit(TransportEntry& entry, SendDigit& command);
  /// Follows a new plan of `entry`: ends the outputs of medias that the plan does not have any more.
  /// `was_alone`: the plan before had one media.
  void follow_plan(TransportEntry& entry, bool was_alone) noexcept;
  /// Sends an RTP packet without payload, which opens a way through the party's NAT.
  void send_probe(TransportEntry& entry, const SendProbe& command) noexcept;
  /// Joins or splits the RTP packet `arrived` of `entry` for the party of `out`, which is to get
  /// `sink.ptime_ms` a packet. `verdict` is that of its judgement. Returns why the party
  /// does not hear the sender; kNone also if the packet alone was lost.
  DropReason remake(TransportEntry& entry, const Verdict& verdict, TransportEntry& out, const Sink& sink,
                    const Transport::NextHop& hop, const ReceivedPacket& arrived) noexcept;
  /// Sends what is due at `entry` and queues the next deadline.
  void drive(TransportEntry& entry, Instant now) noexcept;
  /// Queues the deadline of `entry`, if its output has one.
  void await(TransportEntry& entry, Instant now) noexcept;

 private:
  class FromOutput;
  /// The media that a command is about: `wanted`, or the first one if that is nothing. Nothing if the
  /// transport does not carry it.
  [[nodiscard]] static std::optional<MediaId> media_of(const TransportEntry& entry,
                                                       std::optional<MediaId> wanted) noexcept;
  /// Makes the output of a media go on with the stream that has left for it until now, or begin one with
  /// `numbers`. What its sources send then goes on in the same stream. Throws std::bad_alloc.
  void join_stream(TransportEntry& entry, MediaId media, Output& output, const FirstNumbers& numbers);
  /// When the first output of `entry` has something to send; nothing = never.
  [[nodiscard]] static std::optional<Instant> next_due(const TransportEntry& entry) noexcept;
  /// Reports that a prompt without `PromptOrder::progress` has ended.
  void tell_prompt_end(const TransportEntry& entry) noexcept;

  WorkerContext& context_;
  Deadlines& deadlines_;
  SendBatch& sends_;
  Offloader& offloader_;
};

/// Adds to the figures of a transport what its output has counted.
void add_output_figures(const TransportEntry& entry, TransportFigures& figures) noexcept;

}  // namespace ferry

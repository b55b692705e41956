// SPDX-License-Identifier: Apache-2.0
// What control posts to a worker, and what a worker tells control.
#pragma once

#include "relay/core/forward/transport.hpp"
#include "relay/core/output/digit.hpp"
#include "relay/core/output/prompt.hpp"
#include "relay/core/tap.hpp"
#include "relay/io/port_provider.hpp"
#include "relay/worker/transport_table.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

namespace ferry {

class Exchange;

// The commands that control posts to a worker. They take effect in the order they were posted, between two
// batches of packets; a command for a transport that is gone does nothing. Pointers to results are borrowed:
// they must stay valid until the worker has passed the fence of the command (`completed`).

/// Adds a transport and starts to receive at its ports.
struct InstallTransport {
  /// The name by which control and all later commands know it.
  TransportId id;
  /// The plan that signalling agreed on. Never null.
  std::shared_ptr<const TransportPlan> plan;
  /// The RTP and the RTCP port at the first local address; a port that is not open is not served.
  std::array<PortHandle, 2> ports;
  /// Ports at the other local addresses, which ICE has candidates for, from number 1 on (`LocalPort::local`).
  /// Empty without ICE.
  std::vector<std::array<PortHandle, 2>> more_ports;
  /// State to begin with, from an export. Null: the transport begins empty.
  std::shared_ptr<const TransportSnapshot> snapshot;
  /// Figures that the worker writes and control reads at any time without asking. Never null.
  std::shared_ptr<TransportActivity> activity;
  /// Last user of a port pair that had no time to rest: its late packets are refused (PRT-2). Unset: nobody
  /// is barred.
  Endpoint barred;
};
/// Adds a port that transports share. Every worker gets the same shared ports in the same order, each with a
/// socket of its own.
struct AddSharedPort {
  /// The socket of this worker.
  PortHandle handle;
  /// By which the workers pass on what is for others. Null if there is one worker.
  std::shared_ptr<Exchange> exchange;
  /// Becomes true if the port is served. Never null.
  bool* is_served = nullptr;
};
/// Stops to serve a shared port. No transport uses it any more.
struct RemoveSharedPort {
  PortHandle handle;
};
/// Replaces the plan of a transport; its state stays. Complete at the fence: nothing is sent by the old plan
/// any more.
struct UpdatePlan {
  TransportId id;
  std::shared_ptr<const TransportPlan> plan;
};
/// Serves the ports at one more local address of a transport (ICE).
struct AddPorts {
  TransportId id;
  std::array<PortHandle, 2> ports;
};
/// Ends a transport: its ports are detached, its flows withdrawn from the kernel, its counters final.
struct RemoveTransport {
  TransportId id;
  /// Receives the learned peer, if there was one, so that its late packets can be refused (PRT-2). Null: not
  /// wanted.
  Endpoint* last_peer = nullptr;
  /// Receives the final statistics. Null: not wanted.
  TransportFigures* figures = nullptr;
  /// Receives everything that the transport knew at the end. Null: not wanted.
  TransportSnapshot* last = nullptr;
  /// Receives the flight recorder; it becomes null if there was none. Null: not wanted.
  std::unique_ptr<FlightRing>* flight = nullptr;
};
/// Copies everything that a transport knows, as plain values.
struct ReadTransport {
  TransportId id;
  /// Receives the copy; left as it is if the transport is gone.
  TransportSnapshot* into = nullptr;
};
/// Copies what the SRTP keys of a media have received and sent (roll-over counters, replay lists), and the
/// keys.
struct ReadContexts {
  /// The contexts to read. Never null.
  std::shared_ptr<const SrtpContexts> contexts;
  SrtpContexts::State* into = nullptr;
};
/// Copies the statistics of a transport, without streams and evidence. Cheaper than `ReadTransport`.
struct ReadFigures {
  TransportId id;
  TransportFigures* into = nullptr;
};
/// Copies the flight recorder of a transport. `into` is left as it is if the transport or its recorder is not
/// there.
struct ReadFlight {
  TransportId id;
  FlightRing* into = nullptr;
};
/// Takes a transport out of this worker with all its state, to be adopted by another one. Its ports are
/// detached, but open.
struct ExtractTransport {
  TransportId id;
  /// Receives the transport; null if there was none.
  std::unique_ptr<TransportEntry>* into = nullptr;
};
/// Gives a worker a transport that was extracted from another one, under a name of this worker's table.
struct AdoptTransport {
  TransportId id;
  std::unique_ptr<TransportEntry> entry;
};
/// Lets `tap` see the packets of a transport, from the next one on. The tap is borrowed until it is detached.
struct AttachTap {
  TransportId id;
  PacketTap* tap = nullptr;
};
/// Detaches a tap. After the fence it is not called any more; it has then seen every packet that was
/// forwarded before.
struct DetachTap {
  TransportId id;
  PacketTap* tap = nullptr;
};
/// Sends one RTP packet without payload to the peer, to open a way through its NAT (NG flag `pierce-NAT`).
struct SendProbe {
  TransportId id;
  Ssrc ssrc;
  SeqNo sequence;
};
/// The first numbers of a stream of the relay's own. They are random (SSR-5), and used only if the relay has
/// sent nothing of its own to the media so far; otherwise that stream goes on (SSR-2).
struct FirstNumbers {
  Ssrc ssrc;
  SeqNo sequence;
  std::uint32_t timestamp = 0;
};
/// Plays a prompt to the party of a transport, in place of one that is being played. It starts when the
/// party's address is known.
struct StartPrompt {
  TransportId id;
  PromptOrder order;
  FirstNumbers numbers;
  /// The media of the party that hears the prompt; nothing = the first one of the plan.
  std::optional<MediaId> media{};
  /// True if the prompt goes on with the stream that the party hears, and what the party hears afterwards
  /// goes on with it, too. False: it is a stream of its own beside the others.
  bool is_one_stream = false;
};
/// Sends a DTMF digit to the party of a transport, behind those that wait, in the stream that the party
/// hears.
struct SendDigit {
  TransportId id;
  DigitOrder digit;
  FirstNumbers numbers;
  /// The media of the party that gets it.
  MediaId media;
};
/// Stops the prompt of a transport, if one is being played.
struct StopPrompt {
  TransportId id;
  /// The media of the party that hears the prompt; nothing = the first one of the plan.
  std::optional<MediaId> media{};
};
/// Reports DTMF keys that are still pressed as ended now, because the transport is about to be removed.
struct EndPresses {
  TransportId id;
};
/// Any command; `std::monostate` is none and does nothing.
using WorkerCommand = std::variant<std::monostate, InstallTransport, AddSharedPort, RemoveSharedPort,
                                   UpdatePlan, AddPorts, RemoveTransport, ReadTransport, ReadContexts,
                                   ReadFigures, ReadFlight, ExtractTransport, AdoptTransport, AttachTap,
                                   DetachTap, SendProbe, StartPrompt, StopPrompt, SendDigit, EndPresses>;

/// A notice of a worker to control. Events can get lost if control does not read them; counters never do.
struct WorkerEvent {
  TransportId id;
  TransportEvent event = TransportEvent::kForeignSource;
  /// The key press. Set for `kDtmf` only.
  DtmfEvent dtmf;
};

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// Carries out the commands of control on one worker.
#pragma once

#include "relay/core/forward/transport.hpp"
#include "relay/worker/commands.hpp"
#include "relay/worker/context.hpp"
#include "relay/worker/forwarder.hpp"

#include <memory>
#include <variant>

namespace ferry {

/// Runs commands on the worker's thread, between two batches of packets. A command that finds no memory
/// throws std::bad_alloc and has no effect.
class CommandRunner {
 public:
  CommandRunner(WorkerContext& context, const ForwarderParts& parts) : context_(context), parts_(parts) {}

  void run(WorkerCommand& command) {
    std::visit([this](auto& each) { this->execute(each); }, command);
  }

 private:
  void execute(InstallTransport& command);
  void execute(AddSharedPort& command);
  void execute(RemoveSharedPort& command);
  void execute(UpdatePlan& command);
  void execute(AddPorts& command);
  void execute(RemoveTransport& command);
  void execute(ReadTransport& command);
  static void execute(ReadContexts& command);
  void execute(ReadFigures& command);
  void execute(ReadFlight& command);
  void execute(ExtractTransport& command);
  void execute(AdoptTransport& command);
  void execute(AttachTap& command);
  void execute(DetachTap& command);
  void execute(SendProbe& command);
  void execute(StartPrompt& command);
  void execute(StopPrompt& command);
  void execute(SendDigit& command);
  void execute(EndPresses& command);
  void execute(std::monostate&) {}

  /// Puts a transport into the table, attaches its ports and queues its deadlines.
  void place(TransportId id, std::unique_ptr<TransportEntry> entry);
  /// Attaches the ports at one local address of `entry` to the engine. A port that the engine refuses is
  /// counted and reported.
  void serve(TransportEntry& entry, TransportId id, std::size_t local);
  /// Makes `entry` one of the transports of its shared ports, or takes it out, as its plan says.
  void share(TransportEntry& entry);
  /// Takes a transport out of the table and unties it from this worker. Null if it is not there.
  std::unique_ptr<TransportEntry> take(TransportId id);
  /// Statistics of `entry`, with what the kernel counted up to now.
  [[nodiscard]] TransportFigures figures_of(TransportEntry& entry);
  /// Adds what the streams of a transport lost, repeated and reordered to the totals of its local address.
  /// Once, at its end.
  void count_ended(TransportEntry& entry) noexcept;

  WorkerContext& context_;
  ForwarderParts parts_;
};

}  // namespace ferry

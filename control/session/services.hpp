// SPDX-License-Identifier: Apache-2.0
// The parts of the relay that commands may use.
#pragma once

#include <string>

namespace ferry {

class CallLimits;
class CallObservers;
class CallRecorder;
class CallRegister;
class DtlsIdentities;
class Forwarding;
class InterfaceSet;
class Lifetime;
class MediaPlane;
class PeerGuard;
class PlanSync;
class PortsDesk;
class Recordings;
class SnapshotReader;
class SoundLibrary;
class Taps;
struct SessionConfig;
struct SessionTotals;

/// Borrows everything. One object serves all commands. Control thread only.
struct Services {
  /// The settings of the daemon.
  const SessionConfig& config;
  /// Local addresses and their names.
  const InterfaceSet& interfaces;
  /// The workers.
  MediaPlane& plane;
  /// All calls.
  CallRegister& calls;
  /// Opens and closes ports.
  PortsDesk& ports;
  /// Tells the workers what changed in a call.
  PlanSync& plans;
  /// Begins and ends calls.
  Lifetime& lifetime;
  /// Says whether a new call may come in.
  CallLimits& limits;
  /// Judges the addresses that signalling names (LAT-11a).
  PeerGuard& guard;
  /// The certificate for new parties.
  DtlsIdentities& identities;
  /// Reads what the workers know of a call.
  SnapshotReader& snapshots;
  /// Everybody who is told what happens to calls.
  CallObservers& observers;
  /// Counts of all calls.
  SessionTotals& totals;
  /// The commands about recordings.
  Recordings& recordings;
  /// Gives copies of packets to whoever wants them.
  Taps& taps;
  /// Writes recordings. Null if nothing can be recorded.
  CallRecorder* recorder;
  /// Finds and encodes what is played. Null if nothing can be played.
  SoundLibrary* sounds;
  /// The session attribute that marks SDP which passed this relay (flag `loop-protect`).
  const std::string& loop_mark;
};

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// Why requests are refused: one table for replies, log lines, metrics, `rtpferryctl explain` and `doctor`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ferry {

/// Why no pair of ports could be opened. `kPortFailureRows` explains each in words.
enum class PortFailure : std::uint8_t {
  kExhausted,
  kNoFamily,
  kNoAddress,
  kNoDescriptors,
  kNoMemory,
  kRefused,
  kCount,
};
constexpr std::size_t kPortFailures = static_cast<std::size_t>(PortFailure::kCount);

/// The texts of one failure.
struct PortFailureRow {
  PortFailure failure;
  /// Label of the metric, and name in `rtpferryctl`.
  std::string_view name;
  /// What happened, for the reply.
  std::string_view text;
  /// What the operator should do.
  std::string_view advice;
};

// clang-format off
inline constexpr std::array<PortFailureRow, kPortFailures> kPortFailureRows = {{
  {PortFailure::kExhausted, "ports", "Ran out of ports", "widen port-min and port-max, or add a relay"},
  {PortFailure::kNoFamily, "family", "The interface has no address of this IP version", "give the interface one (interface=), or choose the side's IP version (address-family)"},
  {PortFailure::kNoAddress, "address", "The local address is gone from this host", "ip addr: bring the address back, or change interface= and start anew"},
  {PortFailure::kNoDescriptors, "descriptors", "No file descriptor is left for a port", "raise LimitNOFILE= of the unit and fs.file-max, or set max-sessions"},
  {PortFailure::kNoMemory, "memory", "The host has no memory left for a port", "find what takes the memory, or set max-sessions"},
  {PortFailure::kRefused, "refused", "The host refuses to open a port", "look at the kernel's log: SELinux, AppArmor, or a BPF program of the unit"},
}};
// clang-format on

/// The row of a failure.
constexpr const PortFailureRow& row_of(PortFailure failure) noexcept {
  return kPortFailureRows[static_cast<std::size_t>(failure)];
}

/// Why a request was refused. Values below `kPortFailures` are those of `PortFailure`, with its rows;
/// `kRefusalRows` explains all in words.
enum class RefusalReason : std::uint8_t {
  kDraining = kPortFailures,
  kSessions,
  kCpu,
  kLoad,
  kBandwidth,
  kMemoryLimit,
  kOverload,
  kParties,
  kSdp,
  kDeniedAddress,
  kEncryption,
  kInterface,
  kUnknownCall,
  kUnknownParty,
  kNameTaken,
  kUnsupported,
  kMessage,
  kOther,
  kCount,
};
constexpr std::size_t kRefusals = static_cast<std::size_t>(RefusalReason::kCount);

/// The reason of a request that needed ports.
constexpr RefusalReason refusal_for(PortFailure failure) noexcept {
  return static_cast<RefusalReason>(static_cast<std::uint8_t>(failure));
}

/// The texts of one reason.
struct RefusalRow {
  RefusalReason refusal{};
  /// Label of the metric, and name in JSON.
  std::string_view name;
  /// What it means. A request may have a text of its own that says more.
  std::string_view text;
  /// What the operator should do.
  std::string_view advice;
};

// clang-format off
inline constexpr std::array<RefusalRow, kRefusals> kRefusalRows = [] {
  constexpr RefusalRow kOthers[] = {
    {RefusalReason::kDraining, "draining", "The relay is about to stop", "rtpferryctl drain off takes new calls again; else let the proxy use another relay"},
    {RefusalReason::kSessions, "sessions", "Parallel session limit reached", "raise max-sessions, or add a relay"},
    {RefusalReason::kCpu, "cpu", "CPU usage limit exceeded", "look at what uses the CPU (top), raise max-cpu, or add a relay"},
    {RefusalReason::kLoad, "load", "Load limit exceeded", "look at what loads the host (top), raise max-load or max-transcoding-load, or add a relay"},
    {RefusalReason::kBandwidth, "bandwidth", "Bandwidth limit exceeded", "raise max-bandwidth, or add a relay"},
    {RefusalReason::kMemoryLimit, "memory-limit", "Memory limit exceeded", "raise the memory limit of the unit (MemoryMax=), set max-sessions, or add a relay"},
    {RefusalReason::kOverload, "overload", "Requests come faster than they are served", "look for a flood of requests in the proxy's log; else add a relay"},
    {RefusalReason::kParties, "parties", "Too many parties or sessions in one call", "look for a loop or a fork without end in the proxy's script"},
    {RefusalReason::kSdp, "sdp", "The SDP cannot be read or used", "look at the SDP in the proxy's log, and at the client that wrote it"},
    {RefusalReason::kDeniedAddress, "denied-address", "No party may be at the address that is named (LAT-11a)", "an attack, unless the party is there: an interface on loopback for parties of this host, allow-peer for networks"},
    {RefusalReason::kEncryption, "encryption", "The message does not fit the encryption that is asked for", "let both parties offer SRTP, or take srtp=require out"},
    {RefusalReason::kInterface, "interface", "The interface or local address that is named does not exist here", "correct direction= in the proxy's script or the names of interface="},
    {RefusalReason::kUnknownCall, "unknown-call", "The relay has no such call", "the call had ended (grep its Call-ID in the log), or its offer went to another relay or was refused"},
    {RefusalReason::kUnknownParty, "unknown-party", "The call has no such party or media", "compare the tags with rtpferryctl show"},
    {RefusalReason::kNameTaken, "name-taken", "A call of another protocol, or a party of another command, has this name", "let one protocol alone serve a call, and each command its own tags"},
    {RefusalReason::kUnsupported, "unsupported", "This version does not do that", "take the command or the media type out of the proxy's script"},
    {RefusalReason::kMessage, "message", "The command cannot be read, or lacks something", "look at the proxy's script and at its version"},
    {RefusalReason::kOther, "other", "The command cannot be carried out", "its text says what is missing"},
  };
  std::array<RefusalRow, kRefusals> rows{};
  std::size_t i = 0;
  for (const PortFailureRow& row : kPortFailureRows)
    rows[i++] = {refusal_for(row.failure), row.name, row.text, row.advice};
  for (const RefusalRow& row : kOthers) rows[i++] = row;
  return rows;
}();
// clang-format on

/// The row of a reason.
constexpr const RefusalRow& row_of(RefusalReason refusal) noexcept {
  return kRefusalRows[static_cast<std::size_t>(refusal)];
}

static_assert(
    [] {
      for (std::size_t i = 0; i < kPortFailures; ++i) {
        if (static_cast<std::size_t>(kPortFailureRows[i].failure) != i) return false;
      }
      for (std::size_t i = 0; i < kRefusals; ++i) {
        if (static_cast<std::size_t>(kRefusalRows[i].refusal) != i || kRefusalRows[i].name.empty())
          return false;
      }
      return true;
    }(),
    "rows are in the order of the enums");

}  // namespace ferry

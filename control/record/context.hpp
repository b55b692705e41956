// SPDX-License-Identifier: Apache-2.0
// What saving and loading a call must know beside the call itself.
#pragma once

#include "control/call/call.hpp"
#include "relay/core/srtp/srtp_contexts.hpp"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// A recording that ran when the call was saved.
struct RunningRecording {
  bool is_paused = false;
  /// Its packet files so far.
  std::vector<std::string> files;
};

/// Borrows everything that it points to.
struct RecordContext {
  /// When the call was made, on the clock of this process. Times are kept as distances from it: monotonic
  /// clocks of two processes have nothing to do with each other, and a distance stays the same as long as
  /// nothing happens.
  Instant origin{};
  /// Where references to parties and medias of the call lead.
  Call* call = nullptr;

  // For saving: what the workers of the call know.
  std::map<const LocalPorts*, TransportSnapshot> states;
  struct Contexts {
    std::shared_ptr<const SrtpContexts> contexts;
    SrtpContexts::State state;
  };
  std::deque<Contexts> contexts;  // addresses stay

  // For loading: where this relay finds what the record only names.
  const InterfaceSet* interfaces = nullptr;
  const DtlsConfig* dtls = nullptr;
  /// Null: media is restored without what its keys have received and sent.
  const SrtpBackend* srtp = nullptr;
  /// Set by loading if the call was being recorded.
  std::optional<RunningRecording> recording;
};

}  // namespace ferry

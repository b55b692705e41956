// SPDX-License-Identifier: Apache-2.0
// Says how a listener treats its connections (CTL-12).
#pragma once

#include "control/protocol/connections/connection_life.hpp"
#include "control/protocol/connections/connection_table.hpp"
#include "control/protocol/connections/tls_context.hpp"

#include <optional>
#include <string>

namespace ferry {

/// Set by the protocol that owns the listener; constant from then on, except for the certificate behind
/// `tls`.
struct ListenerRules {
  /// Name for log lines, such as `NG over TCP on 127.0.0.1:2223`.
  std::string name;
  /// Standing of every client of a Unix socket: the mode of its file decides who may connect. Unset for TCP,
  /// where the access list decides.
  std::optional<Standing> standing;
  /// Time limits of connections. By default there is no idle limit, and a request is due from its first
  /// octet.
  LifeRules life;
  /// Certificate and key. Not owned; must outlive the listener. Null = no TLS.
  const TlsContext* tls = nullptr;
};

}  // namespace ferry

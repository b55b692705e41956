// How a listener treats its connections (CTL-12).
#pragma once

#include "control/protocol/connections/connection_life.hpp"
#include "control/protocol/connections/connection_table.hpp"
#include "control/protocol/connections/tls_context.hpp"

#include <optional>
#include <string>

namespace ferry {

struct ListenerRules {
  /// For log lines: `NG over TCP on 127.0.0.1:2223`.
  std::string name;
  /// Of Unix sockets, whose files say who may connect; nothing = TCP, where the access list says it.
  std::optional<Standing> standing;
  LifeRules life;
  /// Null = in the clear. Outlives the listener.
  const TlsContext* tls = nullptr;
};

}  // namespace ferry

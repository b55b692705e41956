// SPDX-License-Identifier: Apache-2.0
// What may be shown of messages of the NG protocol.
#pragma once

#include "control/value/value.hpp"

namespace ferry::telemetry {

/// Returns the message without keys and passwords of its SDP (SRT-15) and without sounds (`blob`, `blob64`).
/// Pure.
[[nodiscard]] Dict without_secrets(const Dict& message);

}  // namespace ferry::telemetry

// SPDX-License-Identifier: Apache-2.0
// What passes of a party's RTCP to a party that gets reports of the relay's own.
#pragma once

#include "relay/base/bytes.hpp"

#include <cstddef>

namespace ferry {

/// True if a valid compound contains packets that still pass. Those are application-defined packets (APP, RFC
/// 3550 §6.7), which the relay does not understand, and with `with_feedback` those of feedback (RFC 4585
/// §6.1): only the sender of the stream can obey them. Reports, names, BYE and extended reports are about
/// streams that the receiver gets from the relay, which says all that itself.
[[nodiscard]] bool has_passing_rtcp(Bytes compound, bool with_feedback) noexcept;

/// Removes everything else from a valid compound, in place. If it began with a report, an empty receiver
/// report of the same sender stays in front, so that it becomes no reduced-size packet (RFC 5506 §3.4.2).
/// Returns the new size; 0 if nothing passes.
[[nodiscard]] std::size_t keep_passing_rtcp(MutableBytes compound, bool with_feedback) noexcept;

}  // namespace ferry

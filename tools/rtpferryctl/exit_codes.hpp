// SPDX-License-Identifier: Apache-2.0
// What rtpferryctl ends with. The manual explains the codes.
#pragma once

namespace ferry::ctl {

inline constexpr int kExitOk = 0;
/// The daemon answered with an error, or something was found to be wrong.
inline constexpr int kExitRefused = 1;
/// The command line cannot be obeyed.
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNoDaemon = 3;

}  // namespace ferry::ctl

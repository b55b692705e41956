// From which figures on a verdict says that somebody hears badly: one table for sentences, lists, alarms and
// documents (docs/operations.md). After ITU-T G.107 with the bursts of its §3.5.
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>

namespace ferry {

// Times.
inline constexpr Duration kPatience =
    std::chrono::seconds(5);  // after signalling, until nothing at all is a fault
inline constexpr Duration kRecent = std::chrono::seconds(5);         // what is older is over
inline constexpr Duration kHandshakeTime = std::chrono::seconds(5);  // of DTLS, after signalling
inline constexpr Duration kStopped = std::chrono::seconds(5);        // without RTP
inline constexpr Duration kComfortPause = std::chrono::seconds(60);  // the same after comfort noise
inline constexpr Duration kMute = std::chrono::seconds(20);  // without sound, in a stream that had some
inline constexpr std::uint64_t kSoundless = 5;  // packets listened to, before "there has never been sound"
inline constexpr Duration kSoundlessTime = std::chrono::seconds(5);
inline constexpr std::uint64_t kNoise = 20;  // one refused packet in so many is no fault
inline constexpr Duration kPauseTold =
    std::chrono::seconds(60);  // from its end: an operator asks some time later
inline constexpr double kLossyPercent = 5.0;
inline constexpr Duration kLossyJitter = std::chrono::milliseconds(50);
inline constexpr std::uint64_t kEnough = 50;  // packets, to speak of quality
inline constexpr std::uint8_t kComfortNoise = 13;
inline constexpr unsigned kFailures = 3;  // a single ICMP message is what a phone that hangs up causes

}  // namespace ferry

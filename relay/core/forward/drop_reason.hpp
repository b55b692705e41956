// Why a packet was not delivered. Every drop is counted under exactly one of these names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ferry {

enum class DropReason : std::uint8_t {
  kNone,
  kUnknownProtocol,
  kStunUnexpected,
  kDtlsUnexpected,
  kMalformedRtp,
  kMalformedRtcp,
  kMalformedUdptl,
  kTooLong,
  kRtcpNotMuxed,
  kNotRtcp,
  kUnknownPayloadType,
  kForeignSource,
  kSourceNotAllowed,
  kForbiddenSource,
  kBarredSource,
  kProbation,
  kContested,
  kRateLimited,
  kRtcpRateLimited,
  kSsrcNotAdmitted,
  kSequenceJump,
  kDirection,
  kBlocked,
  kEventBlocked,
  kNoSink,
  kNoDestination,
  kPeerUnverified,
  kLoop,
  kNoKey,
  kNotAuthentic,
  kReplayed,
  kKeyExhausted,
  kSharedKey,
  kPromptPlaying,
  kTooLate,
  kNoBuffer,
  kSendFailed,
  kCount,
};

constexpr std::size_t kDropReasons = static_cast<std::size_t>(DropReason::kCount);

/// A drop reason for people: one spelling for logs, metrics, `rtpferryctl` and documents.
struct DropReasonRow {
  DropReason reason;
  std::string_view name;
  std::string_view meaning;
};

// clang-format off
inline constexpr std::array<DropReasonRow, kDropReasons> kDropReasonRows = {{
  {DropReason::kNone, "none", "not dropped"},
  {DropReason::kUnknownProtocol, "unknown-protocol", "first octet is neither STUN, DTLS nor RTP/RTCP (DMX-1)"},
  {DropReason::kStunUnexpected, "stun-unexpected", "STUN on a stream without ICE"},
  {DropReason::kDtlsUnexpected, "dtls-unexpected", "DTLS on a stream without DTLS-SRTP"},
  {DropReason::kMalformedRtp, "malformed-rtp", "RTP header, extension or padding outside the packet (DMX-3)"},
  {DropReason::kMalformedRtcp, "malformed-rtcp", "compound RTCP packet that does not add up (RTC-1)"},
  {DropReason::kMalformedUdptl, "malformed-udptl", "UDPTL packet that does not add up"},
  {DropReason::kTooLong, "too-long", "datagram longer than the relay carries"},
  {DropReason::kRtcpNotMuxed, "rtcp-not-muxed", "RTCP on the RTP port without rtcp-mux (DMX-2)"},
  {DropReason::kNotRtcp, "not-rtcp", "something else than RTCP on the RTCP port"},
  {DropReason::kUnknownPayloadType, "unknown-payload-type", "payload type that was not negotiated (DMX-4)"},
  {DropReason::kForeignSource, "foreign-source", "source other than the locked peer (LAT-7)"},
  {DropReason::kSourceNotAllowed, "source-not-allowed", "source that the latch policy does not accept (LAT-3)"},
  {DropReason::kForbiddenSource, "forbidden-source", "source that is never learned (LAT-11)"},
  {DropReason::kBarredSource, "barred-source", "late packet of an earlier peer (PRT-2, LAT-8)"},
  {DropReason::kProbation, "probation", "source under probation that was not confirmed (LAT-5, LAT-3a)"},
  {DropReason::kContested, "contested", "several sources claim an unsignalled stream (LAT-3a)"},
  {DropReason::kRateLimited, "rate-limited", "more media than the stream may carry (LIM-1)"},
  {DropReason::kRtcpRateLimited, "rtcp-rate-limited", "more RTCP than the stream may carry (RTC-2)"},
  {DropReason::kSsrcNotAdmitted, "ssrc-not-admitted", "new SSRC that was not confirmed or is one too many (SSR-1)"},
  {DropReason::kSequenceJump, "sequence-jump", "sequence jump that was not confirmed (SSR-4)"},
  {DropReason::kDirection, "direction", "the party may not send, or the other may not receive (hold)"},
  {DropReason::kBlocked, "blocked", "media that a command blocked or silenced"},
  {DropReason::kEventBlocked, "event-blocked", "DTMF event that a command blocked"},
  {DropReason::kNoSink, "no-sink", "nobody is to receive this stream"},
  {DropReason::kNoDestination, "no-destination", "the receiver's address is not known yet"},
  {DropReason::kPeerUnverified, "peer-unverified", "the receiver has never sent anything for 10 s (LAT-12)"},
  {DropReason::kLoop, "loop", "the signalled address is a media port of this relay in a circle (LIM-5)"},
  {DropReason::kNoKey, "no-key", "protected stream without usable keys: nothing passes either way (SRT-11)"},
  {DropReason::kNotAuthentic, "not-authentic", "SRTP that does not authenticate: another key, changed on the way, or forged (SRT-2)"},
  {DropReason::kReplayed, "replayed", "SRTP packet that was there already, or is too old to tell (SRT-4)"},
  {DropReason::kKeyExhausted, "key-exhausted", "more packets or SSRCs than one key may protect (SRT-7)"},
  {DropReason::kSharedKey, "shared-key", "changed packet for a receiver that uses the sender's own key: only what came goes out under it (SRT-9)"},
  {DropReason::kPromptPlaying, "prompt-playing", "the receiver hears a prompt instead"},
  {DropReason::kTooLate, "too-late", "packet that came after its place in a repacketized stream was over"},
  {DropReason::kNoBuffer, "no-buffer", "packet buffers exhausted"},
  {DropReason::kSendFailed, "send-failed", "the kernel refused to send"},
}};
// clang-format on

constexpr std::string_view to_string(DropReason reason) noexcept {
  return kDropReasonRows[static_cast<std::size_t>(reason)].name;
}

static_assert(
    [] {
      for (std::size_t i = 0; i < kDropReasons; ++i) {
        if (static_cast<std::size_t>(kDropReasonRows[i].reason) != i) return false;
      }
      return true;
    }(),
    "rows are in the order of the enum");

/// Drops by reason. Owned by one worker; copied out for reading.
class DropCounters {
 public:
  void add(DropReason reason, std::uint32_t times = 1) noexcept {
    counts_[static_cast<std::size_t>(reason)] += times;
  }
  [[nodiscard]] std::uint32_t operator[](DropReason reason) const noexcept {
    return counts_[static_cast<std::size_t>(reason)];
  }
  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (const auto count : counts_) sum += count;
    return sum;
  }
  void set(DropReason reason, std::uint32_t value) noexcept {
    counts_[static_cast<std::size_t>(reason)] = value;
  }
  bool operator==(const DropCounters&) const = default;

 private:
  std::array<std::uint32_t, kDropReasons> counts_{};
};

}  // namespace ferry

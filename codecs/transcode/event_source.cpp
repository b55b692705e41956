// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/event_source.hpp"

#include "codecs/transcode/sample_time.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// A segment that is longer than this is followed by another one of the same press (RFC 4733 §2.5.1.3).
constexpr std::uint32_t kLongSegment = 0x8000;

/// A press whose first packet is heard has begun at most so long before, whatever it says.
constexpr Duration kMostUnheard = std::chrono::milliseconds(500);

}  // namespace

Duration EventSource::length() const noexcept {
  return std::min<Duration>(time_of(static_cast<std::int64_t>(before_ + segment_), clock_rate_hz_),
                            heard_at_ - began_at_ + kMostUnheard);
}

std::optional<EventSource::News> EventSource::hear(const RtpView& rtp, std::uint32_t clock_rate_hz,
                                                   Instant now) noexcept {
  if (rtp.payload.size() < 4) return std::nullopt;
  const std::uint8_t event = read_u8(rtp.payload, 0);
  const bool has_end = (read_u8(rtp.payload, 1) & 0x80) != 0;
  const std::uint32_t duration = read_u16(rtp.payload, 2);
  News news;
  const bool is_same_stream = is_known_ && rtp.ssrc == ssrc_;
  if (!is_same_stream || rtp.timestamp != timestamp_) {
    // An older press, whose packets come late.
    const auto step = static_cast<std::int32_t>(rtp.timestamp - timestamp_);
    if (is_same_stream && step < 0) return std::nullopt;
    // The next segment begins where the one before ended.
    const bool goes_on = is_same_stream && is_open_ && event == event_ && segment_ >= kLongSegment &&
                         static_cast<std::uint32_t>(step) <= 0x1'0000;
    if (goes_on) {
      before_ += static_cast<std::uint32_t>(step);
    } else {
      news.ends_former = is_open_;
      news.begins = true;
      before_ = 0;
      began_at_ = now;
    }
    segment_ = 0;
    is_known_ = is_open_ = true;
    ssrc_ = rtp.ssrc;
    timestamp_ = rtp.timestamp;
    event_ = event;
    volume_ = read_u8(rtp.payload, 1) & 0x3f;
    clock_rate_hz_ = clock_rate_hz;
  } else if (!is_open_) {
    return std::nullopt;  // a copy of its end, or a packet that came late
  }
  heard_at_ = now;
  const bool is_longer = duration > segment_;
  segment_ = std::max(segment_, duration);
  if (!is_longer && !has_end && !news.begins) return std::nullopt;
  news.ends = has_end;
  if (has_end) is_open_ = false;
  news.event = event_;
  news.volume = volume_;
  news.length = length();
  return news;
}

std::optional<EventSource::News> EventSource::expire(Instant now) noexcept {
  if (!is_open_ || now - heard_at_ < kNoUpdate) return std::nullopt;
  is_open_ = false;
  return News{false, false, true, event_, volume_, length()};
}

}  // namespace ferry

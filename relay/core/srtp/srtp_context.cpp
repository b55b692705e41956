#include "relay/core/srtp/srtp_context.hpp"

#include "relay/base/random.hpp"

#include <algorithm>
#include <array>
#include <memory>

namespace ferry {

namespace {

constexpr std::size_t kRtpHeader = 12;
constexpr std::size_t kRtcpHeader = 8;

/// The likeliest index of the next packet; a stream that is new begins at a roll-over counter of 0.
std::int64_t guess_index(const SrtpStream* stream, SeqNo sequence) noexcept {
  if (stream == nullptr || !stream->rtp.started()) return sequence.value;
  return estimate_index(stream->rtp.highest(), sequence);
}

/// The indices that a received packet may have, the likeliest first; negative ones are none. Of a known
/// stream the neighbours are tried too (SRT-3), of a new one those of the stream under the key before.
using Guesses = std::array<std::int64_t, 4>;
Guesses guesses_of(const SrtpStream* stream, SeqNo sequence, std::optional<std::uint64_t> former) noexcept {
  const std::int64_t guess = guess_index(stream, sequence);
  if (stream != nullptr && stream->rtp.started()) return {guess, guess - 65536, guess + 65536, -1};
  if (!former) return {guess, -1, -1, -1};
  const std::int64_t onward = estimate_index(*former, sequence);
  Guesses guesses = {guess, onward, onward - 65536, onward + 65536};
  // No index is tried twice.
  for (std::size_t i = 1; i < guesses.size(); ++i) {
    if (guesses[i] == guess) guesses[i] = -1;
  }
  return guesses;
}

}  // namespace

std::size_t srtp_header_size(Bytes packet) noexcept {
  if (packet.size() < kRtpHeader) return 0;
  const std::uint8_t first = read_u8(packet, 0);
  if (first >> 6 != 2) return 0;
  std::size_t size = kRtpHeader + std::size_t{4} * (first & 15);
  if ((first & 0x10) != 0) {
    if (size + 4 > packet.size()) return 0;
    size += 4 + std::size_t{4} * read_u16(packet, size + 2);
  }
  return size <= packet.size() ? size : 0;
}

void SrtpReceiver::restore(const State& state, StateAge age) {
  streams_.restore({state.streams, state.past}, age == StateAge::kEarlier);
}

SrtpResult SrtpReceiver::open_rtp(MutableBytes packet, std::size_t& size,
                                  std::optional<std::uint64_t> former) noexcept {
  const std::size_t header = srtp_header_size(packet);
  if (header == 0) return SrtpResult::kMalformed;
  const Ssrc ssrc{read_u32(packet, 8)};
  const SeqNo sequence{read_u16(packet, 2)};
  std::optional<SrtpStream> past;
  const SrtpStream* known = streams_.look(ssrc, past);
  if (known == nullptr && streams_.is_forgotten(ssrc)) return SrtpResult::kForgotten;
  const Guesses guesses = guesses_of(known, sequence, former);
  SrtpResult result = SrtpResult::kNotAuthentic;
  for (std::size_t i = 0; i < guesses.size(); ++i) {
    if (guesses[i] < 0) continue;
    const auto index = static_cast<std::uint64_t>(guesses[i]);
    if (known != nullptr && known->rtp.check(index) != ReplayWindow::Answer::kNew) {
      // The likeliest index was there: no reason to look for another meaning of the packet.
      if (i == 0) return SrtpResult::kReplayed;
      continue;
    }
    if (!cipher_->open_rtp(packet, size, header, ssrc, index)) continue;
    SrtpStream* stream = streams_.use(ssrc);
    if (stream == nullptr) return SrtpResult::kNoMemory;
    stream->rtp.accept(index);
    opened_index_ = index;
    result = SrtpResult::kOk;
    break;
  }
  return result;
}

bool SrtpReceiver::is_authentic_rtp(MutableBytes packet) const noexcept {
  const std::size_t header = srtp_header_size(packet);
  if (header == 0) return false;
  const Ssrc ssrc{read_u32(packet, 8)};
  std::optional<SrtpStream> past;
  const std::int64_t index = guess_index(streams_.look(ssrc, past), SeqNo{read_u16(packet, 2)});
  std::size_t size = packet.size();
  return index >= 0 && cipher_->open_rtp(packet, size, header, ssrc, static_cast<std::uint64_t>(index));
}

bool SrtpReceiver::is_authentic_rtcp(MutableBytes packet) const noexcept {
  std::uint32_t index = 0;
  if (packet.size() < kRtcpHeader || !cipher_->rtcp_index(packet, index)) return false;
  std::size_t size = packet.size();
  return cipher_->open_rtcp(packet, size, Ssrc{read_u32(packet, 4)});
}

std::optional<SrtpReceiver::RollOver> SrtpReceiver::find_roll_over(Bytes packet) const {
  constexpr std::int64_t kFirst = 8;  // counters from 0, and so far from the expected one
  constexpr std::int64_t kAround = 4;
  constexpr std::size_t kLongest = 2048;  // no packet of sound is longer
  const std::size_t header = srtp_header_size(packet);
  if (header == 0 || packet.size() > kLongest) return std::nullopt;
  const Ssrc ssrc{read_u32(packet, 8)};
  const SeqNo sequence{read_u16(packet, 2)};
  std::optional<SrtpStream> past;
  const std::int64_t expected =
      std::max<std::int64_t>(0, guess_index(streams_.look(ssrc, past), sequence)) >> 16;
  std::array<std::byte, kLongest> copy;
  for (std::int64_t used = 0; used <= expected + kAround || used < kFirst; ++used) {
    if (used == kFirst && expected - kAround > used) used = expected - kAround;
    if (used == expected) continue;
    std::ranges::copy(packet, copy.begin());  // opening writes
    std::size_t size = 0;
    const auto index = static_cast<std::uint64_t>(used << 16 | sequence.value);
    if (cipher_->open_rtp(MutableBytes(copy).first(packet.size()), size, header, ssrc, index))
      return RollOver{static_cast<std::uint32_t>(expected), static_cast<std::uint32_t>(used)};
  }
  return std::nullopt;
}

bool SrtpReceiver::prepare_rtp(MutableBytes packet, SrtpWork& work) const noexcept {
  const std::size_t header = srtp_header_size(packet);
  if (header == 0) return false;
  const Ssrc ssrc{read_u32(packet, 8)};
  const SeqNo sequence{read_u16(packet, 2)};
  std::optional<SrtpStream> past;
  const SrtpStream* known = streams_.look(ssrc, past);
  const std::int64_t guess = guess_index(known, sequence);
  if (guess < 0 || (known == nullptr && streams_.is_forgotten(ssrc))) return false;
  const auto index = static_cast<std::uint64_t>(guess);
  if (known != nullptr && known->rtp.check(index) != ReplayWindow::Answer::kNew) return false;
  work = {cipher_.get(), packet, packet.size(), header, ssrc, index, false};
  return true;
}

SrtpResult SrtpReceiver::accept_rtp(Ssrc ssrc, std::uint64_t index) noexcept {
  std::optional<SrtpStream> past;
  const SrtpStream* known = streams_.look(ssrc, past);
  if (known == nullptr && streams_.is_forgotten(ssrc)) return SrtpResult::kForgotten;
  if (known != nullptr && known->rtp.check(index) != ReplayWindow::Answer::kNew) return SrtpResult::kReplayed;
  SrtpStream* stream = streams_.use(ssrc);
  if (stream == nullptr) return SrtpResult::kNoMemory;
  stream->rtp.accept(index);
  opened_index_ = index;
  return SrtpResult::kOk;
}

SrtpResult SrtpReceiver::open_rtcp(MutableBytes packet, std::size_t& size) noexcept {
  std::uint32_t index = 0;
  if (packet.size() < kRtcpHeader || !cipher_->rtcp_index(packet, index)) return SrtpResult::kMalformed;
  const Ssrc ssrc{read_u32(packet, 4)};
  std::optional<SrtpStream> past;
  const SrtpStream* known = streams_.look(ssrc, past);
  if (known == nullptr && streams_.is_forgotten(ssrc)) return SrtpResult::kForgotten;
  if (known != nullptr && known->rtcp.check(index) != ReplayWindow::Answer::kNew)
    return SrtpResult::kReplayed;
  if (!cipher_->open_rtcp(packet, size, ssrc)) return SrtpResult::kNotAuthentic;
  SrtpStream* stream = streams_.use(ssrc);
  if (stream == nullptr) return SrtpResult::kNoMemory;
  stream->rtcp.accept(index);
  opened_index_ = index;
  return SrtpResult::kOk;
}

std::optional<std::uint64_t> SrtpReceiver::newest_index(Ssrc ssrc) const noexcept {
  std::optional<SrtpStream> past;
  const SrtpStream* known = streams_.look(ssrc, past);
  if (known == nullptr || !known->rtp.started()) return std::nullopt;
  return known->rtp.highest();
}

std::uint64_t SrtpReceiver::highest_index(Ssrc ssrc) const noexcept { return newest_index(ssrc).value_or(0); }

SrtpResult SrtpSender::refusal(Ssrc ssrc, const SrtpStream* known, bool is_relayed) const noexcept {
  if (known == nullptr) return streams_.is_forgotten(ssrc) ? SrtpResult::kForgotten : SrtpResult::kOk;
  if (known->is_closed) return SrtpResult::kForgotten;
  return known->is_relayed == is_relayed ? SrtpResult::kOk : SrtpResult::kReplayed;
}

bool SrtpSender::was_sent_to_others(Ssrc ssrc, std::uint64_t index) const noexcept {
  return std::ranges::any_of(with_same_key_, [&](const auto& each) {
    const auto other = each.lock();
    return other && other->has_sent(ssrc, index);
  });
}

SrtpSender::Standing SrtpSender::standing(Ssrc ssrc, SeqNo sequence, std::uint32_t timestamp) const noexcept {
  std::optional<SrtpStream> past;
  const SrtpStream* known = streams_.look(ssrc, past);
  const SrtpResult refused = refusal(ssrc, known, false);
  if (refused != SrtpResult::kOk)
    return refused == SrtpResult::kForgotten ? Standing::kForgotten : Standing::kBehind;
  const std::int64_t guess = guess_index(known, sequence);
  if (guess < 0) return Standing::kBehind;
  const auto index = static_cast<std::uint64_t>(guess);
  if (was_sent_to_others(ssrc, index)) return Standing::kBehind;
  if (known == nullptr || !known->rtp.started()) return Standing::kNew;
  if (index > known->rtp.highest())
    return known->first == known->rtp.highest() ? Standing::kSecond : Standing::kNew;
  switch (known->rtp.check(index)) {
    case ReplayWindow::Answer::kNew:
      return Standing::kLate;
    case ReplayWindow::Answer::kTooOld:
      return Standing::kBehind;
    case ReplayWindow::Answer::kSeen:
      break;
  }
  // The time stamps of a sender that steps back go on; a copy has the time stamp of its original.
  return static_cast<std::int32_t>(timestamp - known->timestamp) > 0 ? Standing::kBehind : Standing::kCopy;
}

std::optional<Ssrc> SrtpSender::unused_ssrc() const {
  constexpr int kTries = 16;  // after a million SSRCs the set of those forgotten contains every other one
  for (int i = 0; i < kTries; ++i) {
    const Ssrc ssrc{static_cast<std::uint32_t>(random_u64())};
    const bool is_used = knows(ssrc) || std::ranges::any_of(with_same_key_, [&](const auto& each) {
                           const auto other = each.lock();
                           return other && other->knows(ssrc);
                         });
    if (!is_used) return ssrc;
  }
  return std::nullopt;
}

SrtpResult SrtpSender::prepare_rtp(MutableBytes space, std::size_t size, std::optional<std::uint64_t> index,
                                   SrtpWork& work) noexcept {
  const std::size_t header = srtp_header_size(space.first(size));
  if (header == 0) return SrtpResult::kMalformed;
  const Ssrc ssrc{read_u32(space, 8)};
  std::optional<SrtpStream> past;
  const SrtpStream* known = streams_.look(ssrc, past);
  const bool is_relayed = index.has_value();
  const SrtpResult refused = refusal(ssrc, known, is_relayed);
  if (refused != SrtpResult::kOk) return refused;
  if (!index) {
    const std::int64_t guess = guess_index(known, SeqNo{read_u16(space, 2)});
    if (guess < 0) return SrtpResult::kReplayed;
    index = static_cast<std::uint64_t>(guess);
    if (was_sent_to_others(ssrc, *index)) return SrtpResult::kReplayed;
  }
  if (known != nullptr && known->rtp.check(*index) != ReplayWindow::Answer::kNew)
    return SrtpResult::kReplayed;
  if (*index > kMaxRtpIndex) return SrtpResult::kKeyExhausted;
  if (size + cipher_->rtp_overhead() > space.size()) return SrtpResult::kNoRoom;
  SrtpStream* stream = streams_.use(ssrc);
  if (stream == nullptr) return SrtpResult::kNoMemory;
  stream->is_relayed = is_relayed;
  stream->first = stream->rtp.started() ? std::min(stream->first, *index) : *index;
  if (!stream->rtp.started() || *index > stream->rtp.highest()) stream->timestamp = read_u32(space, 4);
  stream->rtp.accept(*index);
  wears_out_ |= *index > kMaxRtpIndex / 10 * 9;
  work = {cipher_.get(), space, size, header, ssrc, *index, false};
  return SrtpResult::kOk;
}

SrtpResult SrtpSender::seal(const SrtpWork& work, std::size_t& size) noexcept {
  // Room there is; whoever cannot encrypt must not send.
  return cipher_->seal_rtp(work.space, size, work.header, work.ssrc, work.index) ? SrtpResult::kOk
                                                                                 : SrtpResult::kNoRoom;
}

SrtpResult SrtpSender::seal_rtp(MutableBytes space, std::size_t& size) noexcept {
  SrtpWork work;
  const SrtpResult result = prepare_rtp(space, size, std::nullopt, work);
  return result == SrtpResult::kOk ? seal(work, size) : result;
}

SrtpResult SrtpSender::seal_rtp_as(MutableBytes space, std::size_t& size, std::uint64_t index) noexcept {
  SrtpWork work;
  const SrtpResult result = prepare_rtp(space, size, index, work);
  return result == SrtpResult::kOk ? seal(work, size) : result;
}

SrtpResult SrtpSender::seal_rtcp(MutableBytes space, std::size_t& size) noexcept {
  if (size < kRtcpHeader) return SrtpResult::kMalformed;
  if (next_rtcp_ >= rtcp_end_) return SrtpResult::kKeyExhausted;
  const Ssrc ssrc{read_u32(space, 4)};
  std::optional<SrtpStream> past;
  if (const SrtpStream* known = streams_.look(ssrc, past); known != nullptr && known->is_relayed)
    return SrtpResult::kReplayed;
  if (!cipher_->seal_rtcp(space, size, ssrc, next_rtcp_)) return SrtpResult::kNoRoom;
  wears_out_ |= next_rtcp_ > kMaxRtcpIndex / 10 * 9;
  ++next_rtcp_;
  return SrtpResult::kOk;
}

SrtpResult SrtpSender::seal_rtcp_as(MutableBytes space, std::size_t& size, std::uint32_t index) noexcept {
  if (size < kRtcpHeader) return SrtpResult::kMalformed;
  if (index > kMaxRtcpIndex) return SrtpResult::kKeyExhausted;
  const Ssrc ssrc{read_u32(space, 4)};
  std::optional<SrtpStream> past;
  const SrtpStream* known = streams_.look(ssrc, past);
  const SrtpResult refused = refusal(ssrc, known, true);
  if (refused != SrtpResult::kOk) return refused;
  if (known != nullptr && known->rtcp.check(index) != ReplayWindow::Answer::kNew)
    return SrtpResult::kReplayed;
  if (!cipher_->seal_rtcp(space, size, ssrc, index)) return SrtpResult::kNoRoom;
  SrtpStream* stream = streams_.use(ssrc);
  if (stream == nullptr) return SrtpResult::kNoMemory;
  stream->is_relayed = true;
  stream->rtcp.accept(index);
  wears_out_ |= index > kMaxRtcpIndex / 10 * 9;
  return SrtpResult::kOk;
}

bool SrtpSender::has_sent(Ssrc ssrc, std::uint64_t index) const noexcept {
  std::optional<SrtpStream> past;
  const SrtpStream* known = streams_.look(ssrc, past);
  if (known == nullptr) return streams_.is_forgotten(ssrc);
  return !known->is_relayed && known->rtp.started() && index >= known->first && index <= known->rtp.highest();
}

void SrtpSender::begin_rtcp_behind(SrtpSender& other) noexcept {
  const auto end_of_share = [](std::uint32_t index) {
    return std::min(index / kShare * kShare + kShare, kMaxRtcpIndex + 1);
  };
  other.rtcp_end_ = std::min(other.rtcp_end_, end_of_share(other.next_rtcp_));
  next_rtcp_ = std::max(next_rtcp_, other.rtcp_end_);
  rtcp_end_ = end_of_share(next_rtcp_);
}

void SrtpSender::restore(const State& state, StateAge age) {
  streams_.restore({state.streams, state.past}, age == StateAge::kEarlier);
  rtcp_end_ = std::min(state.rtcp_end, kMaxRtcpIndex + 1);
  next_rtcp_ = std::min(state.next_rtcp, rtcp_end_);
  if (age == StateAge::kEarlier) next_rtcp_ = std::min(next_rtcp_ + kSkip, rtcp_end_);
}

}  // namespace ferry

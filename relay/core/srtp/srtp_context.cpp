#include "relay/core/srtp/srtp_context.hpp"

#include <algorithm>
#include <array>
#include <memory>

namespace ferry {

namespace {

constexpr std::size_t kRtpHeader = 12;
constexpr std::size_t kRtcpHeader = 8;

template <class Streams>
auto* find_in(Streams& streams, Ssrc ssrc) noexcept {
  const auto found = std::ranges::find(streams, ssrc, &SrtpStream::ssrc);
  return found == streams.end() ? nullptr : std::to_address(found);
}

/// The likeliest index of the next packet; a stream that is new begins at a roll-over counter of 0.
std::int64_t guess_index(const SrtpStream* stream, SeqNo sequence) noexcept {
  if (stream == nullptr || !stream->rtp.started()) return sequence.value;
  return estimate_index(stream->rtp.highest(), sequence);
}

void expect_gap(SrtpStream& stream) noexcept {
  stream.rtp.expect_gap();
  stream.rtcp.expect_gap();
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

const SrtpStream* SrtpReceiver::find(Ssrc ssrc) const noexcept { return find_in(streams_, ssrc); }

SrtpStream& SrtpReceiver::stream_of(Ssrc ssrc) {
  if (SrtpStream* known = find_in(streams_, ssrc)) return *known;
  SrtpStream& made = streams_.emplace_back(SrtpStream{ssrc, ReplayWindow(window_), ReplayWindow(128)});
  if (has_gap_) expect_gap(made);
  return made;
}

void SrtpReceiver::restore(const State& state, StateAge age) {
  has_gap_ = age == StateAge::kEarlier;
  streams_ = state.streams;
  if (has_gap_) std::ranges::for_each(streams_, expect_gap);
}

SrtpResult SrtpReceiver::open_rtp(MutableBytes packet, std::size_t& size) noexcept {
  const std::size_t header = srtp_header_size(packet);
  if (header == 0) return SrtpResult::kMalformed;
  const Ssrc ssrc{read_u32(packet, 8)};
  const SeqNo sequence{read_u16(packet, 2)};
  const SrtpStream* known = find(ssrc);
  if (known == nullptr && streams_.size() >= kMaxSsrcs) return SrtpResult::kTooManySsrcs;
  const bool started = known != nullptr && known->rtp.started();
  const std::int64_t guess = guess_index(known, sequence);
  // Of a known stream the neighbours are tried too (SRT-3).
  const std::array<std::int64_t, 3> guesses = {guess, guess - 65536, guess + 65536};
  SrtpResult result = SrtpResult::kNotAuthentic;
  for (std::size_t i = 0; i < (started ? guesses.size() : 1); ++i) {
    if (guesses[i] < 0) continue;
    const auto index = static_cast<std::uint64_t>(guesses[i]);
    if (started && known->rtp.check(index) != ReplayWindow::Answer::kNew) {
      // The likeliest index was there: no reason to look for another meaning of the packet.
      if (i == 0) return SrtpResult::kReplayed;
      continue;
    }
    if (!cipher_->open_rtp(packet, size, header, ssrc, index)) continue;
    stream_of(ssrc).rtp.accept(index);
    opened_index_ = index;
    result = SrtpResult::kOk;
    break;
  }
  return result;
}

std::optional<SrtpReceiver::RollOver> SrtpReceiver::find_roll_over(Bytes packet) const {
  constexpr std::int64_t kFirst = 8;  // counters from 0, and so far from the expected one
  constexpr std::int64_t kAround = 4;
  const std::size_t header = srtp_header_size(packet);
  if (header == 0) return std::nullopt;
  const Ssrc ssrc{read_u32(packet, 8)};
  const SeqNo sequence{read_u16(packet, 2)};
  const std::int64_t expected = std::max<std::int64_t>(0, guess_index(find(ssrc), sequence)) >> 16;
  std::vector<std::byte> copy;
  for (std::int64_t used = 0; used <= expected + kAround || used < kFirst; ++used) {
    if (used == kFirst && expected - kAround > used) used = expected - kAround;
    if (used == expected) continue;
    copy.assign(packet.begin(), packet.end());  // opening writes
    std::size_t size = 0;
    const auto index = static_cast<std::uint64_t>(used << 16 | sequence.value);
    if (cipher_->open_rtp(copy, size, header, ssrc, index))
      return RollOver{static_cast<std::uint32_t>(expected), static_cast<std::uint32_t>(used)};
  }
  return std::nullopt;
}

bool SrtpReceiver::prepare_rtp(MutableBytes packet, SrtpWork& work) const noexcept {
  const std::size_t header = srtp_header_size(packet);
  if (header == 0) return false;
  const Ssrc ssrc{read_u32(packet, 8)};
  const SeqNo sequence{read_u16(packet, 2)};
  const SrtpStream* known = find(ssrc);
  const std::int64_t guess = guess_index(known, sequence);
  if (guess < 0 || (known == nullptr && streams_.size() >= kMaxSsrcs)) return false;
  const auto index = static_cast<std::uint64_t>(guess);
  if (known != nullptr && known->rtp.check(index) != ReplayWindow::Answer::kNew) return false;
  work = {cipher_.get(), packet, packet.size(), header, ssrc, index, false};
  return true;
}

SrtpResult SrtpReceiver::accept_rtp(Ssrc ssrc, std::uint64_t index) noexcept {
  if (find(ssrc) == nullptr && streams_.size() >= kMaxSsrcs) return SrtpResult::kTooManySsrcs;
  ReplayWindow& window = stream_of(ssrc).rtp;
  if (window.check(index) != ReplayWindow::Answer::kNew) return SrtpResult::kReplayed;
  window.accept(index);
  opened_index_ = index;
  return SrtpResult::kOk;
}

SrtpResult SrtpReceiver::open_rtcp(MutableBytes packet, std::size_t& size) noexcept {
  std::uint32_t index = 0;
  if (packet.size() < kRtcpHeader || !cipher_->rtcp_index(packet, index)) return SrtpResult::kMalformed;
  const Ssrc ssrc{read_u32(packet, 4)};
  const SrtpStream* known = find(ssrc);
  if (known == nullptr && streams_.size() >= kMaxSsrcs) return SrtpResult::kTooManySsrcs;
  if (known != nullptr && known->rtcp.check(index) != ReplayWindow::Answer::kNew)
    return SrtpResult::kReplayed;
  if (!cipher_->open_rtcp(packet, size, ssrc)) return SrtpResult::kNotAuthentic;
  stream_of(ssrc).rtcp.accept(index);
  opened_index_ = index;
  return SrtpResult::kOk;
}

std::uint64_t SrtpReceiver::highest_index(Ssrc ssrc) const noexcept {
  const auto found = std::ranges::find(streams_, ssrc, &SrtpStream::ssrc);
  return found == streams_.end() ? 0 : found->rtp.highest();
}

bool SrtpSender::knows(Ssrc ssrc) const noexcept { return find_in(streams_, ssrc) != nullptr; }

SrtpStream* SrtpSender::stream_of(Ssrc ssrc, bool is_relayed, SrtpResult& why) {
  SrtpStream* known = find_in(streams_, ssrc);
  if (known == nullptr) {
    why = SrtpResult::kTooManySsrcs;
    if (streams_.size() >= SrtpReceiver::kMaxSsrcs) return nullptr;
    known = &streams_.emplace_back(SrtpStream{ssrc, ReplayWindow(window_), ReplayWindow(128), is_relayed});
    if (has_gap_) expect_gap(*known);
  }
  why = SrtpResult::kReplayed;
  return known->is_relayed == is_relayed ? known : nullptr;
}

SrtpResult SrtpSender::prepare_rtp(MutableBytes space, std::size_t size, std::optional<std::uint64_t> index,
                                   SrtpWork& work) noexcept {
  const std::size_t header = srtp_header_size(space.first(size));
  if (header == 0) return SrtpResult::kMalformed;
  const Ssrc ssrc{read_u32(space, 8)};
  SrtpResult why{};
  SrtpStream* stream = stream_of(ssrc, index.has_value(), why);
  if (stream == nullptr) return why;
  if (!index) {
    const std::int64_t guess = guess_index(stream, SeqNo{read_u16(space, 2)});
    if (guess < 0) return SrtpResult::kReplayed;
    index = static_cast<std::uint64_t>(guess);
    for (const auto& other : with_same_key_) {
      const auto sender = other.lock();
      if (sender && sender->has_sent(ssrc, *index)) return SrtpResult::kReplayed;
    }
  }
  if (stream->rtp.check(*index) != ReplayWindow::Answer::kNew) return SrtpResult::kReplayed;
  if (*index > kMaxRtpIndex) return SrtpResult::kKeyExhausted;
  if (size + cipher_->rtp_overhead() > space.size()) return SrtpResult::kNoRoom;
  stream->first = stream->rtp.started() ? std::min(stream->first, *index) : *index;
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
  if (const SrtpStream* known = find_in(streams_, ssrc); known != nullptr && known->is_relayed)
    return SrtpResult::kReplayed;
  if (!cipher_->seal_rtcp(space, size, ssrc, next_rtcp_)) return SrtpResult::kNoRoom;
  wears_out_ |= next_rtcp_ > kMaxRtcpIndex / 10 * 9;
  ++next_rtcp_;
  return SrtpResult::kOk;
}

SrtpResult SrtpSender::seal_rtcp_as(MutableBytes space, std::size_t& size, std::uint32_t index) noexcept {
  if (size < kRtcpHeader) return SrtpResult::kMalformed;
  if (index > kMaxRtcpIndex) return SrtpResult::kKeyExhausted;
  SrtpResult why{};
  SrtpStream* stream = stream_of(Ssrc{read_u32(space, 4)}, true, why);
  if (stream == nullptr) return why;
  if (stream->rtcp.check(index) != ReplayWindow::Answer::kNew) return SrtpResult::kReplayed;
  if (!cipher_->seal_rtcp(space, size, stream->ssrc, index)) return SrtpResult::kNoRoom;
  stream->rtcp.accept(index);
  wears_out_ |= index > kMaxRtcpIndex / 10 * 9;
  return SrtpResult::kOk;
}

bool SrtpSender::has_sent(Ssrc ssrc, std::uint64_t index) const noexcept {
  const SrtpStream* known = find_in(streams_, ssrc);
  return known != nullptr && !known->is_relayed && known->rtp.started() && index >= known->first &&
         index <= known->rtp.highest();
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
  has_gap_ = age == StateAge::kEarlier;
  streams_ = state.streams;
  rtcp_end_ = std::min(state.rtcp_end, kMaxRtcpIndex + 1);
  next_rtcp_ = std::min(state.next_rtcp, rtcp_end_);
  if (!has_gap_) return;
  std::ranges::for_each(streams_, expect_gap);
  next_rtcp_ = std::min(next_rtcp_ + kSkip, rtcp_end_);
}

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// How indices work.
//
// An SRTP packet does not carry its index, only the lower 16 bits of it (the sequence number). Both sides
// count the roll-overs. A receiver guesses the index from the highest one so far; if the tag does not fit, it
// tries the neighbouring roll-over counters as well, because a long loss or a restart may have hidden a
// roll-over (SRT-3). An SRTCP packet carries its index of 31 bits.
//
// Receiving: check the replay list, check the tag, and only then change anything (SRT-2). A guess that is
// already in the replay list ends the search, as a copy must not get a second meaning.
//
// Sending: the sequence number of the source makes the index, so that the receiver can follow. An index is
// marked as used before the packet is encrypted, and whatever was marked or may have been used is refused
// (SRT-9). For AES-GCM a repeated index gives the key stream away.
//
// The trap: in a forked call several senders have the same key. `was_sent_to_others` asks the other senders,
// and `begin_rtcp_behind` splits the SRTCP indices between them.
#include "relay/core/srtp/srtp_context.hpp"

#include "relay/base/random.hpp"

#include <algorithm>
#include <array>
#include <memory>

namespace ferry {

namespace {

constexpr std::size_t kRtpHeader = 12;
constexpr std::size_t kRtcpHeader = 8;

/// The likeliest index of a packet. A stream that is new begins at a roll-over counter of 0.
std::int64_t guess_index(const SrtpStream* stream, SeqNo sequence) noexcept {
  if (stream == nullptr || !stream->rtp.started()) return sequence.value;
  return estimate_index(stream->rtp.highest(), sequence);
}

/// The indices that a received packet may have, the likeliest first; negative ones are none. For a known
/// stream the neighbouring roll-overs are tried too (SRT-3); for a new one also those around its index under
/// the key before.
using Guesses = std::array<std::int64_t, 4>;
Guesses guesses_of(const SrtpStream* stream, SeqNo sequence, std::optional<std::uint64_t> former) noexcept {
  const std::int64_t guess = guess_index(stream, sequence);
  if (stream != nullptr && stream->rtp.started()) return {guess, guess - 65536, guess + 65536, -1};
  if (!former) return {guess, -1, -1, -1};
  // A phone that is keyed anew may go on counting, or begin at 0 again (RFC 3711 §3.3.1).
  const std::int64_t onward = estimate_index(*former, sequence);
  Guesses guesses = {guess, onward, onward - 65536, onward + 65536};
  // No index is tried twice: a second try costs a checksum and cannot succeed.
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
  // The extension block says its length in words, behind a header of four octets.
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
  // An SSRC whose indices are lost is refused, or a replay could pass (SRT-7a).
  if (known == nullptr && streams_.is_forgotten(ssrc)) return SrtpResult::kForgotten;
  const Guesses guesses = guesses_of(known, sequence, former);
  SrtpResult result = SrtpResult::kNotAuthentic;
  // A failed try leaves the packet as it was, so the next index can be tried on it.
  for (std::size_t i = 0; i < guesses.size(); ++i) {
    if (guesses[i] < 0) continue;
    const auto index = static_cast<std::uint64_t>(guesses[i]);
    if (known != nullptr && known->rtp.check(index) != ReplayWindow::Answer::kNew) {
      // The likeliest index was there already, so the packet is a replay; other meanings of it are not tried.
      if (i == 0) return SrtpResult::kReplayed;
      continue;
    }
    // Only this proves who sent the packet; everything before was a guess (SRT-2).
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
  // Only the likeliest index is tried: it is the one that was refused.
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
  constexpr std::int64_t kFirst = 8;      // counters from 0 on that are tried
  constexpr std::int64_t kAround = 4;     // and so many on each side of the expected one
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
    // Jumps over the counters between those near 0 and those near the expected one.
    if (used == kFirst && expected - kAround > used) used = expected - kAround;
    if (used == expected) continue;
    std::ranges::copy(packet, copy.begin());  // opening overwrites the packet
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
  // The batch may have held the same packet twice; both were opened, and only one counts.
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
  // An SSRC is numbered either by us or by its source, never by both.
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
  // Before the first roll-over there is no index for such a number.
  if (guess < 0) return Standing::kBehind;
  const auto index = static_cast<std::uint64_t>(guess);
  if (was_sent_to_others(ssrc, index)) return Standing::kBehind;
  if (known == nullptr || !known->rtp.started()) return Standing::kNew;
  if (index > known->rtp.highest())
    // With only one packet sent so far, its index is both the lowest and the highest.
    return known->first == known->rtp.highest() ? Standing::kSecond : Standing::kNew;
  switch (known->rtp.check(index)) {
    case ReplayWindow::Answer::kNew:
      return Standing::kLate;
    case ReplayWindow::Answer::kTooOld:
      return Standing::kBehind;
    case ReplayWindow::Answer::kSeen:
      break;
  }
  // A sender that steps back goes on with its time stamps; a copy has the time stamp of its original.
  return static_cast<std::int32_t>(timestamp - known->timestamp) > 0 ? Standing::kBehind : Standing::kCopy;
}

std::optional<Ssrc> SrtpSender::unused_ssrc() const {
  constexpr int kTries =
      16;  // after a million SSRCs the set of forgotten ones contains every other value by mistake
  for (int i = 0; i < kTries; ++i) {
    const Ssrc ssrc{static_cast<std::uint32_t>(random_u64())};
    // Neither this sender nor one with the same key may have used the SSRC.
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
  // An index that is given is that of the source's own packet under the same key.
  const bool is_relayed = index.has_value();
  const SrtpResult refused = refusal(ssrc, known, is_relayed);
  if (refused != SrtpResult::kOk) return refused;
  if (!index) {
    const std::int64_t guess = guess_index(known, SeqNo{read_u16(space, 2)});
    if (guess < 0) return SrtpResult::kReplayed;
    index = static_cast<std::uint64_t>(guess);
    // Another party with the same key may have been sent this index.
    if (was_sent_to_others(ssrc, *index)) return SrtpResult::kReplayed;
  }
  // An index that was used, or may have been, is never used again (SRT-9).
  if (known != nullptr && known->rtp.check(*index) != ReplayWindow::Answer::kNew)
    return SrtpResult::kReplayed;
  if (*index > kMaxRtpIndex) return SrtpResult::kKeyExhausted;
  if (size + cipher_->rtp_overhead() > space.size()) return SrtpResult::kNoRoom;
  // The index is spent from here on, even if the encryption should fail.
  SrtpStream* stream = streams_.use(ssrc);
  if (stream == nullptr) return SrtpResult::kNoMemory;
  stream->is_relayed = is_relayed;
  stream->first = stream->rtp.started() ? std::min(stream->first, *index) : *index;
  if (!stream->rtp.started() || *index > stream->rtp.highest()) stream->timestamp = read_u32(space, 4);
  stream->rtp.accept(*index);
  is_nearly_used_up_ |= *index > kMaxRtpIndex / 10 * 9;
  work = {cipher_.get(), space, size, header, ssrc, *index, false};
  return SrtpResult::kOk;
}

SrtpResult SrtpSender::seal(const SrtpWork& work, std::size_t& size) noexcept {
  // There is room, so only the library can fail. A packet that was not encrypted must not be sent.
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
  // The source numbers this SSRC, so our own count must not mix with it.
  if (const SrtpStream* known = streams_.look(ssrc, past); known != nullptr && known->is_relayed)
    return SrtpResult::kReplayed;
  // The index counts up for each packet of the key, whatever its SSRC (SRT-5).
  if (!cipher_->seal_rtcp(space, size, ssrc, next_rtcp_)) return SrtpResult::kNoRoom;
  is_nearly_used_up_ |= next_rtcp_ > kMaxRtcpIndex / 10 * 9;
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
  // The source numbered the packet; the index is marked only after it was really used.
  if (!cipher_->seal_rtcp(space, size, ssrc, index)) return SrtpResult::kNoRoom;
  SrtpStream* stream = streams_.use(ssrc);
  if (stream == nullptr) return SrtpResult::kNoMemory;
  stream->is_relayed = true;
  stream->rtcp.accept(index);
  is_nearly_used_up_ |= index > kMaxRtcpIndex / 10 * 9;
  return SrtpResult::kOk;
}

bool SrtpSender::has_sent(Ssrc ssrc, std::uint64_t index) const noexcept {
  std::optional<SrtpStream> past;
  const SrtpStream* known = streams_.look(ssrc, past);
  // An SSRC without a record may have used any index, if it is among the forgotten ones.
  if (known == nullptr) return streams_.is_forgotten(ssrc);
  return !known->is_relayed && known->rtp.started() && index >= known->first && index <= known->rtp.highest();
}

void SrtpSender::begin_rtcp_behind(SrtpSender& other) noexcept {
  // The end of the share that an index lies in.
  const auto end_of_share = [](std::uint32_t index) {
    return std::min(index / kShare * kShare + kShare, kMaxRtcpIndex + 1);
  };
  // The other sender keeps the share that it is in; this one begins behind it.
  other.rtcp_end_ = std::min(other.rtcp_end_, end_of_share(other.next_rtcp_));
  next_rtcp_ = std::max(next_rtcp_, other.rtcp_end_);
  rtcp_end_ = end_of_share(next_rtcp_);
}

void SrtpSender::restore(const State& state, StateAge age) {
  streams_.restore({state.streams, state.past}, age == StateAge::kEarlier);
  rtcp_end_ = std::min(state.rtcp_end, kMaxRtcpIndex + 1);
  next_rtcp_ = std::min(state.next_rtcp, rtcp_end_);
  // Packets may have left after the state was taken; 2^16 is far more than can have left in between.
  if (age == StateAge::kEarlier) next_rtcp_ = std::min(next_rtcp_ + kSkip, rtcp_end_);
}

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
#include "relay/core/output/changes.hpp"

#include "relay/core/rtcp/rtcp.hpp"
#include "relay/core/rtp/header_extensions.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <algorithm>
#include <span>

namespace ferry {

namespace {

// What SRTP adds to a packet at most, without MKI (RFC 7714 §5.2).
constexpr std::size_t kLongestTag = 16;

void overwrite_payload(MutableBytes rtp, std::uint8_t octet) noexcept {
  const auto view = parse_rtp(rtp);
  if (!view) return;
  std::ranges::fill(rtp.subspan(view->header_size, view->payload.size()), static_cast<std::byte>(octet));
}

PayloadType type_of(Bytes rtp) noexcept {
  return PayloadType{static_cast<std::uint8_t>(read_u8(rtp, 1) & 0x7f)};
}

void renumber(MutableBytes rtp, const TypeRenumbering& numbers) noexcept {
  const std::uint8_t marker = read_u8(rtp, 1) & 0x80;
  rtp[1] = static_cast<std::byte>(marker | numbers.of(type_of(rtp)).value);
}

}  // namespace

std::size_t write_mid(std::uint8_t id, const std::string& mid, MutableBytes room, std::size_t size,
                      const SrtpPlan* keys) noexcept {
  const std::size_t tag = keys == nullptr ? 0 : kLongestTag + (keys->send ? keys->send->mki.size() : 0);
  const std::size_t most = std::min(room.size(), kLongestWithMid - std::min(tag, kLongestWithMid));
  if (size >= most) return size;
  return write_extension(room.first(most), size, id, std::as_bytes(std::span(mid))).value_or(size);
}

PacketChanges::PacketChanges(const Sink& sink, Bytes packet, const PayloadEntry* payload, bool is_rtcp,
                             bool is_rtp) noexcept
    : sink_(sink),
      silence_(payload != nullptr ? payload->silence : std::uint8_t{0}),
      silences_(sink.silenced && payload != nullptr && !payload->is_event && !is_rtcp),
      renumbers_(is_rtp && sink.renumbering && sink.renumbering->changes(type_of(packet))),
      rewrites_(is_rtp && sink.extensions.changes(packet)),
      cuts_(is_rtcp && !sink.takes_feedback && has_feedback(packet)),
      replaces_(is_rtcp && !cuts_ && sink.full_intra != FullIntra::kPass && has_full_intra(packet)) {}

std::size_t PacketChanges::apply(MutableBytes packet) const noexcept {
  std::size_t size = packet.size();
  if (silences_) overwrite_payload(packet, silence_);
  if (renumbers_) renumber(packet, *sink_.renumbering);
  if (rewrites_) size = sink_.extensions.apply(packet);
  if (cuts_) size = cut_feedback(packet);
  if (replaces_) size = replace_full_intra(sink_.full_intra, packet);
  return size;
}

void write_passage(const Passage& passage, MutableBytes rtp) noexcept {
  shift_numbers(passage.shift, rtp);
  if (passage.marker) rtp[1] |= std::byte{0x80};
}

std::size_t replace_full_intra(FullIntra policy, MutableBytes compound) noexcept {
  if (policy == FullIntra::kPass || !has_full_intra(compound)) return compound.size();
  return replace_full_intra(compound, policy == FullIntra::kAsPictureLoss ? InsteadOfFullIntra::kPictureLoss
                                                                          : InsteadOfFullIntra::kNothing);
}

}  // namespace ferry

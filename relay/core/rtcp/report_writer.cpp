// SPDX-License-Identifier: Apache-2.0
#include "relay/core/rtcp/report_writer.hpp"

#include <algorithm>

namespace ferry {

namespace {

constexpr std::size_t kReportHead = 8;
constexpr std::size_t kSenderInfo = 20;
constexpr std::size_t kBlockOctets = 24;
constexpr std::uint8_t kCnameItem = 1;

void write_block(MutableBytes to, const ReportBlock& block) noexcept {
  write_u32(to, 0, block.about.value);
  const std::uint32_t lost = static_cast<std::uint32_t>(block.cumulative_lost) & 0xffffff;
  write_u32(to, 4, (std::uint32_t{block.fraction_lost} << 24) | lost);
  write_u32(to, 8, block.highest_sequence);
  write_u32(to, 12, block.jitter);
  write_u32(to, 16, block.last_sr);
  write_u32(to, 20, block.delay_since_last_sr);
}

}  // namespace

std::uint64_t ntp_of(WallTime time) noexcept {
  // From 1900 to 1970 (RFC 868), and the length of a second in the unit of `WallTime`.
  constexpr std::int64_t kEpochs = 2'208'988'800;
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t ns = time.time_since_epoch().count();
  const std::int64_t seconds = ns >= 0 ? ns / kSecond : (ns - kSecond + 1) / kSecond;
  const auto rest = static_cast<std::uint64_t>(ns - seconds * kSecond);
  // Only the low 32 bits of the seconds are sent: the era of 1900 ends in 2036.
  const auto high = static_cast<std::uint32_t>(seconds + kEpochs);
  return (std::uint64_t{high} << 32) | ((rest << 32) / kSecond);
}

MutableBytes CompoundWriter::begin(std::uint8_t type, std::size_t count, std::size_t size) noexcept {
  if (into_.size() - size_ < size) return {};
  const MutableBytes packet = into_.subspan(size_, size);
  size_ += size;
  write_u8(packet, 0, static_cast<std::uint8_t>(0x80 | count));
  write_u8(packet, 1, type);
  write_u16(packet, 2, static_cast<std::uint16_t>(size / 4 - 1));
  return packet;
}

bool CompoundWriter::add_report(Ssrc sender, const SenderInfo* info,
                                std::span<const ReportBlock> blocks) noexcept {
  blocks = blocks.first(std::min(blocks.size(), kMostReportBlocks));
  const std::size_t head = kReportHead + (info != nullptr ? kSenderInfo : 0);
  const MutableBytes packet = begin(info != nullptr ? rtcp_type::kSr : rtcp_type::kRr, blocks.size(),
                                    head + kBlockOctets * blocks.size());
  if (packet.empty()) return false;
  write_u32(packet, 4, sender.value);
  if (info != nullptr) {
    write_u32(packet, 8, static_cast<std::uint32_t>(info->ntp >> 32));
    write_u32(packet, 12, static_cast<std::uint32_t>(info->ntp));
    write_u32(packet, 16, info->rtp_timestamp);
    write_u32(packet, 20, info->packets);
    write_u32(packet, 24, info->octets);
  }
  for (std::size_t i = 0; i < blocks.size(); ++i)
    write_block(packet.subspan(head + kBlockOctets * i, kBlockOctets), blocks[i]);
  return true;
}

bool CompoundWriter::add_cname(std::span<const Ssrc> senders, std::string_view cname) noexcept {
  senders = senders.first(std::min(senders.size(), kMostReportBlocks));
  cname = cname.substr(0, 255);
  // A chunk ends with at least one zero octet and is padded to 32 bits (RFC 3550 §6.5).
  const std::size_t chunk = 4 + ((2 + cname.size() + 4) & ~std::size_t{3});
  const MutableBytes packet = begin(rtcp_type::kSdes, senders.size(), 4 + chunk * senders.size());
  if (packet.empty()) return false;
  std::size_t at = 4;
  for (const Ssrc sender : senders) {
    const MutableBytes to = packet.subspan(at, chunk);
    std::ranges::fill(to, std::byte{0});
    write_u32(to, 0, sender.value);
    write_u8(to, 4, kCnameItem);
    write_u8(to, 5, static_cast<std::uint8_t>(cname.size()));
    std::ranges::transform(cname, to.begin() + 6, [](char c) { return static_cast<std::byte>(c); });
    at += chunk;
  }
  return true;
}

}  // namespace ferry

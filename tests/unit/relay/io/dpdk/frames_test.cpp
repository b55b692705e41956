// SPDX-License-Identifier: Apache-2.0
// Ethernet frames: what is media, what is the kernel's, what is nonsense, and what we write.

#include "relay/io/dpdk/frames.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::dpdk {
namespace {

using Frame = std::vector<std::byte>;

const Endpoint kA4{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}};
const Endpoint kB4{IpAddress::v4({203, 0, 113, 1}), UdpPort{30000}};
const Endpoint kA6{*IpAddress::parse("2001:db8::10"), UdpPort{4000}};
const Endpoint kB6{*IpAddress::parse("2001:db8:1::1"), UdpPort{30000}};

struct Form {
  const char* name;
  Endpoint from;
  Endpoint to;
  std::uint16_t vlan;
};
const std::vector<Form> kForms = {
    {"v4", kA4, kB4, 0}, {"v6", kA6, kB6, 0}, {"v4 tagged", kA4, kB4, 7}, {"v6 tagged", kA6, kB6, 4094}};

Frame frame_of(const Form& form, std::size_t payload, Offload offload = Offload::kNone) {
  const FrameAddresses addresses{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, form.vlan, form.from, form.to, 0xb8};
  Frame frame(headers_size(addresses) + payload);
  for (std::size_t i = 0; i < payload; ++i)
    frame[frame.size() - payload + i] = static_cast<std::byte>(i * 37 + 11);
  write_headers(frame, addresses, offload);
  return frame;
}

/// Sum of RFC 1071, word by word: the slow way, to judge ours.
std::uint32_t plain_sum(Bytes octets, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i + 1 < octets.size(); i += 2) sum += read_u16(octets, i);
  if (octets.size() % 2 != 0) sum += static_cast<std::uint32_t>(read_u8(octets, octets.size() - 1)) << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

TEST(Frames, WhatIsWrittenIsReadAndItsChecksumsAreThoseOfTheStandard) {
  for (const Form& form : kForms) {
    for (const std::size_t size : {0u, 1u, 7u, 172u, 173u, 1400u}) {
      const Frame frame = frame_of(form, size);
      UdpFrame udp;
      ASSERT_EQ(parse_frame(frame, udp), FrameKind::kUdp) << form.name;
      EXPECT_EQ(udp.from, form.from);
      EXPECT_EQ(udp.to, form.to);
      EXPECT_EQ(udp.vlan, form.vlan);
      EXPECT_EQ(udp.payload_size, size);
      EXPECT_EQ(udp.payload_at + size, frame.size());
      EXPECT_EQ(check_udp(frame, udp), UdpChecksum::kGood) << form.name << " " << size;
      const std::size_t ip_at = form.vlan != 0 ? 18 : 14;
      const bool v6 = form.to.address.is_v6();
      const Bytes datagram = Bytes(frame).subspan(udp.udp_at);
      const std::uint32_t pseudo = plain_sum(Bytes(frame).subspan(udp.udp_at - (v6 ? 32 : 8), v6 ? 32 : 8),
                                             17 + static_cast<std::uint32_t>(datagram.size()));
      EXPECT_EQ(plain_sum(datagram, pseudo), 0xffffu) << form.name << " " << size;
      if (v6) {
        EXPECT_EQ(read_u32(frame, ip_at), 0x6b800000u) << "traffic class";
        EXPECT_EQ(read_u8(frame, ip_at + 7), 64);
      } else {
        EXPECT_EQ(plain_sum(Bytes(frame).subspan(ip_at, 20)), 0xffffu);
        EXPECT_EQ(read_u8(frame, ip_at + 1), 0xb8);
        EXPECT_EQ(read_u16(frame, ip_at + 6), 0x4000) << "DF";
      }
    }
  }
}

TEST(Frames, OneWrongBitIsSeen) {
  for (const Form& form : kForms) {
    Frame frame = frame_of(form, 172);
    UdpFrame udp;
    ASSERT_EQ(parse_frame(frame, udp), FrameKind::kUdp);
    for (std::size_t at = udp.udp_at + 8; at < frame.size(); at += 13) {
      frame[at] ^= std::byte{0x10};
      EXPECT_EQ(check_udp(frame, udp), UdpChecksum::kBad);
      frame[at] ^= std::byte{0x10};
    }
    EXPECT_EQ(check_udp(frame, udp), UdpChecksum::kGood);
  }
}

TEST(Frames, ChecksumsThatAreLeftToHardware) {
  for (const Form& form : kForms) {
    const Frame frame = frame_of(form, 172, Offload::kUdp);
    UdpFrame udp;
    ASSERT_EQ(parse_frame(frame, udp), FrameKind::kUdp);
    EXPECT_EQ(check_udp(frame, udp), UdpChecksum::kPartial) << form.name;
    const PartialChecksum partial = find_partial_checksum(frame);
    EXPECT_EQ(partial.start, udp.udp_at);
    EXPECT_EQ(partial.offset, 6);
    EXPECT_EQ(partial.size, 180);
    EXPECT_EQ(find_partial_checksum(frame_of(form, 172)).size, 0) << "a whole one";
  }
  // The hardware writes both sums of IPv4.
  Frame frame = frame_of(kForms[0], 100, Offload::kIpAndUdp);
  EXPECT_EQ(read_u16(frame, 24), 0);
}

TEST(Frames, NoChecksumIsAllowedInIpv4Alone) {
  for (const Form& form : kForms) {
    Frame frame = frame_of(form, 172);
    UdpFrame udp;
    ASSERT_EQ(parse_frame(frame, udp), FrameKind::kUdp);
    write_u16(frame, udp.udp_at + 6, 0);
    EXPECT_EQ(check_udp(frame, udp), form.to.address.is_v6() ? UdpChecksum::kBad : UdpChecksum::kGood);
  }
}

TEST(Frames, PaddingOfShortFramesIsNoPayload) {
  Frame frame = frame_of(kForms[0], 4);
  frame.resize(60);
  UdpFrame udp;
  ASSERT_EQ(parse_frame(frame, udp), FrameKind::kUdp);
  EXPECT_EQ(udp.payload_size, 4u);
  EXPECT_EQ(check_udp(frame, udp), UdpChecksum::kGood);
}

void mend_ip(Frame& frame) {
  write_u16(frame, 24, 0);
  write_u16(frame, 24, static_cast<std::uint16_t>(~plain_sum(Bytes(frame).subspan(14, 20))));
}

TEST(Frames, TheKernelGetsWhatIsNoPlainDatagram) {
  UdpFrame udp;
  const auto kind = [&](Frame frame) { return parse_frame(frame, udp); };
  Frame arp(60);
  write_u16(arp, 12, 0x0806);
  EXPECT_EQ(kind(arp), FrameKind::kOther);
  Frame fragment = frame_of(kForms[0], 100);
  write_u16(fragment, 20, 0x2000);  // more follow
  mend_ip(fragment);
  EXPECT_EQ(kind(fragment), FrameKind::kOther);
  write_u16(fragment, 20, 0x0010);  // a later one
  mend_ip(fragment);
  EXPECT_EQ(kind(fragment), FrameKind::kOther);
  Frame options = frame_of(kForms[0], 100);
  write_u8(options, 14, 0x46);
  EXPECT_EQ(kind(options), FrameKind::kOther);
  Frame tcp = frame_of(kForms[0], 100);
  write_u8(tcp, 23, 6);
  mend_ip(tcp);
  EXPECT_EQ(kind(tcp), FrameKind::kOther);
  Frame extension = frame_of(kForms[1], 100);
  write_u8(extension, 20, 44);  // a fragment header
  EXPECT_EQ(kind(extension), FrameKind::kOther);
  Frame twice = frame_of(kForms[2], 100);
  write_u16(twice, 16, 0x8100);  // a second tag
  EXPECT_EQ(kind(twice), FrameKind::kOther);
}

TEST(Frames, ContradictionsAreMalformed) {
  UdpFrame udp;
  const auto kind = [&](Frame frame) { return parse_frame(frame, udp); };
  const Frame good = frame_of(kForms[0], 100);
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(kind({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}), FrameKind::kMalformed)
        << size;
  Frame sum = good;
  sum[24] ^= std::byte{1};
  EXPECT_EQ(kind(sum), FrameKind::kMalformed);
  Frame longer = good;
  write_u16(longer, 38, 200);  // UDP says more than IP has
  EXPECT_EQ(kind(longer), FrameKind::kMalformed);
  Frame shorter = good;
  write_u16(shorter, 38, 7);
  EXPECT_EQ(kind(shorter), FrameKind::kMalformed);
  Frame version = frame_of(kForms[1], 100);
  write_u8(version, 14, 0x40);
  EXPECT_EQ(kind(version), FrameKind::kMalformed);
}

TEST(Frames, AnyOctetsAreJudgedWithoutReadingPastThem) {
  std::mt19937 random(7);
  for (int round = 0; round < 200'000; ++round) {
    Frame frame = frame_of(kForms[static_cast<std::size_t>(round) % kForms.size()], random() % 64);
    for (unsigned change = random() % 4; change > 0; --change)
      frame[random() % frame.size()] = static_cast<std::byte>(random());
    frame.resize(random() % (frame.size() + 1));
    frame.shrink_to_fit();
    UdpFrame udp;
    if (parse_frame(frame, udp) == FrameKind::kUdp) {
      ASSERT_LE(udp.payload_at + udp.payload_size, frame.size());
      [[maybe_unused]] const auto checked = check_udp(frame, udp);
    }
    const PartialChecksum partial = find_partial_checksum(frame);
    ASSERT_LE(std::size_t{partial.start} + partial.size, frame.size());
  }
}

}  // namespace
}  // namespace ferry::dpdk

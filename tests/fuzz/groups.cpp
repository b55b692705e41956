// SPDX-License-Identifier: Apache-2.0
// PRC-3: a transport with several medias. Whose packet is whose by MID, SSRC and payload type; MIDs that are
// written; and RTCP that is taken apart.
#include "relay/core/forward/transport.hpp"
#include "relay/core/rtcp/rtcp.hpp"
#include "relay/core/rtcp/rtcp_sections.hpp"
#include "relay/core/rtp/header_extensions.hpp"
#include "tests/fuzz/facts.hpp"

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace ferry;

constexpr std::uint8_t kMidId = 4;
constexpr std::uint32_t kMedias = 3;

std::shared_ptr<TransportPlan> group_plan() {
  auto plan = std::make_shared<TransportPlan>();
  plan->rtcp_mux = plan->reduced_size_rtcp = true;
  plan->mid_extension = kMidId;
  plan->rtp_latch.signalled = {IpAddress::v4({192, 0, 2, 1}), UdpPort{4000}};
  for (std::uint32_t i = 0; i < kMedias; ++i) {
    SourcePlan& source = plan->sources.emplace_back();
    source.media = MediaId{i + 1};
    source.mid = std::make_shared<const std::string>(1, static_cast<char>('0' + i));
    // Each has a type of its own and one in common with the next.
    source.payloads = {{PayloadType{static_cast<std::uint8_t>(96 + i)}},
                       {PayloadType{static_cast<std::uint8_t>(100 + i / 2)}}};
  }
  return plan;
}

/// A written element is found, and the rest of the packet stays.
void write_mids(Bytes datagram) {
  const auto rtp = parse_rtp(datagram);
  if (!rtp) return;
  for (const std::uint8_t id : std::initializer_list<std::uint8_t>{1, 4, 14, 15, 255}) {
    for (const std::size_t length : {0u, 1u, 16u, 17u, 255u}) {
      const std::string mid(length, 'm');
      for (const std::size_t room : {0u, 8u, 300u}) {
        std::vector<std::byte> packet(datagram.begin(), datagram.end());
        packet.resize(packet.size() + room);
        const Bytes value = std::as_bytes(std::span(mid));
        const auto size = write_extension(packet, datagram.size(), id, value);
        if (!size) {
          fact(std::ranges::equal(datagram, Bytes(packet).first(datagram.size())));
          continue;
        }
        const Bytes written = Bytes(packet).first(*size);
        const auto after = parse_rtp(written);
        fact(after && std::ranges::equal(after->payload, rtp->payload));
        const auto found = find_extension(written, id);
        fact(found && std::ranges::equal(*found, value));
      }
    }
  }
}

/// Each receiver gets valid RTCP, and all of them together no more than there was but for reports.
void split(Bytes compound, const SectionDirectory& directory) {
  if (!validate_rtcp(compound, true)) return;
  const SectionMask topics = rtcp_topics(compound, directory);
  for (const SectionMask sections : {SectionMask{1}, SectionMask{2}, SectionMask{6}, SectionMask{7}}) {
    for (const bool reduced : {false, true}) {
      for (const SectionMask feedback : {SectionMask{0}, sections}) {
        const RtcpAudience audience{sections, feedback, sections == 7, reduced};
        std::vector<std::byte> into(compound.size() + 8);
        const std::size_t size = write_rtcp_for(audience, compound, directory, into);
        fact(size <= into.size());
        // A report in front may be one packet too many.
        const auto judged = validate_rtcp(Bytes(into).first(size), reduced);
        fact(size < 8 || judged || judged.error() == RtcpError::kTooManyPackets);
        fact(size == 0 || sections == 7 || (topics & sections) != 0);
        if (sections == 7 && reduced && feedback != 0)
          fact(std::ranges::equal(Bytes(into).first(size), compound));
        std::vector<std::byte> small(size / 2);
        fact(write_rtcp_for(audience, compound, directory, small) == 0);
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const Bytes all(reinterpret_cast<const std::byte*>(data), size);
  write_mids(all);
  const auto plan = group_plan();
  const Instant start{std::chrono::hours(1)};
  Transport transport(plan, std::make_shared<TransportActivity>(), start);
  const OwnMedia own({});
  Instant now = start;
  // The input as a script: an octet says what, the next how long, then that many octets are a datagram.
  for (std::size_t at = 0; at + 2 <= size;) {
    const auto what = std::to_integer<std::uint8_t>(all[at]);
    const std::size_t length =
        std::min<std::size_t>(std::to_integer<std::size_t>(all[at + 1]), size - at - 2);
    const Bytes part = all.subspan(at + 2, length);
    at += 2 + length;
    now += std::chrono::milliseconds(what);
    std::vector<std::byte> octets(part.begin(), part.end());
    if ((what & 3) == 0) {  // it leaves for one of the medias
      const DatagramClass kind = classify(octets);
      const bool is_valid = kind == DatagramClass::kRtcp
                                ? validate_rtcp(octets, true).has_value()
                                : kind == DatagramClass::kRtp && parse_rtp(octets).has_value();
      if (is_valid) transport.on_sent(Component::kRtp, kind, octets, MediaId{what / 4u % kMedias + 1}, now);
      continue;
    }
    ReceivedPacket packet({Component::kRtp, 0}, plan->rtp_latch.signalled, octets, now);
    const Verdict verdict = transport.on_datagram(packet, own);
    const GroupStreams streams(transport.streams());
    split(part, streams);
    if (verdict.kind != Verdict::Kind::kForward) continue;
    fact(verdict.source < kMedias);
    if (verdict.is_rtcp) continue;
    // A MID is never contradicted, and the SSRC stays with the media for packets without one.
    if (const auto mid = find_extension(part, kMidId))
      fact(std::ranges::equal(*mid, std::as_bytes(std::span(*plan->sources[verdict.source].mid))));
    fact((streams.sent_in(packet.rtp->ssrc) & section_bit(verdict.source)) != 0);
    fact(plan->sources[verdict.source].payload_of(part) != nullptr);
  }
  const TransportSnapshot snapshot = transport.snapshot(now);
  fact(snapshot.named.size() <= Streams::kMostNamed);
  Transport again(plan, std::make_shared<TransportActivity>(), now);
  again.restore(snapshot, now);
  fact(again.snapshot(now).named == snapshot.named);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// PRC-3: RTP and RTCP, and a transport that is fed with anything from anywhere.
#include "relay/core/forward/transport.hpp"
#include "relay/core/rtcp/rtcp_ssrcs.hpp"
#include "tests/fuzz/facts.hpp"

#include <algorithm>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace ferry;
  const Bytes datagram(reinterpret_cast<const std::byte*>(data), size);
  if (const auto rtp = parse_rtp(datagram)) {
    fact(rtp->header_size >= kRtpFixedHeaderSize && rtp->header_size <= size);
    fact(rtp->payload.size() + rtp->header_size <= size);
    // Extensions that are left have only the receiver's numbers; the payload stays.
    const HeaderExtensionMap map({{1, 3}, {2, 1}, {20, 4}, {5, 200}});
    std::vector<std::byte> mapped(datagram.begin(), datagram.end());
    mapped.resize(map.apply(mapped));
    const auto after = parse_rtp(mapped);
    fact(after && std::ranges::equal(after->payload, rtp->payload));
    fact(map.changes(datagram) || std::ranges::equal(mapped, datagram));
    fact(!HeaderExtensionMap({{3, 3}, {1, 1}, {4, 4}, {200, 200}}).changes(mapped));
    fact(rtp->payload.empty() || rtp->payload.data() == datagram.data() + rtp->header_size);
  }
  if (validate_rtcp(datagram, false)) {
    fact(validate_rtcp(datagram, true).has_value());
    struct Count {
      std::size_t blocks = 0;
      void on_sender_report(Ssrc, std::uint32_t) {}
      void on_report(Ssrc, const ReportBlock&) { ++blocks; }
      void on_bye(Ssrc) {}
    } count;
    walk_rtcp(datagram, count);
    fact(count.blocks * 24 <= size);
  }
  if (validate_rtcp(datagram, true)) {
    std::vector<std::byte> cut(datagram.begin(), datagram.end());
    const std::size_t left = cut_feedback(cut);
    fact(left <= size);
    cut.resize(left);
    fact(!has_feedback(cut));
    fact(left < 8 || validate_rtcp(cut, true).has_value());
    fact(has_feedback(datagram) || std::ranges::equal(cut, datagram));
    std::vector<std::byte> named(datagram.begin(), datagram.end());
    for_each_ssrc(named, [&](MutableBytes place, SsrcRole) {
      fact(place.size() == 4 && place.data() >= named.data() &&
           place.data() + 4 <= named.data() + named.size());
      write_u32(place, 0, ~read_u32(place, 0));
    });
  }
  // The input as a script: two octets choose source and length, then that many octets are a datagram.
  auto plan = std::make_shared<TransportPlan>();
  plan->rtcp_mux = true;
  plan->rtp_latch.signalled = {IpAddress::v4({192, 0, 2, 1}), UdpPort{4000}};
  plan->rtp_latch.policy = LatchPolicy::kUncontested;
  plan->sources.emplace_back().rate = {250, 20'000};
  Transport transport(plan, std::make_shared<TransportActivity>(), Instant{std::chrono::hours(1)});
  const OwnMedia own({});
  Instant now{std::chrono::hours(1)};
  std::size_t accepted = 0;
  for (std::size_t at = 0; at + 2 <= size;) {
    const std::size_t length =
        std::min<std::size_t>(std::to_integer<std::size_t>(datagram[at + 1]), size - at - 2);
    const auto who = std::to_integer<std::uint8_t>(datagram[at]);
    const Endpoint from{IpAddress::v4({192, 0, 2, static_cast<std::uint8_t>(who & 3)}),
                        UdpPort{static_cast<std::uint16_t>(4000 + (who >> 2 & 3))}};
    const Bytes part = datagram.subspan(at + 2, length);
    std::vector<std::byte> octets(part.begin(), part.end());
    ReceivedPacket packet({(who & 0x80) != 0 ? Component::kRtcp : Component::kRtp, 0}, from, octets, now);
    const auto verdict = transport.on_datagram(packet, own);
    fact(verdict.slot < Transport::kHoldSlots || verdict.kind != Verdict::Kind::kHold);
    if (verdict.kind == Verdict::Kind::kForward) {
      ++accepted;
      fact(verdict.source < plan->sources.size());
    }
    now += std::chrono::milliseconds(who);
    at += 2 + length;
  }
  const auto snapshot = transport.snapshot(now);
  fact(snapshot.counters[0].packets_in + snapshot.counters[1].packets_in == accepted);
  for (const auto& source : snapshot.sources) fact(source.ingress.size() <= 8);
  return 0;
}

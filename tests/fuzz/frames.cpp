// SPDX-License-Identifier: Apache-2.0
// PRC-3: frames from a wire. Nothing is read past the end, what is media lies in the frame, and a frame with
// a good checksum is one that we would write ourselves.
#include "relay/io/dpdk/frames.hpp"

#include "tests/fuzz/facts.hpp"

#include <algorithm>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace ferry;
  using namespace ferry::dpdk;
  const Bytes frame(reinterpret_cast<const std::byte*>(data), size);
  const PartialChecksum partial = find_partial_checksum(frame);
  fact(std::size_t{partial.start} + partial.size <= size);
  fact(partial.size == 0 || partial.offset + 2u <= partial.size);
  UdpFrame udp;
  if (parse_frame(frame, udp) != FrameKind::kUdp) return 0;
  fact(std::size_t{udp.payload_at} + udp.payload_size <= size);
  fact(udp.from.address.family() == udp.to.address.family());
  fact(udp.vlan < 4096);
  if (check_udp(frame, udp) != UdpChecksum::kGood) return 0;
  const FrameAddresses addresses{{}, {}, udp.vlan, udp.from, udp.to, 0};
  std::vector<std::byte> ours(headers_size(addresses) + udp.payload_size);
  std::ranges::copy(frame.subspan(udp.payload_at, udp.payload_size),
                    ours.end() - static_cast<std::ptrdiff_t>(udp.payload_size));
  write_headers(ours, addresses, Offload::kNone);
  UdpFrame again;
  fact(parse_frame(ours, again) == FrameKind::kUdp);
  fact(check_udp(ours, again) == UdpChecksum::kGood);
  fact(again.from == udp.from && again.to == udp.to && again.payload_size == udp.payload_size);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// PRC-3: streams of UDPTL. Whatever comes, packets come out in order and lie within bounds, and what the
// writer makes is read again.
#include "codecs/fax/udptl.hpp"

#include "codecs/fax/gateway.hpp"
#include "tests/fuzz/facts.hpp"

#include <algorithm>
#include <vector>

namespace {

using namespace ferry;

void check(const UdptlReader& reader, UdptlReader::Outcome outcome) {
  const auto packets = reader.packets();
  fact(packets.empty() == (outcome != UdptlReader::Outcome::kTaken));
  for (std::size_t i = 0; i < packets.size(); ++i) {
    fact(packets[i].ifp.size() <= kLongestIfp);
    if (i > 0) fact(is_newer(packets[i].sequence, packets[i - 1].sequence));
  }
}

void check_parts(Bytes datagram) {
  const auto view = parse_udptl(datagram);
  if (!view) return;
  Bytes parts = view->parts;
  std::size_t octets = view->primary.size();
  for (std::size_t i = 0; i < view->count; ++i) octets += next_udptl_part(parts).size();
  fact(parts.empty() && octets + 5 <= datagram.size());
}

/// Datagrams of a stream, each behind its length, to a reader and to a gateway.
void read(Bytes octets) {
  UdptlReader reader;
  T38Gateway gateway{T38Settings{}};
  while (octets.size() >= 2) {
    const std::size_t size = std::min<std::size_t>(read_u16(octets, 0) & 0x7ff, octets.size() - 2);
    // Of the very size, so that a read behind it is found.
    const std::vector<std::byte> own(octets.begin() + 2,
                                     octets.begin() + 2 + static_cast<std::ptrdiff_t>(size));
    check_parts(own);
    check(reader, reader.read(own));
    gateway.take(own);
    std::vector<std::int16_t> sound(T38Gateway::kStep);
    gateway.speak(sound);
    octets = octets.subspan(2 + size);
  }
}

/// A protection, then packets: a length, room, whether the datagram is lost.
void write(Bytes octets) {
  if (octets.size() < 3) return;
  UdptlProtection protection;
  if ((read_u8(octets, 0) & 1) != 0) protection.recovery = UdptlView::Recovery::kParity;
  protection.earlier = read_u8(octets, 0) >> 1;
  protection.groups = read_u8(octets, 1);
  protection.span = read_u8(octets, 2);
  UdptlWriter writer(protection);
  UdptlReader reader;
  octets = octets.subspan(3);
  while (octets.size() >= 3) {
    const std::size_t length = std::min<std::size_t>(read_u8(octets, 0) * 3, octets.size() - 3);
    const Bytes ifp = octets.subspan(3, length);
    std::vector<std::byte> out(length + read_u8(octets, 1) * 8);
    const std::size_t size = writer.write(ifp, out);
    fact(size <= out.size() && (size > 0 || length > kLongestIfp || out.size() < length + 6));
    if (size > 0 && read_u8(octets, 2) % 4 != 0) {
      check(reader, reader.read(Bytes(out).first(size)));
      if (!reader.packets().empty()) fact(std::ranges::equal(reader.packets().back().ifp, ifp));
    }
    octets = octets.subspan(3 + length);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const Bytes octets(reinterpret_cast<const std::byte*>(data), size);
  read(octets);
  write(octets);
  return 0;
}

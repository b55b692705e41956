// SPDX-License-Identifier: Apache-2.0
// PRC-3: datagrams of UDPTL, DTLS and BFCP. What is accepted has room for what it says, and records may
// follow records.
#include "relay/core/forward/datagram_shape.hpp"
#include "tests/fuzz/facts.hpp"

#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace ferry;
  // Of the very size, so that a read behind it is found.
  const std::vector<std::byte> own(reinterpret_cast<const std::byte*>(data),
                                   reinterpret_cast<const std::byte*>(data) + size);
  const Bytes datagram(own);
  std::vector<std::byte> twice(own);
  twice.insert(twice.end(), own.begin(), own.end());
  if (is_udptl(datagram)) {
    fact(size >= 5);
    std::vector<std::byte> soiled(own);
    soiled.push_back(std::byte{1});
    fact(!is_udptl(soiled));
  }
  if (is_dtls(datagram)) {
    fact(size >= 4);
    fact(is_dtls(twice));
  }
  if (is_bfcp(datagram)) {
    // Whole words, and fewer than four octets that fill one up.
    fact(size >= 12 && is_bfcp(datagram.first(size - size % 4)));
    fact(!is_bfcp(twice));
  }
  return 0;
}

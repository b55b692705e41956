// SPDX-License-Identifier: Apache-2.0
// PRC-3: SRTP and SRTCP framing in every suite, and a=crypto lines.
#include "control/sdp/sdes.hpp"
#include "relay/core/srtp/srtp_context.hpp"
#include "relay/srtp/evp_backend.hpp"
#include "tests/fuzz/facts.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace ferry;

struct Ends {
  SrtpReceiver receiver;
  SrtpSender sender;
};

Ends make_ends(const SrtpSuiteRow& row) {
  SrtpMasterKey key;
  key.suite = row.suite;
  key.key = SecretBytes<32>(std::vector<std::byte>(row.key, std::byte{1}));
  key.salt = SecretBytes<14>(std::vector<std::byte>(row.salt, std::byte{2}));
  key.mki.assign(row.key % 3, std::byte{3});
  const EvpBackend backend;
  return {SrtpReceiver(backend.make(key)), SrtpSender(backend.make(key))};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto line = sdp::parse_crypto(text)) {
    const auto again = sdp::parse_crypto(sdp::write_crypto(*line, {size % 2 == 0, size % 3 == 0}));
    fact(again == line);
  }
  if (size < 1) return 0;
  const SrtpSuiteRow& row = kUsableSrtpSuites[data[0] % kUsableSrtpSuites.size()];
  Ends ends = make_ends(row);
  const std::vector<std::byte> input(reinterpret_cast<const std::byte*>(data) + 1,
                                     reinterpret_cast<const std::byte*>(data) + size);
  // Nobody without the key gets anything through, and nothing changes.
  for (const bool rtcp : {false, true}) {
    std::vector<std::byte> packet = input;
    std::size_t left = packet.size();
    const SrtpResult result =
        rtcp ? ends.receiver.open_rtcp(packet, left) : ends.receiver.open_rtp(packet, left);
    fact(result != SrtpResult::kOk && packet == input && ends.receiver.state().streams.empty());
  }
  // With it everything that has a header comes back as it was.
  for (const bool rtcp : {false, true}) {
    std::vector<std::byte> packet = input;
    std::size_t sealed = packet.size();
    packet.resize(sealed + ends.sender.overhead());
    const SrtpResult result =
        rtcp ? ends.sender.seal_rtcp(packet, sealed) : ends.sender.seal_rtp(packet, sealed);
    if (result != SrtpResult::kOk) continue;
    packet.resize(sealed);
    std::size_t plain = sealed;
    fact((rtcp ? ends.receiver.open_rtcp(packet, plain) : ends.receiver.open_rtp(packet, plain)) ==
         SrtpResult::kOk);
    packet.resize(plain);
    fact(packet == input);
  }
  return 0;
}

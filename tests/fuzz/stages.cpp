// SPDX-License-Identifier: Apache-2.0
// PRC-3: packets and datagrams into the stages of both parties of a call, in any order and at any time, while
// signalling makes the call a fax and back, guards digits, listens for them, and lets parties join.
#include "codecs/stage/receiver_stage.hpp"
#include "tests/fuzz/stage_input.hpp"

#include <algorithm>

namespace {

using namespace ferry;

/// A conversion that four octets choose: without the last two it is one of `fuzz_transcoder`. `only_listens`:
/// a stage that listens does nothing else as long as it lives.
std::shared_ptr<const AudioConversion> terms_of(Bytes octets, bool only_listens) {
  auto made = std::make_shared<AudioConversion>(fuzz::conversion_of(read_u8(octets, 0), read_u8(octets, 1)));
  const std::uint8_t c = read_u8(octets, 2);
  const std::uint8_t d = read_u8(octets, 3);
  made->only_listens = only_listens;
  if ((c & 16) != 0) {
    DigitGuard guard;
    guard.cover = static_cast<DigitCover>(c % 7);
    if ((c & 32) != 0) guard.frequencies_hz = {400, static_cast<std::uint16_t>(d * 20), 65'535};
    guard.delay_ms = static_cast<std::uint16_t>(d % 8 * 250);
    guard.events_delay_ms = static_cast<std::uint16_t>(d / 8 * 10);
    made->guard = std::make_shared<const DigitGuard>(guard);
  }
  if ((c & 64) != 0 && !only_listens) {
    FaxSide side;
    side.role = static_cast<FaxSide::Role>(d % 2);
    side.gateway = 1 + d / 4 % 2;
    side.t38.version = d / 8 % 4;
    if ((d & 32) != 0) side.t38.protection.recovery = UdptlView::Recovery::kParity;
    side.t38.max_datagram = (d & 128) != 0 ? 72 : 0;
    made->fax = std::make_shared<const FaxSide>(side);
    made->format = {(d & 64) != 0 ? "PCMU" : "PCMA", 8000, 1, ""};
  }
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  Bytes left(reinterpret_cast<const std::byte*>(data), size);
  if (left.size() < 9) return 0;
  const bool only_listens = read_u8(left, 0) % 8 == 7;
  left = left.subspan(1);
  const StageFactory factory;
  // The stage of each party hears the other one; gateways are shared.
  const std::array<std::unique_ptr<OutputStage>, 2> stages = {factory({}), factory({})};
  std::array<std::shared_ptr<const AudioConversion>, 2> terms = {terms_of(left, only_listens),
                                                                 terms_of(left.subspan(4), only_listens)};
  left = left.subspan(8);
  fuzz::StageFacts out;
  Instant now(std::chrono::hours(1));
  // A minute of fax is enough.
  for (const Instant end = now + std::chrono::minutes(1); left.size() >= 7 && now < end;) {
    const std::uint8_t kind = read_u8(left, 0);
    const std::size_t length = std::min<std::size_t>(read_u8(left, 1) * 2u, left.size() - 7);
    now += std::chrono::milliseconds((kind & 0x80) != 0 ? read_u8(left, 2) * 20 : read_u8(left, 2) % 32);
    const std::size_t side = read_u8(left, 2) >> 7;
    if (kind % 61 == 60) terms[side] = terms_of(left.subspan(3), only_listens);
    for (const auto& stage : stages) fuzz::drive_until(*stage, now, out);
    const Bytes payload = left.subspan(7, length);
    if (kind % 4 == 3)
      stages[side]->hear_datagram(kind % 3, terms[side], payload, now, out);
    else
      stages[side]->hear(kind % 3, terms[side],
                         fuzz::packet_of(kind, read_u16(left, 3), read_u16(left, 5), payload), now, out);
    left = left.subspan(7 + length);
  }
  return 0;
}

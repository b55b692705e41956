// SPDX-License-Identifier: Apache-2.0
// PRC-3: DTLS datagrams before anybody is trusted, and a whole channel whose peer says anything.
#include "control/sdp/dtls.hpp"

#include "relay/core/dtls/dtls_channel.hpp"
#include "relay/dtls/openssl_dtls.hpp"
#include "tests/fuzz/facts.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace {

using namespace ferry;

const std::array kSources = {*Endpoint::parse("192.0.2.10:4000"), *Endpoint::parse("192.0.2.10:4001"),
                             *Endpoint::parse("192.0.2.10:4002"), *Endpoint::parse("192.0.2.11:4000")};

/// Octets that left, by source.
class Counting final : public DatagramOutput {
 public:
  void send(const Endpoint& to, Bytes datagram) noexcept override {
    octets[static_cast<std::size_t>(std::ranges::find(kSources, to) - kSources.begin())] += datagram.size();
  }
  std::array<std::size_t, kSources.size() + 1> octets{};
};

/// A whole channel whose sources say anything: datagrams with three octets before each, the source and the
/// length.
void play_channel(Bytes input, DtlsRole role, const std::shared_ptr<const DtlsIdentity>& identity) {
  DtlsPlan plan{identity, role, {identity->fingerprint(FingerprintHash::kSha256)}, 1, false};
  DtlsBudget budget;
  DtlsChannel channel;
  Counting out;
  std::array<std::size_t, kSources.size()> taken{};
  Instant now{std::chrono::seconds(1)};
  const auto turn = [&] { return DtlsTurn{plan, budget, out, now, false, kSources[0]}; };
  channel.drive(kSources[0], turn());
  for (Bytes rest = input; rest.size() >= 3;) {
    const std::size_t source = read_u8(rest, 0) % kSources.size();
    const std::size_t length = std::min<std::size_t>(read_u16(rest, 1) % 2048, rest.size() - 3);
    channel.take(kSources[source], rest.subspan(3, length), turn());
    taken[source] += length;
    rest = rest.subspan(3 + length);
    now += std::chrono::milliseconds(100);
    channel.drive(kSources[0], turn());
  }
  fact(!channel.keys());
  // DTL-13, LIM-2: nothing is begun before the cookie, and nobody but the signalled address is called for
  // free.
  fact(budget.pending() <= DtlsParties::kMostOthers + 1);
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const bool is_called = role == DtlsRole::kClient && i == 0;
    if (!is_called && (role == DtlsRole::kClient || budget.pending() == 0)) fact(out.octets[i] <= taken[i]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const auto kIdentity = OpenSslDtls().make_identity();
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);

  const auto sifted = sift_records(input);
  fact(sifted.size() <= input.size());
  fact(sift_records(sifted) == sifted);
  if (const auto hello = parse_client_hello(input)) {
    fact(hello->random.size() == 32 && hello->cookie.size() <= 255 && hello->piece <= hello->length);
    fact(!hello_verify_request(*hello, hello->cookie).empty());
  }
  HelloAssembly assembly;
  fact(assembly.take(input) == HelloAssembly::Progress::kRefused);  // DTL-13: nothing before the first piece
  if (assembly.begin(input) == HelloAssembly::Progress::kWhole) {
    const auto record = assembly.take_record();
    const auto whole = parse_client_hello(record);
    fact(!whole || whole->piece == whole->length);
  }

  for (const DtlsRole role : {DtlsRole::kServer, DtlsRole::kClient}) {
    FlightWatch watch;
    if (is_plausible(sifted, role) && watch.note(sifted)) fact(watch.note(sifted));
    play_channel(input, role, kIdentity);
  }

  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto fingerprint = sdp::parse_fingerprint(text))
    fact(sdp::parse_fingerprint(sdp::write_fingerprint(*fingerprint)) == fingerprint);
  return 0;
}

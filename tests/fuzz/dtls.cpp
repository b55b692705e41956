// PRC-3: DTLS datagrams before anybody is trusted, and a whole channel whose peer says anything.
#include "control/sdp/dtls.hpp"

#include "relay/core/dtls/dtls_channel.hpp"
#include "relay/dtls/openssl_dtls.hpp"
#include "tests/fuzz/facts.hpp"

#include <string_view>

namespace {

using namespace ferry;

/// LIM-2: what leaves before the peer proved to be there is no longer than what came.
class Counting final : public DatagramOutput {
 public:
  void send(const Endpoint& /*to*/, Bytes datagram) noexcept override { octets += datagram.size(); }
  std::size_t octets = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const auto kIdentity = OpenSslDtls().make_identity();
  static const Endpoint kPeer = *Endpoint::parse("192.0.2.10:4000");
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

  // Datagrams with two octets of length each.
  DtlsPlan plan{kIdentity, DtlsRole::kServer, {kIdentity->fingerprint(FingerprintHash::kSha256)}, 1, false};
  DtlsBudget budget;
  DtlsChannel channel;
  Counting out;
  std::size_t taken = 0;
  for (Bytes rest = input; rest.size() >= 2;) {
    const std::size_t length = std::min<std::size_t>(read_u16(rest, 0) % 2048, rest.size() - 2);
    const Bytes datagram = rest.subspan(2, length);
    channel.take(kPeer, datagram, {plan, budget, out, Instant{std::chrono::seconds(1)}});
    taken += length;
    rest = rest.subspan(2 + length);
  }
  fact(!channel.keys());
  if (budget.pending() == 0) fact(out.octets <= taken);

  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto fingerprint = sdp::parse_fingerprint(text))
    fact(sdp::parse_fingerprint(sdp::write_fingerprint(*fingerprint)) == fingerprint);
  return 0;
}

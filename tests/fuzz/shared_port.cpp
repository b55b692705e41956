// SPDX-License-Identifier: Apache-2.0
// The table of a shared port, under any order of what signalling, checks, strangers and other workers do.
// Each octet pair is one step. A plain list of who has bound what is kept beside it (ONE-1 to ONE-3).
#include "relay/worker/port_table.hpp"
#include "tests/fuzz/facts.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace ferry;
using namespace std::chrono_literals;

constexpr std::uint8_t kTransports = 4;
constexpr std::size_t kMost = 6;

TransportId id_of(std::uint8_t n) { return {n % std::uint32_t{kTransports}, 0}; }
Endpoint remote_of(std::uint8_t n) {
  return {IpAddress::v4({192, 0, 2, static_cast<std::uint8_t>(n % 12)}), UdpPort{4000}};
}
std::string ufrag_of(std::uint8_t n) { return "ufrag" + std::to_string(n % 6); }

std::vector<std::byte> request(std::uint8_t n) {
  const std::string username = ufrag_of(n) + ":x";
  stun::Contents contents;
  contents.username = username;
  return stun::write(stun::Kind::kRequest, {}, contents, "password");
}

/// News are only written: they must not reach into the table.
class Silent final : public SharedPortNews {
 public:
  void tell_ufrag(SharedPortId, std::string_view ufrag, bool) noexcept override { fact(!ufrag.empty()); }
  void tell_endpoint(WorkerNumber, SharedPortId, const Endpoint& remote,
                     std::optional<BindingProof>) noexcept override {
    fact(remote.is_set());
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  TransportTable transports;
  for (std::uint8_t n = 0; n < kTransports; ++n) {
    transports.put(id_of(n), std::make_unique<TransportEntry>(
                                 id_of(n), std::make_shared<const TransportPlan>(),
                                 std::make_shared<TransportActivity>(), Instant{1h}, Endpoint{}));
  }
  PortTable table(transports);
  Silent news;
  table.set_news(&news);
  const SharedPortId port = table.add_shared({}, kMost);
  // Who may have each endpoint; nothing = nobody. A transport that was made to give way is not in the list
  // of what must be there, so only what is found is compared.
  std::map<std::string, TransportId> bound;
  const auto name = [](const Endpoint& at) { return at.to_string(); };
  Instant now{1h};
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  for (std::size_t i = 0; i + 1 < size; i += 2) {
    const std::uint8_t what = data[i] & 15;
    const auto more = static_cast<std::uint8_t>(data[i] >> 4);
    const std::uint8_t arg = data[i + 1];
    const Endpoint remote = remote_of(arg);
    const std::uint64_t cookie =
        more % 3 == 0 ? make_cookie(port) : make_cookie(port, more % 4, (more & 4) != 0);
    now += std::chrono::milliseconds(more * 40);
    const std::size_t before = table.bindings(port);
    switch (what) {
      case 0:
      case 1:
        static_cast<void>(table.set_ufrag(port, id_of(arg), ufrag_of(more)));
        break;
      case 2:
      case 3:
      case 4:
        if (table.bind(cookie, id_of(more), remote, what == 4 ? BindingProof::kAnswer : BindingProof::kCheck,
                       now)) {
          bound[name(remote)] = id_of(more);
          fact(table.find_bound(make_cookie(port), remote) == transports.find(id_of(more)));
        }
        break;
      case 5:
        table.unbind(port, id_of(more), remote);
        break;
      case 6:
        table.remove(id_of(arg));
        std::erase_if(bound, [&](const auto& each) { return each.second == id_of(arg); });
        break;
      case 7:
        table.drop_former_ufrag(port, id_of(arg));
        break;
      case 8:
        table.set_ufrag_of_other(port, ufrag_of(arg), more % 4, (arg & 64) != 0);
        break;
      case 9:
        table.set_endpoint_of_other(port, remote, more % 4,
                                    (arg & 64) == 0   ? std::nullopt
                                    : (arg & 32) != 0 ? std::optional(BindingProof::kAnswer)
                                                      : std::optional(BindingProof::kCheck),
                                    now);
        break;
      case 10:
        static_cast<void>(table.find(cookie, remote, request(more), now));
        fact(table.bindings(port) == before);
        break;
      default: {
        // A stranger's octets bind nobody, and media finds only who has bound its source.
        const auto found = table.find(cookie, remote, input.subspan(i), now);
        fact(table.bindings(port) == before);
        if (found.entry != nullptr && found.is_bound) fact(bound[name(remote)] == found.entry->id);
        if (found.entry != nullptr && classify(input.subspan(i)) != DatagramClass::kStun) fact(!found.worker);
        break;
      }
    }
    fact(table.bindings(port) <= kMost);
    fact(table.sharers(port) <= kTransports);
  }
  for (std::uint8_t n = 0; n < kTransports; ++n) table.remove(id_of(n));
  for (std::uint8_t n = 0; n < 12; ++n) fact(table.find_bound(make_cookie(port), remote_of(n)) == nullptr);
  fact(table.sharers(port) == 0);
  return 0;
}

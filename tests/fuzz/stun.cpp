// SPDX-License-Identifier: Apache-2.0
// PRC-3: STUN and lines of ICE; an agent whom strangers speak to.
#include "control/sdp/ice.hpp"
#include "relay/core/ice/ice_agent.hpp"
#include "tests/fuzz/facts.hpp"

#include <string_view>

namespace {

using namespace ferry;

class Silent final : public PortOutput {
 public:
  void send(LocalPort /*via*/, const Endpoint& /*to*/, Bytes /*datagram*/) noexcept override { ++sent; }
  int sent = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto message = stun::parse(input)) {
    fact(message->integrity_at < size);
    static_cast<void>(stun::is_authentic(input, *message, "password"));
  }
  // Nobody knows the password: there is no answer (ICE-1).
  IcePlan plan;
  plan.own = {"ufrag", "a password that is not in the seeds"};
  plan.locals = {AddressFamily::kIpv4};
  IceAgent agent;
  Silent out;
  const Instant now{std::chrono::seconds(1)};
  agent.follow(plan, now);
  fact(!agent.take({}, *Endpoint::parse("192.0.2.10:4000"), input, {out, now}));
  fact(out.sent == 0);

  if (const auto candidate = sdp::parse_candidate(text))
    fact(candidate->component == 1 || candidate->component == 2);
  if (const auto fragment = sdp::parse_fragment(text)) fact(fragment->sections.size() <= 33);
  return 0;
}

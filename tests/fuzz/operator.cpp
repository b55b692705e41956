// SPDX-License-Identifier: Apache-2.0
// PRC-3: text commands of rtpengine's field (listen-cli), paths of the HTTP API and requests of the
// operator's socket, on a relay with a call in it.
#include "control/config/parameters.hpp"
#include "control/log/log.hpp"
#include "control/protocol/ng/text_command.hpp"
#include "control/protocol/pages/pages.hpp"
#include "tests/fuzz/facts.hpp"
#include "tests/support/world.hpp"

#include <nlohmann/json.hpp>

namespace {

using namespace ferry;

struct Relay {
  Relay() {
    world->service().set_parameters(&parameters);
    cli::DaemonAccess access;
    access.parameters = &parameters;
    cli.set_daemon(access);
    spdlog::set_level(spdlog::level::off);
  }
  void call() const {
    if (world->manager().find("c") != nullptr) return;
    const Endpoint a{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}};
    const Endpoint b{IpAddress::v4({192, 0, 2, 20}), UdpPort{5000}};
    world->ng(test::offer("c", "A", test::audio_sdp(a)));
    world->ng(test::answer("c", "A", "B", test::audio_sdp(b)));
  }
  std::unique_ptr<test::World> world = test::make_sim_world();
  Parameters parameters{Config{}, [](const Config&) {}};
  cli::CliService cli{world->manager(), world->service(), [this] { return world->clock(); }};
  metrics::Metrics metrics{world->manager(), world->service(), [this] { return world->clock(); }};
  pages::Pages pages{cli, metrics, world->manager()};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static Relay relay;
  relay.call();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string answer =
      ng::run_text_command(text, relay.world->manager(), relay.world->service(), relay.world->clock());
  fact(answer.empty() || answer.ends_with('\n'));
  relay.world->manager().flush(relay.world->clock());
  relay.call();
  if (const auto page = relay.pages.get(text)) fact(page->status >= 200 && page->status < 600);
  fact(relay.world->manager().size() == 1);  // pages read only
  if (const auto request = nlohmann::json::parse(text, nullptr, false); request.is_object())
    fact(relay.cli.execute(request, "fuzz").is_object());
  relay.world->manager().flush(relay.world->clock());
  return 0;
}

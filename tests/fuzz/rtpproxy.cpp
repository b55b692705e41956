// SPDX-License-Identifier: Apache-2.0
// PRC-3, C-01: commands of the rtpproxy protocol, taken apart and carried out.
#include "control/protocol/rtpproxy/command.hpp"
#include "tests/fuzz/facts.hpp"
#include "tests/support/world.hpp"

namespace {

using namespace ferry;

/// The relay of all runs; it is empty after each.
test::World& relay() {
  static const auto world = test::make_sim_world();
  return *world;
}

void carry_out(std::string_view line) {
  const std::string reply = relay().rtpproxy(std::string(line));
  // Five lines of `I`, else one; an error says nothing but its number.
  fact(reply.size() <= 1200);
  if (reply.starts_with('E')) fact(reply.size() <= 3);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto command = rtpproxy::parse_command(text)) {
    fact(command->values.size() < rtpproxy::kMaxTokens &&
         command->subcommands.size() <= rtpproxy::kMaxSubcommands);
  }
  if (const auto modifiers = rtpproxy::parse_signal_modifiers(text, true)) {
    fact(modifiers->codecs.size() <= 64 && modifiers->ptime_ms < 1000);
  }
  if (const auto decoded = rtpproxy::url_decoded(text)) fact(decoded->size() <= size);
  // A dialogue: a command a line, the last ones of a long one left out.
  std::string_view rest = text;
  for (int lines = 0; lines < 32 && !rest.empty(); ++lines) {
    const auto end = std::min(rest.find('\n'), rest.size());
    carry_out(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  carry_out("X");
  fact(relay().manager().size() == 0);
  fact(relay().open_ports() == 0);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Options that choose the engine, and those of the DPDK engine.

#include "control/config/config.hpp"
#include "control/config/option_row.hpp"
#include "control/config/readers.hpp"

namespace ferry {

namespace {

using std::string;
using std::string_view;

string read_engine(Config& config, string_view text) {
  if (text == "auto")
    config.engine = EngineKind::kAuto;
  else if (text == "portable")
    config.engine = EngineKind::kPortable;
  else if (text == "dpdk")
    config.engine = EngineKind::kDpdk;
  else
    return fmt::format("'{}' is none of auto, portable, dpdk", text);
  return {};
}

string read_words(std::vector<string>& target, string_view text) {
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end != 0) target.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

string read_port(DpdkOptions& options, string_view text) {
  // The last `=` counts: a PCI address has none, but the name of a device may.
  const auto equals = text.rfind('=');
  const string_view device = text.substr(0, equals);
  const string_view interface = equals == string_view::npos ? string_view() : text.substr(equals + 1);
  if (device.empty() || (equals != string_view::npos && interface.empty()))
    return fmt::format("'{}' is no DEVICE or DEVICE=INTERFACE", text);
  options.ports.push_back({string(device), string(interface)});
  return {};
}

// clang-format off
constexpr OptionRow kDpdkRows[] = {
  {"engine", 0, OptionKind::kValue, read_engine, "NAME", "who moves packets: auto (default, is portable), portable (a socket per port), dpdk (network ports of its own)"},
  {"dpdk-eal", 0, OptionKind::kList, [](Config& c, string_view v) { return read_words(c.dpdk.eal, v); }, "ARGS", "arguments of DPDK's environment, as in --lcores=0-2 --allow=0000:01:00.0", [](Config& c) { c.dpdk.eal.clear(); }},
  {"dpdk-port", 0, OptionKind::kList, [](Config& c, string_view v) { return read_port(c.dpdk, v); }, "DEVICE[=IF]", "a port of DPDK, and the TAP interface by which the kernel uses it (default: all, ferry0, ferry1, …)", [](Config& c) { c.dpdk.ports.clear(); }},
  {"dpdk-idle", 0, OptionKind::kValue, [](Config& c, string_view v) {
     if (v != "sleep" && v != "poll") return fmt::format("'{}' is neither sleep nor poll", v);
     c.dpdk.sleeps = v == "sleep";
     return string();
   }, "HOW", "workers without packets sleep up to 1 ms (default) or poll"},
  {"dpdk-buffers", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number<std::size_t>(v, c.dpdk.buffers, 0, 1 << 24); }, "N", "packet buffers of 2.7 kB (default 0 = by queues and workers)"},
};
// clang-format on

}  // namespace

std::span<const OptionRow> dpdk_option_rows() { return kDpdkRows; }

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
#include "control/config/parameters.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace ferry {

namespace {

std::string seconds_text(std::chrono::seconds seconds) { return std::to_string(seconds.count()); }
std::string yes_or_no(bool on) { return on ? "yes" : "no"; }

/// Writes a list as the configuration file does: as one value, with `;` between its members.
template <class Each, class Print>
std::string list_text(const std::vector<Each>& list, Print print) {
  std::string text;
  for (const Each& each : list) text.append(text.empty() ? "" : ";").append(print(each));
  return text;
}
std::string networks_text(const std::vector<Network>& networks) {
  return list_text(networks, [](const Network& each) {
    return fmt::format("{}/{}", each.address.to_string(), each.prefix_length);
  });
}
std::string ports_text(const std::vector<PortSpan>& ports) {
  return list_text(ports, [](const PortSpan& each) {
    return each.first == each.last ? std::to_string(each.first.value)
                                   : fmt::format("{}-{}", each.first.value, each.last.value);
  });
}

/// One option that may change, and how it is shown.
struct Row {
  std::string_view name;
  std::string (*read)(const Config& config);
  /// Copies this option alone.
  void (*copy)(Config& to, const Config& from);
};
// clang-format off
constexpr std::array kRows = std::to_array<Row>({
  {"log-level", [](const Config& c) { return std::to_string(c.log_level); }, [](Config& to, const Config& from) { to.log_level = from.log_level; }},
  {"max-sessions", [](const Config& c) { return std::to_string(c.session.max_sessions); }, [](Config& to, const Config& from) { to.session.max_sessions = from.session.max_sessions; }},
  {"max-cpu", [](const Config& c) { return fmt::format("{}", c.session.max_cpu_percent); }, [](Config& to, const Config& from) { to.session.max_cpu_percent = from.session.max_cpu_percent; }},
  {"max-load", [](const Config& c) { return fmt::format("{}", c.session.max_load); }, [](Config& to, const Config& from) { to.session.max_load = from.session.max_load; }},
  {"max-transcoding-load", [](const Config& c) { return fmt::format("{}", c.session.max_transcoding_percent); }, [](Config& to, const Config& from) { to.session.max_transcoding_percent = from.session.max_transcoding_percent; }},
  {"max-bandwidth", [](const Config& c) { return std::to_string(c.session.max_bandwidth_bytes); }, [](Config& to, const Config& from) { to.session.max_bandwidth_bytes = from.session.max_bandwidth_bytes; }},
  {"timeout", [](const Config& c) { return seconds_text(c.session.timeout); }, [](Config& to, const Config& from) { to.session.timeout = from.session.timeout; }},
  {"silent-timeout", [](const Config& c) { return seconds_text(c.session.silent_timeout); }, [](Config& to, const Config& from) { to.session.silent_timeout = from.session.silent_timeout; }},
  {"offer-timeout", [](const Config& c) { return seconds_text(c.session.offer_timeout); }, [](Config& to, const Config& from) { to.session.offer_timeout = from.session.offer_timeout; }},
  {"final-timeout", [](const Config& c) { return seconds_text(c.session.final_timeout); }, [](Config& to, const Config& from) { to.session.final_timeout = from.session.final_timeout; }},
  {"delete-delay", [](const Config& c) { return seconds_text(c.session.delete_delay); }, [](Config& to, const Config& from) { to.session.delete_delay = from.session.delete_delay; }},
  {"flight-recorder", [](const Config& c) { return std::string(to_string(c.flight)); }, [](Config& to, const Config& from) { to.flight = from.flight; }},
  {"measure-rtp", [](const Config& c) { return yes_or_no(c.session.measure_rtp); }, [](Config& to, const Config& from) { to.session.measure_rtp = from.session.measure_rtp; }},
  {"deny-peer", [](const Config& c) { return networks_text(c.session.peers.denied); }, [](Config& to, const Config& from) { to.session.peers.denied = from.session.peers.denied; }},
  {"allow-peer", [](const Config& c) { return networks_text(c.session.peers.allowed); }, [](Config& to, const Config& from) { to.session.peers.allowed = from.session.peers.allowed; }},
  {"deny-peer-ports", [](const Config& c) { return ports_text(c.session.peers.ports); }, [](Config& to, const Config& from) { to.session.peers.ports = from.session.peers.ports; }},
  {"cdr", [](const Config& c) { return yes_or_no(c.cdr); }, [](Config& to, const Config& from) { to.cdr = from.cdr; }},
});
// clang-format on

}  // namespace

std::vector<ParameterAccess::Parameter> Parameters::list() const {
  std::vector<Parameter> parameters;
  for (const Row& row : kRows) {
    const OptionRow* option = find_option(row.name);
    parameters.push_back({row.name, row.read(now_), row.read(at_start_),
                          option == nullptr ? std::string_view() : option->help});
  }
  return parameters;
}

std::string Parameters::set(std::string_view name, std::string_view value) {
  const auto row = std::ranges::find(kRows, name, &Row::name);
  const OptionRow* option = find_option(name);
  if (row == kRows.end() || option == nullptr) {
    if (option != nullptr) return fmt::format("'{}' can only be set at the start", name);
    return fmt::format("no parameter is called '{}'", name);
  }
  Config next = now_;
  // The value replaces the whole list.
  if (option->kind == OptionKind::kList) option->clear(next);
  if (auto wrong = apply_option(next, *option, value); !wrong.empty()) return wrong;
  now_ = std::move(next);
  apply_(now_);
  return {};
}

void Parameters::revert() {
  for (const Row& row : kRows) row.copy(now_, at_start_);
  apply_(now_);
}

void Parameters::take(const Config& config) {
  for (const Row& row : kRows) {
    row.copy(now_, config);
    row.copy(at_start_, config);
  }
  apply_(now_);
}

}  // namespace ferry

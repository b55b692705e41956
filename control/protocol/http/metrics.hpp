// What `/metrics` shows: one table of families, text by prometheus-cpp.
#pragma once

#include "control/protocol/ng/service.hpp"
#include "control/session/manager.hpp"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace ferry::metrics {

enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };
constexpr std::string_view to_string(Kind kind) noexcept {
  return kind == Kind::kCounter ? "counter" : kind == Kind::kGauge ? "gauge" : "histogram";
}

/// A family for people: documents are made of these.
struct FamilyRow {
  std::string_view name;  // with its prefix
  Kind kind = Kind::kCounter;
  std::string_view labels;  // names, divided by commas
  std::string_view meaning;
  std::string_view advice;
};
std::span<const FamilyRow> families();

/// What the daemon adds to what the manager knows; called at each scrape. Any may be empty.
struct Sources {
  std::function<nlohmann::json()> engines;
  std::function<nlohmann::json()> recorder;
  std::function<nlohmann::json()> rtpproxy;
  std::function<nlohmann::json()> connections;
  /// How the control listeners are guarded: loopback, allow-list, token, client-certificate, open.
  std::vector<std::string> exposure;
};

/// Control thread only. No label names a call, a number or an address (CTL-8).
class Metrics {
 public:
  Metrics(SessionManager& manager, const ng::NgService& ng, std::function<Clock()> clock);
  ~Metrics();
  void set_sources(Sources sources);

  /// A call is over.
  void observe(const CallReport& report);
  /// An NG command was answered.
  void observe_request(std::string_view command, Duration time);
  /// The exposition format of Prometheus, text 0.0.4.
  [[nodiscard]] std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ferry::metrics

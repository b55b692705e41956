// How far the handshakes of one component have come, for explanations: with whom, how often, and which alerts
// came. Plain values.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/core/dtls/dtls.hpp"
#include "relay/core/dtls/records.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace ferry {

/// How far a handshake with one source has come at best. Later ones include those before.
enum class DtlsStage : std::uint8_t {
  kNothing,
  kHello,             // our ClientHello left, or a ClientHello came and was sent a cookie
  kUnderWay,          // the cookie came back, or our ClientHello was answered
  kWrongCertificate,  // it showed another certificate than the signalled one
  kUnverified,        // complete, but no fingerprint was signalled yet
  kReady,
};
constexpr std::string_view to_string(DtlsStage stage) noexcept {
  switch (stage) {
    case DtlsStage::kNothing:
      return "nothing";
    case DtlsStage::kHello:
      return "hello";
    case DtlsStage::kUnderWay:
      return "under way";
    case DtlsStage::kWrongCertificate:
      return "wrong certificate";
    case DtlsStage::kUnverified:
      return "unverified";
    case DtlsStage::kReady:
      return "ready";
  }
  return "unknown";
}

/// Bounded. Owned by one component's channel.
struct DtlsEvidence {
  struct Source {
    Endpoint with;  // unset: the place is free
    DtlsStage stage = DtlsStage::kNothing;
    /// Handshakes that began with it, and those that ended because of what came from it.
    std::uint32_t begun = 0;
    std::uint32_t broken = 0;
    /// ClientHellos: those that came from it, or those that were sent to it.
    std::uint32_t hellos = 0;
    /// Whatever came from it.
    std::uint32_t datagrams = 0;
    Instant last{};
    bool operator==(const Source&) const = default;
  };
  struct Alert {
    DtlsAlert alert;
    Endpoint from;
    std::uint32_t times = 0;  // 0: the place is free
    Instant last{};
    bool operator==(const Alert&) const = default;
  };
  /// The first one is of the signalled address and port.
  std::array<Source, 6> sources;
  std::array<Alert, 4> alerts;
  DtlsRole role = DtlsRole::kServer;
  bool operator==(const DtlsEvidence&) const = default;

  /// What is kept of `with`; another source than the first gives way, the one that was there longest ago.
  Source& of(const Endpoint& with, bool is_signalled, Instant now) noexcept {
    Source* place = &sources.front();
    if (!is_signalled) {
      const auto others = sources.begin() + 1;
      auto found = std::find_if(others, sources.end(), [&](const Source& s) { return s.with == with; });
      if (found == sources.end())
        found = std::min_element(others, sources.end(),
                                 [](const Source& a, const Source& b) { return a.last < b.last; });
      place = &*found;
    }
    if (place->with != with && !is_signalled) *place = {};
    place->with = with;  // with ICE the party comes by several pairs
    place->last = now;
    return *place;
  }
  void note(DtlsAlert alert, const Endpoint& from, Instant now) noexcept {
    auto place = std::ranges::find_if(alerts, [&](const Alert& each) {
      return each.alert == alert && each.from == from && each.times > 0;
    });
    if (place == alerts.end()) place = std::ranges::min_element(alerts, {}, &Alert::last);
    const std::uint32_t times = place->alert == alert && place->from == from ? place->times : 0;
    *place = {alert, from, times + 1, now};
  }
  /// With whom a handshake came furthest; null: with nobody.
  [[nodiscard]] const Source* furthest() const noexcept {
    const auto found = std::ranges::max_element(sources, {}, &Source::stage);
    return found->with.is_set() && found->stage != DtlsStage::kNothing ? &*found : nullptr;
  }
};

}  // namespace ferry

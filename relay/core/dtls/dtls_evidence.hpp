// SPDX-License-Identifier: Apache-2.0
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

/// How far a handshake with one source has come at best. A later stage includes those before it.
enum class DtlsStage : std::uint8_t {
  kNothing,
  /// Our ClientHello left, or a ClientHello came and was sent a cookie.
  kHello,
  /// The cookie came back, or our ClientHello was answered.
  kUnderWay,
  /// The source showed another certificate than the signalled one.
  kWrongCertificate,
  /// Complete, but no fingerprint was signalled yet.
  kUnverified,
  /// Complete, and its keys are in force.
  kReady,
};
/// Spelling in replies of commands.
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

/// Bounded: the newest sources and alerts. Owned by one component's channel.
struct DtlsEvidence {
  /// Record of one source.
  struct Source {
    /// Unset: the place is free.
    Endpoint with;
    DtlsStage stage = DtlsStage::kNothing;
    /// Handshakes that began with it, and those that ended because of what came from it.
    std::uint32_t begun = 0;
    std::uint32_t broken = 0;
    /// ClientHellos that came from it, or that were sent to it if we are the client.
    std::uint32_t hellos = 0;
    /// Datagrams of any kind that came from it.
    std::uint32_t datagrams = 0;
    Instant last{};
    bool operator==(const Source&) const = default;
  };
  /// An alert in clear, which anybody may have written.
  struct Alert {
    DtlsAlert alert;
    Endpoint from;
    /// How often it came; 0 = the place is free.
    std::uint32_t times = 0;
    Instant last{};
    bool operator==(const Alert&) const = default;
  };
  /// The first place belongs to the signalled address and port.
  std::array<Source, 6> sources;
  std::array<Alert, 4> alerts;
  /// Our role at present.
  DtlsRole role = DtlsRole::kServer;
  bool operator==(const DtlsEvidence&) const = default;

  /// The record of `with`, made if necessary. The source that was there longest ago gives way, but never the
  /// first one.
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
  /// Counts an alert; the oldest one gives way.
  void note(DtlsAlert alert, const Endpoint& from, Instant now) noexcept {
    auto place = std::ranges::find_if(alerts, [&](const Alert& each) {
      return each.alert == alert && each.from == from && each.times > 0;
    });
    if (place == alerts.end()) place = std::ranges::min_element(alerts, {}, &Alert::last);
    const std::uint32_t times = place->alert == alert && place->from == from ? place->times : 0;
    *place = {alert, from, times + 1, now};
  }
  /// The source with which a handshake came furthest; null if there was none.
  [[nodiscard]] const Source* furthest() const noexcept {
    const auto found = std::ranges::max_element(sources, {}, &Source::stage);
    return found->with.is_set() && found->stage != DtlsStage::kNothing ? &*found : nullptr;
  }
};

}  // namespace ferry

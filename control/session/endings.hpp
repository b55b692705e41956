// Calls that are over, from the closing of their ports until they are forgotten. Internal to the session
// library.
#pragma once

#include "control/session/snapshots.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace ferry {

/// The workers fill in what they knew; then a report is made of it.
struct SessionManager::Ending {
  /// One that expects its ports to be read before they close.
  void expect(const PortSet& ports, RemoveTransport& removal) {
    const MediaId media = ports.plan->sources.front().media;
    auto& entry = snapshots.entries.emplace_back(media, ports.transport == active_of(media),
                                                 Endpoint{ports.local->address, ports.port});
    removal.last = &entry.snapshot;
    flights.push_back({media, entry.local, nullptr});
    removal.flight = &flights.back().ring;
  }
  [[nodiscard]] TransportId active_of(MediaId media) const {
    for (const auto& [id, transport] : active) {
      if (id == media) return transport;
    }
    return {};
  }

  struct Flight {
    MediaId media;
    Endpoint local;
    std::unique_ptr<FlightRing> ring;
  };
  const Call* call = nullptr;  // while its ports close
  CallReport report;           // but for what the workers tell
  CallEvidence evidence;       // as above
  std::vector<std::pair<MediaId, TransportId>> active;
  std::vector<std::vector<MediaId>> medias;  // as in `evidence.legs`
  bool has_verdict = false;                  // made when it was deleted
  Snapshots snapshots;
  std::deque<Flight> flights;  // addresses stay
};

/// A call that ended badly.
struct SessionManager::Kept {
  std::string call_id;
  std::string explanation;  // text of JSON: a tree of it would take several times as much
  std::size_t bytes = 0;
  /// Named as in the explanation.
  struct Flight {
    std::string leg;
    unsigned media = 0;
    Endpoint local;
    std::unique_ptr<FlightRing> ring;
  };
  std::vector<Flight> flights;
};

}  // namespace ferry

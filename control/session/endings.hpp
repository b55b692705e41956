// SPDX-License-Identifier: Apache-2.0
// Calls that are over: from the closing of their ports to the report, and afterwards for `explain`.
#pragma once

#include "control/call/totals.hpp"
#include "control/diagnose/call_evidence.hpp"
#include "control/session/observer.hpp"
#include "control/session/snapshots.hpp"

#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// A call that is ending. The workers fill in what they knew of it; then a report is made.
struct CallEnding {
  /// Asks that the worker's figures and flight recorder of these ports are kept when they close.
  void expect(const LocalPorts& ports, RemoveTransport& removal) {
    CarriedMedias carried;
    for (const SourcePlan& source : ports.plan->sources) carried.add(source.media);
    const bool is_active = std::ranges::find(active, ports.transport) != active.end();
    auto& entry = snapshots.entries.emplace_back(std::move(carried), is_active,
                                                 Endpoint{ports.local->address, ports.port});
    removal.last = &entry.snapshot;
    flights.push_back({entry.medias, entry.local, nullptr});
    removal.flight = &flights.back().ring;
  }

  /// The flight recorder of one transport, and the medias that it carried.
  struct Flight {
    CarriedMedias medias;
    Endpoint local;
    std::unique_ptr<FlightRing> ring;
  };
  /// The call, while its ports close. Null afterwards.
  const Call* call = nullptr;
  /// The report and the evidence, complete except for what the workers tell.
  CallReport report;
  CallEvidence evidence;
  /// The transports that the parties used last.
  std::vector<TransportId> active;
  /// The medias of each leg, in the order of `evidence.legs`.
  std::vector<std::vector<MediaId>> medias;
  /// True if the report has the verdicts from the deletion of the call already.
  bool has_verdict = false;
  /// The workers write into these two, so that their elements must not move.
  CallSnapshots snapshots;
  std::list<Flight> flights;
};

/// A call that ended badly, kept for `explain`.
struct KeptCall {
  /// The Call-ID; of a session of the rtpproxy protocol with a blank and its tag behind.
  std::string call_id;
  /// What was wrong, when it ended and why, and how long it lasted. Plain values: most kept calls are never
  /// asked for, so whoever asks makes JSON of them.
  Explanation explanation;
  WallTime ended{};
  EndReason reason = EndReason::kRegular;
  Duration duration{0};
  /// Octets that it takes, flight recorders included.
  std::size_t bytes = 0;
  /// The flight recorder of one port, with the party and media as the explanation names them.
  struct Flight {
    std::string leg;
    unsigned media = 0;
    Endpoint local;
    std::unique_ptr<FlightRing> ring;
  };
  std::vector<Flight> flights;
};

/// Follows calls as they end. It notes what is known of a call, reads what its ports counted as they close,
/// and reports once the workers have answered. Calls that ended badly are kept for `explain`: the newest 256,
/// and 8 MiB at most. Control thread only. Borrows.
class Endings final : public CallObserver {
 public:
  Endings(SessionTotals& totals, const CallObservers& observers) : totals_(totals), observers_(observers) {}

  /// Begins the end of a call. The same call may be begun twice; the second time nothing happens.
  void begin(Call& call, EndReason reason, const Clock& clock);
  void on_ending(Call& call, EndReason reason, const Clock& clock) override { begin(call, reason, clock); }
  void on_closing(Call& call, const LocalPorts& ports, RemoveTransport& removal) override;
  void on_closed(Call& call) override;
  /// Reports the calls whose figures are complete. To be called after a fence.
  void on_settled() override;

  /// The newest kept call with this Call-ID. A session of the rtpproxy protocol is found by its Call-ID
  /// alone, or with its tag behind. Null if there is none.
  [[nodiscard]] const KeptCall* kept(std::string_view call_id) const;
  /// How many calls are kept, and how many octets they take.
  struct KeptSize {
    std::size_t calls = 0;
    std::size_t bytes = 0;
  };
  [[nodiscard]] KeptSize kept_size() const { return {kept_.size(), kept_bytes_}; }

 private:
  /// Adds the call to the totals.
  void count(const Call& call, EndReason reason, const Clock& clock);
  /// Keeps a call whose report was told.
  void keep(std::unique_ptr<CallEnding> ending);

  SessionTotals& totals_;
  const CallObservers& observers_;
  std::deque<std::unique_ptr<CallEnding>> endings_;
  /// The ending of the call whose ports are being closed. Null if there is none.
  CallEnding* current_ = nullptr;
  /// The newest stands last.
  std::deque<std::unique_ptr<KeptCall>> kept_;
  std::size_t kept_bytes_ = 0;
};

}  // namespace ferry

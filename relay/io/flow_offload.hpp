// In-kernel forwarding as an optimisation that may always say no (design seam 6).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"

#include <cstdint>
#include <functional>
#include <span>

namespace ferry {

/// One locked plain flow: everything that arrives at `local` from `peer` leaves from `out_local` to
/// `out_peer`.
struct OffloadFlow {
  std::uint64_t key = 0;
  Endpoint local;
  Endpoint peer;
  Endpoint out_local;
  Endpoint out_peer;
  std::uint8_t tos = 0;
  bool operator==(const OffloadFlow&) const = default;
};

struct OffloadCounters {
  std::uint64_t key = 0;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  Duration idle{0};
};

enum class OffloadAnswer : std::uint8_t { kTaken, kRefused };

/// Installs flows below the sockets. What it takes it counts; what it refuses goes through user space as
/// ever.
class FlowOffload {
 public:
  virtual ~FlowOffload() = default;
  [[nodiscard]] virtual OffloadAnswer install(const OffloadFlow& flow) = 0;
  [[nodiscard]] virtual OffloadAnswer update(const OffloadFlow& flow) = 0;
  /// Complete when it returns: no packet of the flow is forwarded any more (LAT-13).
  virtual void remove(std::uint64_t key) = 0;
  virtual void read_counters(std::span<OffloadCounters> counters) = 0;
  /// Flows that an earlier process left behind.
  virtual void enumerate(const std::function<void(const OffloadFlow&)>& visit) = 0;
  /// Takes over a flow found by `enumerate`.
  [[nodiscard]] virtual OffloadAnswer adopt(const OffloadFlow& flow) = 0;
  /// Copies of the flow's packets to user space, on or off.
  virtual void sample(std::uint64_t key, bool on) = 0;
};

/// The engine without offload: refuses everything.
class NoOffload final : public FlowOffload {
 public:
  OffloadAnswer install(const OffloadFlow&) override { return OffloadAnswer::kRefused; }
  OffloadAnswer update(const OffloadFlow&) override { return OffloadAnswer::kRefused; }
  void remove(std::uint64_t) override {}
  void read_counters(std::span<OffloadCounters>) override {}
  void enumerate(const std::function<void(const OffloadFlow&)>&) override {}
  OffloadAnswer adopt(const OffloadFlow&) override { return OffloadAnswer::kRefused; }
  void sample(std::uint64_t, bool) override {}
};

}  // namespace ferry

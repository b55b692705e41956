// SPDX-License-Identifier: Apache-2.0
// Makes the reply to `statistics`.
//
// All counters are read once, into `Figures`. A single figure is a row of `kFigures`, and its getter takes it
// from there. Figures that repeat for each interface or worker are written by the functions below the table.
// Parts and names are those of rtpengine, because monitoring scripts read them.

#include "control/protocol/ng/figures.hpp"

#include "control/view/query.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace ferry::ng {

namespace {

/// Sums over all workers, for one local address or for all.
struct Samples {
  std::uint64_t count = 0;
  double sum = 0;
  double square_sum = 0;
  [[nodiscard]] double mean() const { return count == 0 ? 0.0 : sum / static_cast<double>(count); }
  [[nodiscard]] double deviation() const {
    // Rounding may make the variance a little less than 0.
    const double variance = count == 0 ? 0.0 : square_sum / static_cast<double>(count) - mean() * mean();
    return std::sqrt(std::max(0.0, variance));
  }
  void add(const SampleTotals& totals) {
    count += totals.samples.load();
    sum += totals.sum.load();
    square_sum += totals.square_sum.load();
  }
};

struct InterfaceSums {
  Samples mos, jitter, round_trip, round_trip_leg, loss, jitter_measured;
  ComponentCounters counters;
  std::uint64_t lost = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t reordered = 0;
  std::uint64_t resets = 0;

  void add(const InterfaceTotals& totals) {
    mos.add(totals.quality.mos);
    jitter.add(totals.quality.jitter);
    round_trip.add(totals.quality.round_trip);
    round_trip_leg.add(totals.quality.round_trip_leg);
    loss.add(totals.quality.loss);
    jitter_measured.add(totals.quality.jitter_measured);
    counters.packets_in += totals.ingress.packets.load();
    counters.bytes_in += totals.ingress.bytes.load();
    counters.errors_in += totals.ingress.errors.load();
    counters.packets_out += totals.egress.packets.load();
    counters.bytes_out += totals.egress.bytes.load();
    counters.errors_out += totals.egress.errors.load();
    lost += totals.lost.load();
    duplicates += totals.duplicates.load();
    reordered += totals.reordered.load();
    resets += totals.resets.load();
  }
};

struct Figures {
  explicit Figures(const StatisticsSource& source)
      : manager(source.manager),
        totals(source.manager.totals()),
        rates(source.rates),
        uptime(source.uptime),
        share(source.manager.kernel_share()) {
    for (std::size_t w = 0; w < manager.plane().workers(); ++w) {
      const WorkerTotals& worker = manager.plane().worker(w).totals();
      relayed.kernel_packets += worker.offloaded_packets.load();
      relayed.kernel_bytes += worker.offloaded_bytes.load();
      relayed.packets += worker.packets.load();
      relayed.bytes += worker.bytes.load();
      relayed.errors += worker.errors.load();
      for (std::size_t i = 0; i < kMaxInterfaces; ++i) {
        of_interface[i].add(worker.interfaces[i]);
        of_all.add(worker.interfaces[i]);
      }
    }
    for (const auto count : totals.ended) durations.count += count;
    durations.sum = totals.duration_sum_s;
    durations.square_sum = totals.duration_square_sum_s2;
  }
  [[nodiscard]] Value ended(EndReason reason) const { return totals.ended[static_cast<std::size_t>(reason)]; }

  SessionManager& manager;
  const SessionTotals& totals;
  TrafficRates rates;
  Duration uptime;
  /// Counts since the start.
  TrafficRates relayed;
  KernelShare share;
  /// Durations of ended calls, in seconds.
  Samples durations;
  std::array<InterfaceSums, kMaxInterfaces> of_interface{};
  InterfaceSums of_all;
};

struct FigureOf {
  std::string_view part;
  std::string_view name;
  Value (*get)(const Figures& f);
  std::string_view meaning;
};

// clang-format off
constexpr std::array kFigures = std::to_array<FigureOf>({
  {"currentstatistics", "sessionsown", [](const Figures& f) -> Value { return std::uint64_t{f.manager.size()}; }, "calls that exist"},
  {"currentstatistics", "sessionsforeign", [](const Figures&) -> Value { return 0; }, "always 0"},
  {"currentstatistics", "sessionstotal", [](const Figures& f) -> Value { return std::uint64_t{f.manager.size()}; }, "as `sessionsown`"},
  {"currentstatistics", "transcodedmedia", [](const Figures& f) -> Value { return f.manager.plane().converted(); }, "receivers whose audio is converted now"},
  {"currentstatistics", "mediacache", [](const Figures&) -> Value { return 0; }, "always 0"},
  {"currentstatistics", "playercache", [](const Figures&) -> Value { return 0; }, "always 0"},
  {"currentstatistics", "packetrate_user", [](const Figures& f) -> Value { return f.rates.packets - f.rates.kernel_packets; }, "packets that user space forwarded in the last second"},
  {"currentstatistics", "byterate_user", [](const Figures& f) -> Value { return f.rates.bytes - f.rates.kernel_bytes; }, "their octets"},
  {"currentstatistics", "errorrate_user", [](const Figures& f) -> Value { return f.rates.errors; }, "packets that user space dropped in the last second"},
  {"currentstatistics", "packetrate_kernel", [](const Figures& f) -> Value { return f.rates.kernel_packets; }, "packets that the kernel forwarded in the last second"},
  {"currentstatistics", "byterate_kernel", [](const Figures& f) -> Value { return f.rates.kernel_bytes; }, "their octets"},
  {"currentstatistics", "errorrate_kernel", [](const Figures&) -> Value { return 0; }, "always 0"},
  {"currentstatistics", "packetrate", [](const Figures& f) -> Value { return f.rates.packets; }, "packets that were forwarded in the last second"},
  {"currentstatistics", "byterate", [](const Figures& f) -> Value { return f.rates.bytes; }, "their octets"},
  {"currentstatistics", "errorrate", [](const Figures& f) -> Value { return f.rates.errors; }, "packets that were dropped in the last second"},
  {"currentstatistics", "media_userspace", [](const Figures& f) -> Value { return std::uint64_t{f.share.user}; }, "calls whose media user space forwards, or that have none"},
  {"currentstatistics", "media_kernel", [](const Figures& f) -> Value { return std::uint64_t{f.share.kernel}; }, "calls whose media the kernel forwards"},
  {"currentstatistics", "media_mixed", [](const Figures& f) -> Value { return std::uint64_t{f.share.mixed}; }, "calls of which user space forwards one part and the kernel another"},
  {"totalstatistics", "uptime", [](const Figures& f) -> Value { return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(f.uptime).count()); }, "seconds since the start"},
  {"totalstatistics", "managedsessions", [](const Figures& f) -> Value { return f.totals.managed; }, "calls that were set up"},
  {"totalstatistics", "rejectedsessions", [](const Figures& f) -> Value { return f.totals.rejected; }, "calls that a limit refused"},
  {"totalstatistics", "timeoutsessions", [](const Figures& f) -> Value { return f.ended(EndReason::kTimeout); }, "calls that ended because no media came"},
  {"totalstatistics", "silenttimeoutsessions", [](const Figures& f) -> Value { return f.ended(EndReason::kSilentTimeout); }, "calls that ended because no media came while they were on hold"},
  {"totalstatistics", "finaltimeoutsessions", [](const Figures& f) -> Value { return f.ended(EndReason::kFinalTimeout); }, "calls that ended because they had lasted for `final-timeout`"},
  {"totalstatistics", "offertimeoutsessions", [](const Figures& f) -> Value { return f.ended(EndReason::kOfferTimeout); }, "calls that ended because no answer came"},
  {"totalstatistics", "regularterminatedsessions", [](const Figures& f) -> Value { return f.ended(EndReason::kRegular); }, "calls that signalling ended"},
  {"totalstatistics", "forcedterminatedsessions", [](const Figures& f) -> Value { return f.ended(EndReason::kForced); }, "calls that an operator ended"},
  {"totalstatistics", "relayedpackets_user", [](const Figures& f) -> Value { return f.relayed.packets - f.relayed.kernel_packets; }, "packets that user space forwarded"},
  {"totalstatistics", "relayedpacketerrors_user", [](const Figures& f) -> Value { return f.relayed.errors; }, "packets that user space dropped"},
  {"totalstatistics", "relayedbytes_user", [](const Figures& f) -> Value { return f.relayed.bytes - f.relayed.kernel_bytes; }, "octets that user space forwarded"},
  {"totalstatistics", "relayedpackets_kernel", [](const Figures& f) -> Value { return f.relayed.kernel_packets; }, "packets that the kernel forwarded"},
  {"totalstatistics", "relayedpacketerrors_kernel", [](const Figures&) -> Value { return 0; }, "always 0"},
  {"totalstatistics", "relayedbytes_kernel", [](const Figures& f) -> Value { return f.relayed.kernel_bytes; }, "octets that the kernel forwarded"},
  {"totalstatistics", "relayedpackets", [](const Figures& f) -> Value { return f.relayed.packets; }, "packets that were forwarded"},
  {"totalstatistics", "relayedpacketerrors", [](const Figures& f) -> Value { return f.relayed.errors; }, "packets that were dropped"},
  {"totalstatistics", "relayedbytes", [](const Figures& f) -> Value { return f.relayed.bytes; }, "octets that were forwarded"},
  {"totalstatistics", "zerowaystreams", [](const Figures& f) -> Value { return f.totals.zero_way; }, "medias of ended calls in which neither party was heard"},
  {"totalstatistics", "onewaystreams", [](const Figures& f) -> Value { return f.totals.one_way; }, "medias of ended calls in which one party alone was heard"},
  {"totalstatistics", "avgcallduration", [](const Figures& f) -> Value { return seconds_text(f.durations.mean()); }, "mean duration of ended calls, seconds"},
  {"totalstatistics", "totalcallsduration", [](const Figures& f) -> Value { return seconds_text(f.durations.sum); }, "sum of their durations, seconds"},
  {"totalstatistics", "totalcallsduration2", [](const Figures& f) -> Value { return seconds_text(f.durations.square_sum); }, "sum of the squares of their durations"},
  {"totalstatistics", "totalcallsduration_stddev", [](const Figures& f) -> Value { return seconds_text(f.durations.deviation()); }, "standard deviation of their durations, seconds"},
  {"voip_metrics", "packets_lost", [](const Figures& f) -> Value { return f.of_all.lost; }, "lost packets of streams that have ended"},
  {"voip_metrics", "rtp_duplicates", [](const Figures& f) -> Value { return f.of_all.duplicates; }, "packets of theirs that came twice"},
  {"voip_metrics", "rtp_skips", [](const Figures& f) -> Value { return f.of_all.lost; }, "as `packets_lost`"},
  {"voip_metrics", "rtp_seq_resets", [](const Figures& f) -> Value { return f.of_all.resets; }, "how often a sequence began anew"},
  {"voip_metrics", "rtp_reordered", [](const Figures& f) -> Value { return f.of_all.reordered; }, "packets that came behind a later one"},
});
// clang-format on

/// Adds the rows of one part behind what `dict` has, and returns it.
Dict with_rows(Dict dict, std::string_view part, const Figures& figures) {
  for (const FigureOf& row : kFigures) {
    if (row.part == part) dict.set(std::string(row.name), row.get(figures));
  }
  return dict;
}

/// Adds the five values of a measurement (docs/reference/ng.md#statistics).
void add_samples(Dict& dict, const std::string& name, const Samples& samples) {
  dict.set(name + "_total", seconds_text(samples.sum));
  dict.set(name + "2_total", seconds_text(samples.square_sum));
  dict.set(name + "_samples_total", samples.count);
  dict.set(name + "_average", seconds_text(samples.mean()));
  dict.set(name + "_stddev", seconds_text(samples.deviation()));
}

Dict mos_of(const InterfaceSums& sums) {
  Dict dict;
  add_samples(dict, "mos", sums.mos);
  return dict;
}

Dict with_voip_metrics(Dict dict, const InterfaceSums& sums) {
  add_samples(dict, "jitter", sums.jitter);
  add_samples(dict, "rtt_e2e", sums.round_trip);
  add_samples(dict, "rtt_dsct", sums.round_trip_leg);
  add_samples(dict, "packetloss", sums.loss);
  add_samples(dict, "jitter_measured", sums.jitter_measured);
  return dict;
}

/// The pool counts pairs, and the reply counts ports.
Dict ports_of(const PortPool& pool) {
  const auto used = static_cast<std::int64_t>(pool.used() * 2);
  const auto all = static_cast<std::int64_t>(pool.total() * 2);
  Dict ports;
  ports.set("min", std::int64_t{pool.first().value});
  ports.set("max", std::int64_t{pool.last().value});
  ports.set("used", used);
  ports.set("used_pct", fmt::format("{:.2f}", 100.0 * static_cast<double>(used) / static_cast<double>(all)));
  ports.set("free", all - used);
  ports.set("totals", all);
  return ports;
}

Dict interface_of(const std::string& name, const LocalAddress& local, const InterfaceSums& sums) {
  Dict interface;
  interface.set("name", name);
  interface.set("address", local.address.to_string());
  interface.set("ports", ports_of(*local.ports));
  interface.set("packets_lost", sums.lost);
  interface.set("duplicates", sums.duplicates);
  interface.set("voip_metrics", with_voip_metrics(mos_of(sums), sums));
  const ComponentCounters& c = sums.counters;
  interface.set("ingress", counters_dict(c.packets_in, c.bytes_in, c.errors_in));
  interface.set("egress", counters_dict(c.packets_out, c.bytes_out, c.errors_out));
  return interface;
}

List interfaces_of(const Figures& figures) {
  List interfaces;
  for (const LogicalInterface& logical : figures.manager.interfaces().all()) {
    for (const LocalAddress& local : logical.addresses) {
      const std::size_t index = std::min<std::size_t>(local.index, kMaxInterfaces - 1);
      interfaces.emplace_back(interface_of(logical.name, local, figures.of_interface[index]));
    }
  }
  return interfaces;
}

List pollers_of(MediaPlane& plane) {
  List pollers;
  for (std::size_t w = 0; w < plane.workers(); ++w) {
    const WorkerTotals& worker = plane.worker(w).totals();
    Dict poller;
    poller.set("index", w);
    poller.set("pid", worker.thread_id.load());
    poller.set("wakeups", worker.wakeups.load());
    poller.set("items", worker.transports.load());
    pollers.emplace_back(std::move(poller));
  }
  return pollers;
}

Dict buffer_pools_of(MediaPlane& plane) {
  Dict pools;
  for (std::size_t w = 0; w < plane.workers(); ++w) {
    const WorkerTotals& worker = plane.worker(w).totals();
    Dict pool;
    pool.set("buffers", worker.buffers.load());
    pool.set("free", worker.buffers_free.load());
    pools.set(fmt::format("worker {}", w), std::move(pool));
  }
  return pools;
}

}  // namespace

std::string seconds_text(double seconds) { return fmt::format("{:.6f}", seconds); }

std::vector<FigureRow> figure_rows() {
  std::vector<FigureRow> rows;
  for (const FigureOf& row : kFigures) rows.push_back({row.part, row.name, row.meaning});
  return rows;
}

Dict make_statistics(const StatisticsSource& source, Dict control) {
  const Figures figures(source);
  Dict statistics;
  statistics.set("currentstatistics", with_rows({}, "currentstatistics", figures));
  statistics.set("totalstatistics", with_rows({}, "totalstatistics", figures));
  statistics.set("mos", mos_of(figures.of_all));
  statistics.set("voip_metrics", with_rows(with_voip_metrics({}, figures.of_all), "voip_metrics", figures));
  statistics.set("controlstatistics", std::move(control));
  statistics.set("interfaces", interfaces_of(figures));
  statistics.set("transcoders", List{});
  statistics.set("poller_threads", pollers_of(figures.manager.plane()));
  statistics.set("bufferpools", buffer_pools_of(figures.manager.plane()));
  return statistics;
}

}  // namespace ferry::ng

// SPDX-License-Identifier: Apache-2.0
// Runs one check after the other. Each check is a method of `Doctor`: it reads the daemon's facts or the
// host's files and adds a line with `say`. A check that cannot tell (a file or a fact is missing) adds
// nothing.
//
// The reply `facts` may come from an older daemon, so members that were added later are read with a default.

#include "tools/rtpferryctl/doctor.hpp"

#include "control/protocol/connections/close_reason.hpp"
#include "control/protocol/turned_away.hpp"
#include "relay/base/printable.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <sys/timex.h>
#include <unistd.h>

namespace ferry::ctl {

using nlohmann::json;

std::string Host::text(const std::string& path) const {
  std::ifstream file(root_ + path);
  std::stringstream all;
  if (file) all << file.rdbuf();
  return all.str();
}

std::optional<std::string> Host::line(const std::string& path) const {
  std::ifstream file(root_ + path);
  std::string first;
  if (!file || !std::getline(file, first)) return std::nullopt;
  return first;
}

std::optional<std::int64_t> Host::number(const std::string& path) const {
  const auto first = line(path);
  if (!first) return std::nullopt;
  std::int64_t value = 0;
  return std::sscanf(first->c_str(), "%ld", &value) == 1 ? std::optional(value) : std::nullopt;
}

std::size_t Host::count(const std::string& path, std::string_view prefix) const {
  std::error_code ignored;
  std::size_t found = 0;
  for (const auto& each : std::filesystem::directory_iterator(root_ + path, ignored))
    found += each.path().filename().string().starts_with(prefix) ? 1u : 0u;
  return found;
}

bool Host::exists(const std::string& path) const {
  std::error_code ignored;
  return std::filesystem::exists(root_ + path, ignored);
}

std::optional<std::string> Host::firewall() const {
  if (!root_.empty()) return exists("/nftables") ? std::optional(text("/nftables")) : std::nullopt;
  if (geteuid() != 0) return std::nullopt;
  FILE* program = popen("nft list ruleset 2>/dev/null", "r");
  if (program == nullptr) return std::nullopt;
  std::string all;
  char piece[4096];
  for (std::size_t n = 0; (n = fread(piece, 1, sizeof piece, program)) > 0;) all.append(piece, n);
  return pclose(program) == 0 ? std::optional(all) : std::nullopt;
}

std::optional<bool> Host::is_clock_synchronized() const {
  if (!root_.empty()) {
    const auto told = number("/clock_synchronized");
    return told ? std::optional(*told != 0) : std::nullopt;
  }
  timex status{};
  const int state = adjtimex(&status);
  if (state < 0) return std::nullopt;
  return state != TIME_ERROR && (status.status & STA_UNSYNC) == 0;
}

namespace {

/// Placeholder for the client in the advice of a row.
constexpr std::string_view kNetwork = "NETWORK";

class Doctor {
 public:
  Doctor(const json& facts, const Host& host) : facts_(facts), host_(host) {}

  std::vector<Check> run() {
    offload();
    dpdk();
    bpf_files();
    queues();
    socket_buffers();
    descriptors();
    watches();
    port_range();
    ice_ports();
    ports_left();
    port_failures();
    conntrack();
    firewall();
    mtu();
    clock();
    exposure();
    connections();
    safety();
    recordings();
    media_threads();
    work_after_calls();
    return std::move(checks_);
  }

 private:
  void say(std::string name, Health health, std::string finding, std::string advice = {}) {
    checks_.push_back({std::move(name), health, std::move(finding),
                       health == Health::kOk ? std::string() : std::move(advice)});
  }
  /// Names of the network interfaces with our addresses, each once, without loopback.
  [[nodiscard]] std::vector<std::string> links() const {
    std::vector<std::string> found;
    for (const json& range : facts_["ranges"]) {
      for (const json& link : range["links"]) {
        const auto name = link.get<std::string>();
        if (name != "lo" && std::ranges::find(found, name) == found.end()) found.push_back(name);
      }
    }
    return found;
  }
  /// True if the kernel forwards media on any interface.
  [[nodiscard]] bool kernel_forwards() const {
    return std::ranges::any_of(facts_["engines"]["offload"],
                               [](const json& each) { return each["mode"] != "off"; });
  }

  /// Checks the forwarding in the kernel: without it, plain calls cost about seven times the CPU.
  void offload() {
    if (facts_["engines"].contains("dpdk")) {
      say("offload", Health::kOk, "not used: the engine dpdk takes the packets before the kernel sees them");
      return;
    }
    if (!facts_["offload_wanted"].get<bool>()) {
      say("offload", Health::kWarn, "in-kernel forwarding is switched off (offload=off)",
          "offload=auto forwards plain calls at a seventh of the CPU");
      return;
    }
    if (facts_["engines"]["offload"].empty()) {
      say("offload", Health::kWarn,
          fmt::format("no interface has in-kernel forwarding: {}",
                      facts_["engines"].value("offload_reason", "no rights, or only loopback addresses")),
          "give CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (AmbientCapabilities=), or start as root with user=");
      return;
    }
    for (const json& each : facts_["engines"]["offload"]) {
      const auto mode = each["mode"].get<std::string>();
      say("offload on " + each["interface"].get<std::string>(), mode == "off" ? Health::kWarn : Health::kOk,
          fmt::format("{}: {}", mode, each["reason"].get<std::string>()),
          "all media of that interface goes through user space");
    }
  }

  /// Checks what the DPDK engine needs of the host.
  void dpdk() {
    if (!facts_["engines"].contains("dpdk")) return;
    const json& dpdk = facts_["engines"]["dpdk"];
    const bool is_real =
        std::ranges::any_of(dpdk["ports"], [](const json& port) { return !port["virtual"].get<bool>(); });
    const auto memory = dpdk["memory"].get<std::string>();
    const bool lacks_pages = is_real && memory != "hugepages";
    say("dpdk memory", lacks_pages ? Health::kWarn : Health::kOk,
        fmt::format("{}{}", memory,
                    is_real || memory == "hugepages" ? "" : ", which software drivers do not need"),
        "dpdk-hugepages.py --setup 1G, and take --no-huge out of dpdk-eal");
    const bool has_iommu = host_.count("/sys/class/iommu", "") != 0;
    say("dpdk iommu", is_real && !has_iommu ? Health::kWarn : Health::kOk,
        has_iommu ? "the host has one"
        : is_real ? "the host has none: a device may write to any memory"
                  : "no device of the bus is used",
        "boot with intel_iommu=on (or amd_iommu=on) iommu=pt, and bind devices to vfio-pci");
    for (const json& port : dpdk["ports"]) dpdk_port(port, dpdk["worker_nodes"]);
  }
  void dpdk_port(const json& port, const json& worker_nodes) {
    const auto workers = facts_["workers"].get<unsigned>();
    const auto driver = port["driver"].get<std::string>();
    const auto node = port["numa_node"].get<int>();
    const std::string name = "dpdk port " + port["device"].get<std::string>();
    const std::string what =
        fmt::format("{}, for the kernel {}", driver, port["interface"].get<std::string>());
    if (!port["up"].get<bool>())
      say(name, Health::kFail, what + ": no link", "look at cable, switch and driver");
    else if (driver == "net_af_packet" || driver == "net_af_xdp" || driver == "net_tap" ||
             driver == "net_pcap")
      say(name, Health::kWarn, what + ": each packet passes the kernel all the same",
          "engine=portable with offload=auto is faster; DPDK gains with a device of its own");
    else if (std::ranges::any_of(worker_nodes, [&](const json& each) { return node >= 0 && each != node; }))
      say(name, Health::kWarn, fmt::format("{}: on NUMA node {}, workers are on others too", what, node),
          "choose lcores of that node with --lcores in dpdk-eal");
    else if (port["rx_queues"].get<unsigned>() < workers || port["tx_queues"].get<unsigned>() < workers)
      say(name, Health::kWarn,
          fmt::format("{}: {} receive and {} transmit queues for {} workers", what, port["rx_queues"].dump(),
                      port["tx_queues"].dump(), workers),
          "worker 0 receives or sends for others: fewer workers, or a device with more queues");
    else
      say(name, Health::kOk, what);
  }

  void bpf_files() {
    const std::string mounts = host_.text("/proc/mounts");
    const bool is_mounted = mounts.find(" bpf ") != std::string::npos;
    if (host_.line("/proc/sys/kernel/unprivileged_bpf_disabled").value_or("") == "1" && !kernel_forwards())
      say("bpf", Health::kWarn, "BPF is closed to programs without rights", "see offload");
    else
      say("bpf", Health::kOk,
          is_mounted ? "bpffs is mounted" : "bpffs is not mounted; nothing of ours is pinned");
  }

  /// Checks network cards: with fewer receive queues than workers, some cores get no packets from the card.
  void queues() {
    const auto workers = facts_["workers"].get<std::size_t>();
    for (const std::string& link : links()) {
      const std::string base = "/sys/class/net/" + link;
      const std::size_t queues = host_.count(base + "/queues", "rx-");
      if (queues == 0) continue;
      const bool is_real = host_.exists(base + "/device");
      const std::string interrupts = host_.text("/proc/interrupts");
      std::size_t lines = 0;
      for (std::size_t at = 0; (at = interrupts.find(link, at)) != std::string::npos; ++at) ++lines;
      const bool is_narrow = is_real && queues < workers;
      say("queues of " + link, is_narrow ? Health::kWarn : Health::kOk,
          fmt::format("{} receive queues{}, {} workers", queues,
                      lines > 0 ? fmt::format(", {} interrupts", lines) : "", workers),
          fmt::format("ethtool -L {} combined {}: else one core receives everything", link, workers));
    }
  }

  /// Checks the default of receive buffers, which hold a burst until a worker reads it.
  void socket_buffers() {
    constexpr std::int64_t kLeast = 212'992;
    const auto size = host_.number("/proc/sys/net/core/rmem_default");
    if (!size) return;
    say("socket buffers", *size < kLeast ? Health::kWarn : Health::kOk,
        fmt::format("net.core.rmem_default is {}", *size),
        fmt::format("sysctl -w net.core.rmem_default={}: bursts are lost before they are read", kLeast));
  }

  /// Checks the descriptor limit against all media ports and connections.
  void descriptors() {
    const auto limit = facts_["descriptor_limit"].get<std::uint64_t>();
    const auto wanted = facts_["descriptors_wanted"].get<std::uint64_t>();
    say("descriptors", limit < wanted ? Health::kWarn : Health::kOk,
        fmt::format("the limit is {}, the port ranges can use {}", limit, wanted),
        fmt::format("LimitNOFILE={} in the unit: {} calls fit now", wanted, limit / 6));
  }

  /// Checks for calls that were refused because no port could be had; old refusals are no failure.
  void port_failures() {
    constexpr std::int64_t kRecent = 600;
    for (const json& each : facts_.value("port_failures", json::array())) {
      const auto age = each["age_s"].get<std::int64_t>();
      say(fmt::format("ports refused ({})", each["reason"].get<std::string>()),
          age < kRecent ? Health::kFail : Health::kOk,
          fmt::format("{}: {} times, the last {} s ago", each["text"].get<std::string>(),
                      each["times"].get<std::uint64_t>(), age),
          each["advice"].get<std::string>());
    }
  }

  void watches() {
    const auto limit = host_.number("/proc/sys/fs/epoll/max_user_watches");
    const auto wanted = facts_["descriptors_wanted"].get<std::int64_t>();
    if (limit)
      say("epoll watches", *limit < wanted ? Health::kWarn : Health::kOk,
          fmt::format("fs.epoll.max_user_watches is {}", *limit),
          fmt::format("sysctl -w fs.epoll.max_user_watches={}: ports beyond it are not heard", wanted));
  }

  void port_range() {
    const auto local = host_.line("/proc/sys/net/ipv4/ip_local_port_range");
    long first = 0;
    long last = 0;
    if (!local || std::sscanf(local->c_str(), "%ld %ld", &first, &last) != 2) return;
    for (const json& range : facts_["ranges"]) {
      const auto low = range["first"].get<long>();
      const auto high = range["last"].get<long>();
      const std::string name =
          fmt::format("ports {}-{} of {}", low, high, range["address"].get<std::string>());
      if (high < first || low > last) {
        say(name, Health::kOk, fmt::format("outside the host's own range {}-{}", first, last));
        continue;
      }
      const bool is_reserved = reserves(low, high);
      say(name, is_reserved ? Health::kOk : Health::kWarn,
          is_reserved ? "inside the host's own range, and reserved"
                      : fmt::format("other programs may take ports of it: the host's own range is {}-{}",
                                    first, last),
          fmt::format("sysctl -w net.ipv4.ip_local_reserved_ports={}-{}", low, high));
    }
  }
  /// Checks the ports that all ICE legs share. The daemon does not start without one that it was told to
  /// open.
  void ice_ports() {
    // The sum of all such calls arrives at one socket, so it asks for a larger buffer than others.
    constexpr std::int64_t kWanted = 8 << 20;
    std::vector<std::int64_t> ports;
    for (const json& range : facts_["ranges"]) {
      // Older daemons do not tell.
      const auto port = range.value("ice_port", std::int64_t{0});
      if (port != 0 && std::ranges::find(ports, port) == ports.end()) ports.push_back(port);
    }
    if (ports.empty()) return;
    const std::string all = fmt::format("{}", fmt::join(ports, ", "));
    const bool is_in_container = host_.exists("/.dockerenv") || host_.exists("/run/.containerenv");
    say("ice-port", Health::kOk,
        fmt::format(
            "{} is open, for all parties with ICE and rtcp-mux{}", all,
            is_in_container ? ". The container has to publish it as UDP, under the same number" : ""));
    const auto local = host_.line("/proc/sys/net/ipv4/ip_local_port_range");
    long first = 0;
    long last = 0;
    const bool has_range = local && std::sscanf(local->c_str(), "%ld %ld", &first, &last) == 2;
    for (const std::int64_t port : ports) {
      if (!has_range || port < first || port > last || reserves(port, port)) continue;
      say(fmt::format("ice-port {}", port), Health::kWarn,
          fmt::format("another program may take it while the daemon is down: the host's own range is {}-{}",
                      first, last),
          fmt::format("sysctl -w net.ipv4.ip_local_reserved_ports={}, or a port outside that range", port));
    }
    const auto most = host_.number("/proc/sys/net/core/rmem_max");
    if (most)
      say("ice-port buffer", *most < kWanted ? Health::kWarn : Health::kOk,
          fmt::format("net.core.rmem_max is {}", *most),
          fmt::format("sysctl -w net.core.rmem_max={}: all calls at that port share one buffer per worker",
                      kWanted));
  }
  [[nodiscard]] bool reserves(long low, long high) const {
    std::stringstream list(host_.line("/proc/sys/net/ipv4/ip_local_reserved_ports").value_or(""));
    for (std::string part; std::getline(list, part, ',');) {
      long from = 0;
      long to = 0;
      const int read = std::sscanf(part.c_str(), "%ld-%ld", &from, &to);
      if (read == 1) to = from;
      if (read >= 1 && from <= low && to >= high) return true;
    }
    return false;
  }

  void ports_left() {
    for (const json& range : facts_["ranges"]) {
      const auto used = range["used"].get<double>();
      const auto pairs = range["pairs"].get<double>();
      const double share = pairs > 0 ? used / pairs : 1;
      if (share < 0.8) continue;
      say("ports of " + range["address"].get<std::string>(), share < 0.95 ? Health::kWarn : Health::kFail,
          fmt::format("{:.0f} of {:.0f} pairs are in use", used, pairs),
          "widen port-min to port-max, or add an address");
    }
  }

  void conntrack() {
    const auto count = host_.number("/proc/sys/net/netfilter/nf_conntrack_count");
    const auto limit = host_.number("/proc/sys/net/netfilter/nf_conntrack_max");
    if (!count || !limit) {
      say("conntrack", Health::kOk, "connection tracking is not loaded");
      return;
    }
    const bool is_full = *count * 10 > *limit * 9;
    say("conntrack",
        is_full      ? Health::kFail
        : *count > 0 ? Health::kWarn
                     : Health::kOk,
        fmt::format("{} of {} connections are tracked", *count, *limit),
        is_full ? "new streams are dropped: raise nf_conntrack_max, or notrack the media ports"
                : "each stream costs a lookup: nft add rule … udp dport PORTS notrack");
  }

  void firewall() {
    const auto rules = host_.firewall();
    if (!rules) {
      say("firewall", Health::kOk, "rules cannot be read without rights: run doctor as root");
      return;
    }
    const bool filters = rules->find("hook input") != std::string::npos ||
                         rules->find("hook prerouting") != std::string::npos ||
                         rules->find("hook ingress") != std::string::npos;
    if (!filters) {
      say("firewall", Health::kOk, "no rules for what arrives");
      return;
    }
    const bool is_passed_by = kernel_forwards();
    say("firewall", Health::kWarn,
        is_passed_by ? "there are input rules, and streams in the kernel pass before them (XDP, tc)"
                     : "there are input rules",
        is_passed_by ? "what must be filtered needs the peer's address in signalling, or offload=off; and "
                       "the rules must accept UDP to the port range"
                     : "they must accept UDP to the port range");
  }

  void mtu() {
    constexpr std::int64_t kUsual = 1500;
    for (const std::string& link : links()) {
      const auto size = host_.number("/sys/class/net/" + link + "/mtu");
      if (size)
        say("mtu of " + link, *size < kUsual ? Health::kWarn : Health::kOk, fmt::format("{}", *size),
            "large video packets will be fragmented or lost");
    }
  }

  void clock() {
    const auto is_synchronized = host_.is_clock_synchronized();
    if (is_synchronized)
      say("clock", *is_synchronized ? Health::kOk : Health::kWarn,
          *is_synchronized ? "follows a time server" : "follows no time server",
          "run chrony or systemd-timesyncd: records and captures of several hosts do not fit together else");
    const auto source = host_.line("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    if (source) {
      const bool is_slow = *source == "hpet" || *source == "acpi_pm" || *source == "refined-jiffies";
      say("clock source", is_slow ? Health::kWarn : Health::kOk, *source,
          "each look at the clock is a slow access: boot with clocksource=tsc if the host allows");
    }
  }

  void exposure() {
    const auto& ways = facts_["exposure"];
    const auto has = [&](std::string_view way) {
      return std::ranges::any_of(ways, [&](const json& each) { return each == way; });
    };
    if (has("open"))
      say("control", Health::kFail, "anybody who reaches a control listener may use it (allow-open-control)",
          "name networks with control-allow");
    else
      say("control", Health::kOk,
          has("allow-list") ? "for the networks of control-allow" : "on loopback and Unix sockets");
    for (const json& each : facts_["refused_sources"]) refused_source(each);
    if (const auto count = refused_from_media(); count != 0)
      say("control from media ports", Health::kFail,
          fmt::format("{} datagrams for a control listener came from open media ports and were refused",
                      count),
          "somebody's SDP names a control port (LAT-11a): rtpferryctl list, explain; deny-peer keeps such "
          "addresses out");
    for (const json& each : facts_["unknown_interfaces"])
      say("interface " + each["name"].get<std::string>(), Health::kWarn,
          fmt::format("{} requests named it and got the default address: it does not exist",
                      each["count"].dump()),
          "correct direction= in the proxy's script or the names of interface=; direction-strict=yes refuses "
          "such calls");
    const auto is_remote = [](const json& listener) {
      return !listener.get_ref<const std::string&>().starts_with("127.") &&
             !listener.get_ref<const std::string&>().starts_with("[::1]");
    };
    const bool has_secret =
        facts_["has_http_token"].get<bool>() || facts_["asks_client_certificate"].get<bool>();
    const bool is_http_remote = std::ranges::any_of(facts_["listeners"]["http"], is_remote) ||
                                std::ranges::any_of(facts_["listeners"]["https"], is_remote);
    if (is_http_remote && !has_secret)
      say("http", Health::kWarn, "HTTP is reachable from other hosts without a secret",
          "http-token, or https-client-ca; metrics and the API answer this host alone until then");
    if (std::ranges::any_of(facts_["listeners"]["http"], is_remote) && has_secret)
      say("http", Health::kWarn, "the token travels in the clear", "use listen-https");
  }

  /// Describes a client that a control listener refused: which, where, when, how often, and what would let it
  /// in.
  void refused_source(const json& each) {
    const auto source = each["source"].get<std::string>();
    // Older daemons do not tell where, why and when.
    const auto listener = each.value("listener", "");
    const auto why = each.value("why", "");
    const auto* const found = std::ranges::find(kTurnedAwayRows, std::string_view(why), &TurnedAwayRow::name);
    const TurnedAwayRow& row = found == kTurnedAwayRows.end() ? row_of(TurnedAway::kNotAllowed) : *found;
    const std::string when = each.contains("last_age_s")
                                 ? fmt::format(", first {} s and last {} s ago", each["first_age_s"].dump(),
                                               each["last_age_s"].dump())
                                 : std::string();
    std::string advice(row.advice);
    if (const auto place = advice.find(kNetwork); place != std::string::npos)
      advice.replace(place, kNetwork.size(),
                     fmt::format("{}/{}", source, source.find(':') == std::string::npos ? 32 : 128));
    say("control from " + source, Health::kWarn,
        fmt::format("{} refused{}{}: {}", each["count"].dump(), listener.empty() ? "" : " by " + listener,
                    when, row.text),
        advice);
  }

  /// Checks which connections the control listeners closed (CTL-12).
  [[nodiscard]] std::uint64_t refused_from_media() const {
    static const json::json_pointer kPlace("/connections/refused/media-port");
    // An older daemon does not tell it.
    return facts_.value(kPlace, std::uint64_t{0});
  }

  void connections() {
    if (!facts_.contains("connections")) return;  // an older daemon
    const json& figures = facts_["connections"];
    const auto open = figures["open"].get<std::uint64_t>();
    const auto limit = figures["limit"].get<std::uint64_t>();
    say("connections", open * 10 > limit * 9 ? Health::kWarn : Health::kOk,
        fmt::format("{} of {}", open, limit), "raise max-clients, or look at who connects (ss -tnp)");
    if (const auto pauses = figures["pauses"].get<std::uint64_t>(); pauses != 0)
      say("descriptors for clients", Health::kFail,
          fmt::format("{} times no descriptor was left for a client", pauses),
          "raise the limit of descriptors (LimitNOFILE=, ulimit -n)");
    for (const CloseReasonRow& row : kCloseReasonRows) {
      const auto count = figures["closed"].value(std::string(row.name), std::uint64_t{0});
      if (count != 0 && row.is_trouble)
        say(fmt::format("connections closed: {}", row.name), Health::kWarn,
            fmt::format("{}: {}", count, row.meaning), std::string(row.advice));
    }
  }

  void safety() {
    if (facts_["latch"] == "any" || !facts_["latch_by_rules"].get<bool>())
      say("latch", Health::kFail, "media is accepted from any source",
          "latch=signalled; received-from from the proxy for clients behind NAT");
    if (facts_["core_dumps"].get<bool>())
      say("core dumps", Health::kWarn, "they contain the keys of encrypted calls", "core-dumps=no");
    // Older daemons do not tell.
    if (facts_.value("uid", 1) == 0)
      say("user", Health::kWarn, "the daemon runs as root",
          "give its folders to another user, and take user=root out of the configuration");
    if (!facts_.value("confined", true))
      say("system calls", Health::kWarn, "the daemon has no filter of system calls",
          "a kernel with seccomp; the log says what it refused");
  }

  void recordings() {
    const auto folder = facts_["recording_dir"].get<std::string>();  // as it is printed
    if (folder.empty()) return;
    std::error_code failed;
    const auto space = std::filesystem::space(from_printable(folder), failed);
    if (failed) {
      say("recordings", Health::kWarn, fmt::format("{}: {}", folder, failed.message()),
          "run doctor as the daemon's user, or look at the folder");
      return;
    }
    const double share =
        space.capacity == 0 ? 0 : static_cast<double>(space.available) / static_cast<double>(space.capacity);
    say("recordings",
        share < 0.05   ? Health::kFail
        : share < 0.15 ? Health::kWarn
                       : Health::kOk,
        fmt::format("{:.0f} % of the disk of {} is free", 100 * share, folder),
        "recording-retention, recording-quota, or a larger disk");
  }

  /// Checks whether media threads have time for more conversions. Older daemons have none.
  void media_threads() {
    const json threads = facts_["engines"].value("media_threads", json::array());
    if (threads.empty()) return;
    const auto limit = facts_.value("max_transcoding_load", 0.0);
    double least = 100;
    std::size_t streams = 0;
    for (const json& thread : threads) {
      least = std::min(least, thread.value("load", 0.0));
      streams += thread.value("streams", std::size_t{0});
    }
    const bool is_full = limit > 0 && least >= limit;
    say("media threads", is_full ? Health::kWarn : Health::kOk,
        fmt::format("{} streams on {} threads, the least busy one at {:.0f} %{}", streams, threads.size(),
                    least, is_full ? ": offers that ask for conversion are refused" : ""),
        "more cores (media-threads), another relay, or fewer codecs to convert");
  }

  /// Checks hooks, notifications and uploads (CTL-15).
  void work_after_calls() {
    const json recorder = facts_.value("recorder", json());
    if (!recorder.is_object()) return;
    const auto folder = recorder.value("work_folder", "");
    const auto failed = recorder.value("work_failed", std::uint64_t{0});
    const auto trouble = recorder.value("work_trouble", "");
    if (!trouble.empty())
      say("work after calls", Health::kWarn,
          fmt::format("a restart forgets what hooks, notifications and uploads are undone: {}", trouble),
          "give the daemon's user a state-dir that it may write to");
    else if (failed != 0)
      say("work after calls", Health::kWarn,
          fmt::format("{} entries were given up: {}/failed", failed, folder),
          "each entry says why; move it up one folder and restart the daemon to have it tried again, or "
          "remove it");
    else if (!folder.empty())
      say("work after calls", Health::kOk,
          fmt::format("{} hooks, notifications and uploads wait",
                      recorder.value("work_waiting", std::uint64_t{0})));
  }

  const json& facts_;
  const Host& host_;
  std::vector<Check> checks_;
};

}  // namespace

std::vector<Check> examine(const json& facts, const Host& host) { return Doctor(facts, host).run(); }

}  // namespace ferry::ctl

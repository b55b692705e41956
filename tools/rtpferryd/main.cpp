// The daemon: reads the configuration, builds the parts, hands them to each other, runs the control loop.

#include "codecs/audio/audio_decoder.hpp"
#include "control/config/config.hpp"
#include "control/config/parameters.hpp"
#include "control/log/log.hpp"
#include "control/protocol/cli/cli_server.hpp"
#include "control/protocol/cli/text_listener.hpp"
#include "control/protocol/http/pages.hpp"
#include "control/protocol/ng/http_server.hpp"
#include "control/protocol/ng/listeners.hpp"
#include "control/protocol/ng/notifier.hpp"
#include "control/protocol/rtpp/listeners.hpp"
#include "control/protocol/rtpp/notifier.hpp"
#include "control/protocol/udp_listener.hpp"
#include "recorder/recorder.hpp"
#include "relay/bpf/bpf_engine.hpp"
#include "relay/dtls/openssl_dtls.hpp"
#include "relay/io/portable/socket_address.hpp"
#include "relay/srtp/backends.hpp"
#include "tools/rtpferryd/engine.hpp"
#include "tools/rtpferryd/rights.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <span>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <malloc.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ferry {
namespace {

Clock system_clocks() {
  return {std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()),
          std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now())};
}

/// The pid file; removed at the end only if it is still the regular file that we made.
class PidFile {
 public:
  explicit PidFile(const std::string& path) : path_(path) {
    if (path.empty()) return;
    struct stat info {};
    if (lstat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
      throw std::runtime_error(fmt::format("pidfile: '{}' exists and is no regular file", path));
    }
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
      throw std::runtime_error(fmt::format("pidfile: cannot write '{}': {}", path, strerror(errno)));
    const std::string text = fmt::format("{}\n", getpid());
    const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    fstat(fd, &ours_);
    close(fd);
    if (!written) throw std::runtime_error(fmt::format("pidfile: cannot write '{}'", path));
  }
  ~PidFile() {
    struct stat now {};
    if (path_.empty() || lstat(path_.c_str(), &now) != 0) return;
    if (S_ISREG(now.st_mode) && now.st_dev == ours_.st_dev && now.st_ino == ours_.st_ino)
      unlink(path_.c_str());
  }
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

 private:
  std::string path_;
  struct stat ours_ {};
};

/// For all media ports: each call needs four, and two more once its peers are locked.
std::size_t wanted_descriptors(const InterfaceSet& interfaces) {
  std::size_t wanted = 1024;
  for (const auto& logical : interfaces.all()) {
    for (const auto& local : logical.addresses)
      wanted += local.ports->total() * 3;  // and one connected socket a pair
  }
  return wanted;
}

/// As many descriptors as the kernel allows.
void raise_descriptor_limit(const InterfaceSet& interfaces) {
  const std::size_t wanted = wanted_descriptors(interfaces);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= wanted) return;
  rlimit better = limit;
  better.rlim_cur = wanted;
  better.rlim_max = std::max<rlim_t>(limit.rlim_max, wanted);
  if (setrlimit(RLIMIT_NOFILE, &better) == 0) return;
  better = limit;
  better.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &better);
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted) {
    log::warn("descriptor limit is {}: enough for {} media ports, the port ranges have {}", limit.rlim_cur,
              limit.rlim_cur, wanted);
  }
}

/// Share of CPU time the host spent working since the last call, and the load average.
class HostLoad {
 public:
  LoadFigures read(std::uint64_t bytes_per_second) {
    LoadFigures figures;
    figures.bytes_per_second = bytes_per_second;
    double average = 0;
    if (getloadavg(&average, 1) == 1) figures.load_average = average;
    std::ifstream stat("/proc/stat");
    std::string cpu;
    std::uint64_t field = 0;
    std::uint64_t total = 0;
    std::uint64_t idle = 0;
    stat >> cpu;
    for (int i = 0; i < 8 && stat >> field; ++i) {
      total += field;
      if (i == 3 || i == 4) idle += field;
    }
    if (total > total_) {
      figures.cpu_percent =
          100.0 * (1.0 - static_cast<double>(idle - idle_) / static_cast<double>(total - total_));
    }
    total_ = total;
    idle_ = idle;
    return figures;
  }

 private:
  std::uint64_t total_ = 0;
  std::uint64_t idle_ = 0;
};

/// Whether this process comes near what it may use: its address space limit or its control group's.
class MemoryWatch {
 public:
  MemoryWatch() {
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
      if (line.starts_with("0::")) group_file_ = "/sys/fs/cgroup" + line.substr(3) + "/memory.max";
    }
  }
  bool is_short() {
    // Looking costs some microseconds: not for every call.
    if (asked_++ % kCallsBetween == 0) short_ = look();
    return short_;
  }

 private:
  static constexpr unsigned kCallsBetween = 32;
  /// Freed memory that the allocator keeps counts as free.
  static bool near(std::uint64_t used, std::uint64_t kept, std::uint64_t limit) {
    return used > kept && used - kept > limit - limit / 20;
  }
  [[nodiscard]] bool look() const {
    std::ifstream file("/proc/self/statm");
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    if (!(file >> size >> resident)) return false;
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    const std::uint64_t kept = mallinfo2().fordblks;
    rlimit limit{};
    getrlimit(RLIMIT_AS, &limit);
    if (limit.rlim_cur != RLIM_INFINITY && near(size * page, kept, limit.rlim_cur)) return true;
    std::uint64_t group = 0;
    return std::ifstream(group_file_) >> group && near(resident * page, kept, group);
  }
  std::string group_file_;
  unsigned asked_ = 0;
  bool short_ = false;
};

/// The host's own address on the way to `peer`.
std::optional<IpAddress> route_to(const IpAddress& peer) {
  const SocketAddress to(Endpoint{peer, UdpPort{9}});
  const int fd = socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  SocketAddress own;
  // Connecting a datagram socket sends nothing: it only looks the route up.
  const bool found =
      connect(fd, to.get(), to.size()) == 0 && getsockname(fd, own.get(), own.size_pointer()) == 0;
  close(fd);
  if (!found) return std::nullopt;
  return own.endpoint().address;
}

std::string_view describe(TransportEvent event) {
  switch (event) {
    case TransportEvent::kForeignSource:
      return "packets from a source other than its peer are refused";
    case TransportEvent::kContested:
      return "several sources claim its stream: it stays closed";
    case TransportEvent::kUnknownPayloadType:
      return "packets with a payload type that was not negotiated are refused";
    case TransportEvent::kRateLimited:
      return "it sends more than its stream may carry";
    case TransportEvent::kLocked:
      return "its address was learned";
    case TransportEvent::kPortNotServed:
      return "a port of it cannot be served (fs.epoll.max_user_watches?): no media will be heard there";
    case TransportEvent::kNotAuthentic:
      return "encrypted packets that do not authenticate are refused: another key, or forged";
    case TransportEvent::kKeyWearsOut:
      return "its key has protected nine tenths of what one key may: it needs a new one";
    case TransportEvent::kDtlsReady:
      return "its DTLS handshake is complete";
    case TransportEvent::kDtlsMismatch:
      return "its DTLS certificate is not the signalled one: no media is exchanged";
    case TransportEvent::kDtlsFailed:
      return "its DTLS handshake failed";
    case TransportEvent::kIceConnected:
      return "ICE has selected a pair of addresses";
    case TransportEvent::kIceFailed:
      return "ICE found no pair of addresses";
    case TransportEvent::kIceExpired:
      return "it does not consent to media any more (ICE): nothing is sent";
    case TransportEvent::kDtmf:
    case TransportEvent::kPromptEnded:
    case TransportEvent::kCount:
      break;
  }
  return "unknown";
}

/// Which direction fell silent when: "; from A: 60 s ago, from B: never".
std::string silence_of(const Call& call) {
  std::string text;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  for (const auto& leg : call.legs) {
    std::int64_t last = 0;
    for (const auto& media : leg->medias) {
      for (const PortSet& ports : media->ports) last = std::max(last, ports.activity->last_rtp_ns.load());
    }
    text += fmt::format(
        "{} from {}: {}", text.empty() ? "; media" : ",",
        leg->tag.empty() ? "(no tag)" : log::quote(leg->tag),
        last == 0
            ? std::string("never")
            : fmt::format("{} s ago",
                          std::chrono::duration_cast<std::chrono::seconds>(now - Duration{last}).count()));
  }
  return text;
}

/// The record of a call that is over: text of a JSON object. It has no addresses and no digits (CTL-11).
std::string call_record(const CallReport& report) {
  const auto ms = [](WallTime time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  };
  nlohmann::json streams = nlohmann::json::array();
  for (const StreamReport& each : report.streams) {
    const SsrcCounters& c = each.stream;
    nlohmann::json stream = {{"leg", each.leg},
                             {"media", each.media},
                             {"type", each.type},
                             {"packets_in", each.packets_in},
                             {"packets_out", each.packets_out},
                             {"refused", each.refused},
                             {"from", to_string(each.from)},
                             {"to", to_string(each.to)}};
    if (c.packets != 0) {
      stream["payload_type"] = c.last_payload_type;
      stream["lost"] = c.lost();
      stream["loss_bursts"] = c.loss_bursts;
      stream["jitter_ms"] = static_cast<double>(c.jitter().count()) / 1e6;
      stream["mos"] = each.mos;
    }
    streams.push_back(std::move(stream));
  }
  const MediaVerdict* main = report.explanation.main();
  const nlohmann::json record = {{"call_id", report.call_id},
                                 {"created_ms", ms(report.created)},
                                 {"ended_ms", ms(report.ended)},
                                 {"duration_s", std::chrono::duration<double>(report.duration).count()},
                                 {"ended", to_string(report.reason)},
                                 {"verdict", main == nullptr ? "fine" : to_string(main->cause)},
                                 {"severity", to_string(report.explanation.worst())},
                                 {"streams", std::move(streams)}};
  return record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Names of the system's interfaces that have `address`.
std::vector<std::string> system_interfaces_of(const IpAddress& address) {
  std::vector<std::string> names;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return names;
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    const int family = each->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    SocketAddress known;
    std::memcpy(known.get(), each->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    if (known.endpoint().address == address) names.emplace_back(each->ifa_name);
  }
  freeifaddrs(all);
  return names;
}

SessionConfig with_keys(const Config& config) {
  SessionConfig session = config.session;
  session.dtls.backend = std::make_shared<OpenSslDtls>();
  session.srtp.backend = make_srtp_backend(config.srtp_backend);
  return session;
}

/// Everything that lives as long as the daemon serves.
class Daemon {
 public:
  /// `helper` may be null: no in-kernel forwarding.
  Daemon(const Config& config, InterfaceSet& interfaces, const std::vector<rtpp::ListenSpec>& classic,
         std::unique_ptr<Engine> engine, std::unique_ptr<bpf::Helper> helper)
      : config_(config),
        interfaces_(interfaces),
        engine_(std::move(engine)),
        base_(event_base_new()),
        bpf_(make_offload(std::move(helper))),
        recorder_(make_recorder()),
        plane_(make_workers(), true),
        manager_(with_keys(config), interfaces_, plane_, engine_->provider(), make_listener(),
                 recorder_.get()),
        ng_(manager_, system_clocks, config.templates),
        access_(config.control_allow, config.allow_open_control),
        notifier_(base_.get(),
                  {config.dtmf_log_dest, config.b2b_url, static_cast<ng::XmlRpcFormat>(config.xmlrpc_format)},
                  access_),
        rtpp_notifier_(base_.get(), config.rtpp_notify),
        rtpp_(manager_, interfaces, system_clocks,
              {config.rtpp_internal, config.rtpp_external, config.rtpp_prompts}, rtpp_notifier_),
        parameters_(config, [this](const Config& changed) { apply(changed); }),
        cli_(manager_, ng_, system_clocks),
        metrics_(manager_, ng_, system_clocks),
        pages_(cli_, metrics_, manager_) {
    give_access(!classic.empty());
    set_flight_mode(config.flight);
    for (const Endpoint& local : config.listen_ng) {
      udp_.push_back(std::make_unique<UdpListener>(base_.get(), local, ng_, manager_, access_, system_clocks,
                                                   config.control_tos));
      log::info("NG over UDP on {}{}", local.to_string(), access_note(local));
    }
    for (const Endpoint& local : config.listen_tcp_ng) {
      streams_.push_back(
          std::make_unique<ng::StreamServer>(base_.get(), local, ng_, manager_, access_, system_clocks));
      log::info("NG over TCP on {}{}", local.to_string(), access_note(local));
    }
    for (const std::string& path : config.listen_unix_ng) {
      streams_.push_back(
          std::make_unique<ng::StreamServer>(base_.get(), path, ng_, manager_, access_, system_clocks));
      log::info("NG on {}", path);
    }
    for (const rtpp::ListenSpec& spec : classic) listen(spec, classic.size() == 1 && has_no_ng());
    if (!config.listen_https.empty())
      tls_ = std::make_unique<ng::TlsContext>(config.https_cert, config.https_key, config.https_client_ca);
    const auto add_http = [&](const Endpoint& local, const ng::TlsContext* tls) {
      http_.push_back(std::make_unique<ng::HttpServer>(base_.get(), local, tls, ng_, manager_, access_,
                                                       system_clocks, config.http_idle_timeout,
                                                       config.http_token));
      http_.back()->set_pages([this](std::string_view target) { return pages_.get(target); });
      log::info("NG over {} and WebSocket on {}{}", tls == nullptr ? "HTTP" : "HTTPS", local.to_string(),
                access_note(local));
    };
    for (const Endpoint& local : config.listen_http) add_http(local, nullptr);
    for (const Endpoint& local : config.listen_https) add_http(local, tls_.get());
    if (config.dtmf_log_ng_tcp) {
      notifier_.set_ng_clients([this](const Dict& message) {
        for (const auto& server : streams_) server->broadcast(message);
      });
    }
    if (config.control_socket != "none") {
      cli_server_ = std::make_unique<cli::CliServer>(base_.get(), config.control_socket, cli_, manager_);
      log::info("rtpferryctl on {}", config.control_socket);
    }
    for (const Endpoint& local : config.listen_cli) {
      text_.push_back(
          std::make_unique<cli::TextListener>(base_.get(), local, ng_, manager_, access_, system_clocks));
      log::info("text commands on {}{}", local.to_string(), access_note(local));
    }
    add_timer();
    for (const int number : {SIGTERM, SIGINT}) {
      add_signal(number, [](evutil_socket_t, short, void* self) {
        event_base_loopexit(static_cast<Daemon*>(self)->base_.get(), nullptr);
      });
    }
    add_signal(SIGHUP, [](evutil_socket_t, short, void* self) {
      auto& daemon = *static_cast<Daemon*>(self);
      daemon.config_.drains_on_sighup ? daemon.drain() : daemon.reload();
    });
  }

  void set_arguments(std::span<char* const> arguments) { arguments_ = arguments; }
  void run() { event_base_dispatch(base_.get()); }
  std::size_t calls() const { return manager_.size(); }

 private:
  bool has_no_ng() const {
    return config_.listen_ng.empty() && config_.listen_tcp_ng.empty() && config_.listen_unix_ng.empty() &&
           config_.listen_http.empty() && config_.listen_https.empty();
  }

  void listen(const rtpp::ListenSpec& spec, bool is_only) {
    if (spec.kind == rtpp::ListenSpec::Kind::kUdp) {
      udp_.push_back(std::make_unique<UdpListener>(base_.get(), spec.endpoint, rtpp_, manager_, access_,
                                                   system_clocks, config_.control_tos));
      log::info("rtpproxy protocol over UDP on {}{}", spec.endpoint.to_string(), access_note(spec.endpoint));
      return;
    }
    rtpp_streams_.push_back(std::make_unique<rtpp::StreamListeners>(
        base_.get(), spec, rtpp_, manager_, access_, system_clocks, config_.rtpp_socket_mode,
        [this, ends = spec.ends_daemon || is_only] {
          if (ends) drain();
        }));
    log::info("rtpproxy protocol on {}", !spec.path.empty()       ? spec.path
                                         : spec.endpoint.is_set() ? "tcp " + spec.endpoint.to_string()
                                         : spec.kind == rtpp::ListenSpec::Kind::kStdio
                                             ? "standard input"
                                             : "a socket from systemd");
  }

  /// No new calls; the end comes with the last one.
  void drain() {
    manager_.set_draining();
    log::info("draining: {} calls go on, new ones are refused", manager_.size());
    end_if_drained();
  }
  void end_if_drained() {
    const timeval soon{0, 200'000};  // whoever asked for it gets his answer
    if (manager_.is_draining() && manager_.size() == 0) event_base_loopexit(base_.get(), &soon);
  }

  std::vector<std::unique_ptr<Worker>> make_workers() const {
    std::vector<std::unique_ptr<Worker>> workers;
    for (unsigned i = 0; i < engine_->workers(); ++i) {
      workers.push_back(std::make_unique<Worker>(engine_->make_io(i), interfaces_.own_media(),
                                                 bpf_ ? bpf_->make_offload() : nullptr));
    }
    const nlohmann::json engine = engine_->describe();
    log::info("{} workers, engine {} ({})", workers.size(), engine["engine"].get<std::string>(),
              engine["reason"].get<std::string>());
    return workers;
  }

  /// Null where nothing is recorded.
  std::unique_ptr<Recorder> make_recorder() const {
    if (!config_.codec_plugins.empty()) set_codec_plugin_folder(config_.codec_plugins);
    if (config_.recorder.directory.empty()) return nullptr;
    auto recorder = Recorder::make(config_.recorder, engine_->workers(),
                                   [](RecorderLogLevel level, const std::string& line) {
                                     const log::Scope scope(log::Subsystem::kRecorder);
                                     if (level == RecorderLogLevel::kWarning)
                                       log::warn("{}", line);
                                     else
                                       log::info("{}", line);
                                   });
    if (!recorder) throw std::runtime_error("recording-dir: " + recorder.error());
    log::info("recordings go to {}", config_.recorder.directory);
    return std::move(*recorder);
  }

  /// In-kernel forwarding on the interfaces of our addresses; null where it is not wanted or not to be had.
  std::unique_ptr<bpf::BpfEngine> make_offload(std::unique_ptr<bpf::Helper> helper) const {
    const auto mode_of = [&](const std::string& name) {
      const auto named = config_.offload_of.find(name);
      return named == config_.offload_of.end() ? config_.offload : named->second;
    };
    std::set<std::string> names;
    for (const auto& [name, mode] : config_.offload_of) {
      if (mode != OffloadMode::kOff) names.insert(name);
    }
    bpf::ProgramSettings settings;
    settings.first = UdpPort{0xffff};
    settings.last = UdpPort{0};
    settings.workers = engine_->workers();
    for (const LogicalInterface& logical : interfaces_.all()) {
      for (const LocalAddress& local : logical.addresses) {
        settings.first = std::min(settings.first, local.ports->first());
        settings.last = std::max(settings.last, local.ports->last());
        for (const std::string& name : system_interfaces_of(local.address)) {
          const bool named = config_.offload_of.contains(name);
          if (mode_of(name) != OffloadMode::kOff && (name != "lo" || named)) names.insert(name);
        }
      }
    }
    if (names.empty() || !helper) return nullptr;
    auto engine = bpf::BpfEngine::load(std::move(helper), settings);
    if (!engine) {
      log::warn("offload: {}; all media goes through user space", engine.error());
      return nullptr;
    }
    (*engine)->keep_alive(system_clocks().now);
    for (const std::string& name : names) {
      const auto& got = (*engine)->attach(name, mode_of(name), config_.offload_of.contains(name));
      log::info("offload on {}: {} ({})", name, to_string(got.mode), got.reason);
    }
    return std::move(*engine);
  }

  nlohmann::json rtpproxy_figures() {
    const rtpp::CommandTotals& commands = rtpp_.totals();
    return {{"sessions", manager_.classic_size()},
            {"commands", commands.received},
            {"repeated", commands.repeated},
            {"refused", commands.failed},
            {"prompts_started", manager_.classic_totals().prompts_started},
            {"notifications_lost", rtpp_notifier_.lost()}};
  }

  nlohmann::json recorder_figures() {
    const RecorderTotals totals = recorder_->totals();
    nlohmann::json figures = {{"started", totals.started},
                              {"finished", totals.finished},
                              {"failed", totals.failed},
                              {"active", totals.active},
                              {"packets_lost", totals.packets_lost},
                              {"queue_bytes", totals.queue_bytes},
                              {"queue_peak_bytes", totals.queue_peak_bytes},
                              {"files_removed", totals.files_removed},
                              {"hooks_run", totals.hooks_run},
                              {"hooks_failed", totals.hooks_failed},
                              {"notifications_failed", totals.notifications_failed},
                              {"uploads_failed", totals.uploads_failed}};
    if (!totals.trouble.empty()) figures["trouble"] = totals.trouble;
    return figures;
  }

  nlohmann::json engines() {
    nlohmann::json offload = nlohmann::json::array();
    nlohmann::json punts = nlohmann::json::object();
    nlohmann::json sent = nlohmann::json::object();
    if (bpf_) {
      for (const bpf::Attachment& each : bpf_->attachments())
        offload.push_back(
            {{"interface", each.interface}, {"mode", to_string(each.mode)}, {"reason", each.reason}});
      for (const bpf::PacketCount& count : bpf_->counts()) {
        if (count.packets != 0) (count.is_punt ? punts : sent)[std::string(count.name)] = count.packets;
      }
    }
    std::uint64_t flows = 0;
    std::uint64_t packets = 0;
    std::uint64_t user_packets = 0;
    for (std::size_t i = 0; i < plane_.workers(); ++i) {
      const WorkerTotals& totals = plane_.worker(i).totals();
      flows += totals.offloaded_flows.load();
      packets += totals.offloaded_packets.load();
      user_packets += totals.packets.load() - totals.offloaded_packets.load();
    }
    nlohmann::json all = engine_->describe();
    all.update({{"workers", plane_.workers()},
                {"offload", std::move(offload)},
                {"flows", flows},
                {"packets_kernel", packets},
                {"packets_user", user_packets},
                {"sent_by", std::move(sent)},
                {"punted", std::move(punts)}});
    return all;
  }

  SessionManager::Listener make_listener() {
    SessionManager::Listener listener;
    listener.on_end = [this](const Call& call, EndReason reason) {
      if (reason == EndReason::kRegular) return;
      if (reason != EndReason::kForced) {
        notifier_.on_time_out(call);
        const ClassicSession* classic = call.classic();
        if (classic != nullptr && !classic->notify_target.empty())
          rtpp_notifier_.send(classic->notify_target, classic->notify_tag + "\n");
      }
      const log::Scope scope(log::Subsystem::kCalls, call.id, call.debug);
      log::info("call {} ended: {}{}", log::quote(call.id), to_string(reason), silence_of(call));
    };
    listener.on_report = [this](const CallReport& report) {
      metrics_.observe(report);
      constexpr int kInfo = 6;
      if (!writes_cdr_ || log::level_of(log::Subsystem::kCalls) < kInfo) return;
      const log::Scope scope(log::Subsystem::kCalls, report.call_id);
      log::record("cdr", call_record(report));
    };
    listener.on_dtmf = [this](const Call& call, const Leg& leg, const DtmfEvent& event) {
      notifier_.on_dtmf(call, leg, event, system_clocks().wall);
      if (const std::string line = rtpp::dtmf_line(call, leg, event); !line.empty())
        rtpp_notifier_.send(call.classic()->notify_target, line);
    };
    listener.on_unrecorded = [](const Call& call) {
      const log::Scope scope(log::Subsystem::kRecorder, call.id, call.debug);
      log::error("call {}: not recorded, there is no recording-dir", log::quote(call.id));
    };
    listener.memory_is_short = [this] { return memory_.is_short(); };
    listener.on_event = [this](const Call& call, const Leg& leg, TransportEvent event) {
      // LIM-4 holds per stream; a spray over all ports must not fill the log either.
      if (!call.debug && ++events_logged_ > kEventsPerSecond) return;
      const log::Scope scope(log::Subsystem::kMedia, call.id, call.debug);
      const auto level =
          event == TransportEvent::kLocked && !call.debug ? spdlog::level::debug : spdlog::level::info;
      spdlog::log(level, "call {} tag {}: {}", log::quote(call.id), log::quote(leg.tag), describe(event));
    };
    return listener;
  }

  std::string access_note(const Endpoint& local) const {
    if (local.address.is_loopback()) return "";
    if (config_.allow_open_control) return ", open to anybody (allow-open-control): unsafe";
    return fmt::format(", for {} allowed networks", config_.control_allow.size());
  }

  void add_signal(int number, event_callback_fn callback) {
    events_.emplace_back(evsignal_new(base_.get(), number, callback, this));
    event_add(events_.back().get(), nullptr);
  }

  void add_timer() {
    events_.emplace_back(event_new(
        base_.get(), -1, EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Daemon*>(self)->tick(); }, this));
    const timeval second{1, 0};
    event_add(events_.back().get(), &second);
    // DTMF is wanted while the key still rings in the ear.
    events_.emplace_back(event_new(
        base_.get(), plane_.event_fd(), EV_READ | EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Daemon*>(self)->manager_.poll_events(); },
        this));
    event_add(events_.back().get(), nullptr);
  }

  void tick() {
    events_logged_ = 0;
    manager_.sweep(system_clocks());
    if (bpf_) {
      bpf_->keep_alive(system_clocks().now);
      for (const bpf::Attachment& back : bpf_->check_interfaces())
        log::info("offload on {}: {} ({})", back.interface, to_string(back.mode), back.reason);
    }
    if (events_logged_ > kEventsPerSecond)
      log::info("{} more events of media streams", events_logged_ - kEventsPerSecond);
    ng::TrafficRates sum;
    for (std::size_t i = 0; i < plane_.workers(); ++i) {
      const WorkerTotals& totals = plane_.worker(i).totals();
      sum.packets += totals.packets.load();
      sum.bytes += totals.bytes.load();
      sum.errors += totals.errors.load();
      sum.kernel_packets += totals.offloaded_packets.load();
      sum.kernel_bytes += totals.offloaded_bytes.load();
    }
    const ng::TrafficRates rates{sum.packets - last_.packets, sum.bytes - last_.bytes,
                                 sum.errors - last_.errors, sum.kernel_packets - last_.kernel_packets,
                                 sum.kernel_bytes - last_.kernel_bytes};
    last_ = sum;
    ng_.set_rates(rates);
    rtpp_.set_packet_rate(static_cast<double>(rates.packets + rates.errors));
    const LoadFigures load = host_.read(rates.bytes);
    manager_.set_load(load);
    rtpp_.set_load(load.cpu_percent / 100);
    end_if_drained();
  }

  /// SIGHUP: log level and limits of the file as it is now.
  void reload() {
    const auto config = load_config(arguments_);
    if (!config) {
      log::error("configuration not read again: {}", config.error().text);
      return;
    }
    log::configure(config->log_level, config->log_stderr, config->log_facility,
                   config->log_format == LogFormat::kJson);
    parameters_.take(*config);
    log::info("log level, limits and time-outs read again");
  }

  /// What may change while the daemon runs.
  void apply(const Config& config) {
    SessionConfig session = manager_.config();
    session.max_sessions = config.session.max_sessions;
    session.max_cpu_percent = config.session.max_cpu_percent;
    session.max_load = config.session.max_load;
    session.max_bandwidth_bytes = config.session.max_bandwidth_bytes;
    session.timeout = config.session.timeout;
    session.silent_timeout = config.session.silent_timeout;
    session.offer_timeout = config.session.offer_timeout;
    session.final_timeout = config.session.final_timeout;
    session.delete_delay = config.session.delete_delay;
    session.measure_rtp = config.session.measure_rtp;
    manager_.set_config(session);
    // Levels of subsystems stay when something else is set.
    if (std::exchange(log_level_, config.log_level) != config.log_level) log::set_level(config.log_level);
    writes_cdr_ = config.cdr;
    set_flight_mode(config.flight);
  }

  void set_flight_mode(FlightMode mode) {
    for (std::size_t i = 0; i < plane_.workers(); ++i) plane_.worker(i).set_flight_mode(mode);
  }

  void give_access(bool has_classic) {
    cli::DaemonAccess access;
    metrics::Sources sources;
    access.engines = sources.engines = [this] { return engines(); };
    if (recorder_) access.recorder = sources.recorder = [this] { return recorder_figures(); };
    if (has_classic) access.rtpproxy = sources.rtpproxy = [this] { return rtpproxy_figures(); };
    access.facts = [this] { return facts(); };
    access.drain = [this](bool on) { on ? drain() : manager_.set_draining(false); };
    access.parameters = &parameters_;
    sources.exposure = exposure();
    cli_.set_daemon(std::move(access));
    metrics_.set_sources(std::move(sources));
    ng_.set_parameters(&parameters_);
    ng_.set_observer(
        [this](std::string_view command, Duration time) { metrics_.observe_request(command, time); });
  }

  /// How control listeners are guarded (CTL-2).
  std::vector<std::string> exposure() const {
    std::set<std::string> ways;
    const auto note = [&](const std::vector<Endpoint>& listeners, bool is_http, bool is_tls) {
      for (const Endpoint& local : listeners) {
        if (local.address.is_loopback())
          ways.insert("loopback");
        else
          ways.insert(config_.allow_open_control ? "open" : "allow-list");
        if (is_http && !config_.http_token.empty()) ways.insert("token");
        if (is_tls && !config_.https_client_ca.empty()) ways.insert("client-certificate");
      }
    };
    note(config_.listen_ng, false, false);
    note(config_.listen_tcp_ng, false, false);
    note(config_.listen_cli, false, false);
    note(config_.listen_http, true, false);
    note(config_.listen_https, true, true);
    return {ways.begin(), ways.end()};
  }

  /// What `rtpferryctl doctor` looks at.
  nlohmann::json facts() {
    const auto texts = [](const std::vector<Endpoint>& endpoints) {
      nlohmann::json list = nlohmann::json::array();
      for (const Endpoint& each : endpoints) list.push_back(each.to_string());
      return list;
    };
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    nlohmann::json ranges = nlohmann::json::array();
    for (const LogicalInterface& logical : interfaces_.all()) {
      for (const LocalAddress& local : logical.addresses) {
        ranges.push_back({{"interface", logical.name},
                          {"address", local.address.to_string()},
                          {"advertised", local.advertised.to_string()},
                          {"first", local.ports->first().value},
                          {"last", local.ports->last().value},
                          {"used", local.ports->used()},
                          {"pairs", local.ports->total()},
                          {"links", system_interfaces_of(local.address)}});
      }
    }
    return {{"version", FERRY_VERSION},
            {"pid", getpid()},
            {"workers", plane_.workers()},
            {"descriptor_limit", files.rlim_cur},
            {"descriptors_wanted", wanted_descriptors(interfaces_)},
            {"ranges", std::move(ranges)},
            {"engines", engines()},
            {"exposure", exposure()},
            {"listeners",
             {{"ng", texts(config_.listen_ng)},
              {"ng_tcp", texts(config_.listen_tcp_ng)},
              {"http", texts(config_.listen_http)},
              {"https", texts(config_.listen_https)},
              {"cli", texts(config_.listen_cli)}}},
            {"has_http_token", !config_.http_token.empty()},
            {"asks_client_certificate", !config_.https_client_ca.empty()},
            {"allow_open_control", config_.allow_open_control},
            {"latch", to_string(config_.session.latch)},
            {"latch_by_rules", config_.session.learning == LearningAlgorithm::kRules},
            {"offload_wanted",
             !engine_->owns_ports() && (config_.offload != OffloadMode::kOff || !config_.offload_of.empty())},
            {"recording_dir", config_.recorder.directory},
            {"core_dumps", config_.core_dumps},
            {"wall_ms", std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count()}};
  }

  const Config& config_;
  const InterfaceSet& interfaces_;
  std::unique_ptr<Engine> engine_;  // outlives the workers
  EventBase base_;
  std::unique_ptr<bpf::BpfEngine> bpf_;  // outlives the workers
  std::unique_ptr<Recorder> recorder_;   // outlives the workers, which feed it
  MediaPlane plane_;
  SessionManager manager_;
  ng::NgService ng_;
  AccessList access_;
  ng::Notifier notifier_;
  rtpp::Notifier rtpp_notifier_;
  rtpp::Service rtpp_;
  Parameters parameters_;
  cli::CliService cli_;
  metrics::Metrics metrics_;
  http::Pages pages_;
  bool writes_cdr_ = config_.cdr;
  int log_level_ = config_.log_level;
  std::vector<std::unique_ptr<cli::TextListener>> text_;
  std::vector<std::unique_ptr<UdpListener>> udp_;
  std::vector<std::unique_ptr<ng::StreamServer>> streams_;
  std::vector<std::unique_ptr<rtpp::StreamListeners>> rtpp_streams_;
  std::unique_ptr<ng::TlsContext> tls_;
  std::vector<std::unique_ptr<ng::HttpServer>> http_;
  std::unique_ptr<cli::CliServer> cli_server_;
  std::vector<Event> events_;
  std::span<char* const> arguments_;
  static constexpr unsigned kEventsPerSecond = 50;
  unsigned events_logged_ = 0;
  ng::TrafficRates last_;
  HostLoad host_;
  MemoryWatch memory_;
};

/// The process that attaches programs for us. Null where in-kernel forwarding is off or it cannot be started.
std::unique_ptr<bpf::Helper> start_helper(const Config& config) {
  const bool wanted = config.offload != OffloadMode::kOff ||
                      std::ranges::any_of(config.offload_of,
                                          [](const auto& each) { return each.second != OffloadMode::kOff; });
  if (!wanted) return nullptr;
  if (config.engine == EngineKind::kDpdk) {
    log::info("offload: off, engine dpdk has the packets before the kernel");
    return nullptr;
  }
  auto helper = bpf::Helper::start();
  if (helper) return std::move(*helper);
  log::warn("offload: {}; all media goes through user space", helper.error());
  return nullptr;
}

/// SDP needs an address: why these interfaces have none to show; empty = they have.
std::string unusable_for_ng(const Config& config, const InterfaceSet& interfaces) {
  if (config.listen_ng.empty() && config.listen_tcp_ng.empty() && config.listen_unix_ng.empty() &&
      config.listen_http.empty() && config.listen_https.empty())
    return {};
  for (const LogicalInterface& logical : interfaces.all()) {
    for (const LocalAddress& local : logical.addresses) {
      if (local.advertised.is_unspecified())
        return fmt::format(
            "interface '{}': {} cannot stand in SDP: name an address, or what to advertise "
            "({}!ADDRESS)",
            logical.name, local.address.to_string(), local.address.to_string());
    }
  }
  return {};
}

/// The sockets of the classic protocol; the error is a sentence.
Result<std::vector<rtpp::ListenSpec>, std::string> classic_listeners(const Config& config,
                                                                     const InterfaceSet& interfaces) {
  const AccessList access(config.control_allow, config.allow_open_control);
  std::vector<rtpp::ListenSpec> specs;
  for (const std::string& text : config.listen_rtpp) {
    auto spec = rtpp::parse_listen_spec(text);
    if (!spec) return fail("listen-rtpp: " + spec.error());
    if (spec->endpoint.is_set() && !access.may_listen_on(spec->endpoint.address))
      return fail(
          fmt::format("control listener {} is not on loopback: name who may use it with "
                      "control-allow=NETWORK, or say allow-open-control",
                      spec->endpoint.to_string()));
    specs.push_back(std::move(*spec));
  }
  for (const std::string& name : {config.rtpp_internal, config.rtpp_external}) {
    if (!name.empty() && interfaces.find(name) == nullptr)
      return fail(fmt::format("rtpp-bridge: there is no interface '{}'", name));
  }
  for (const std::string& target : config.rtpp_notify) {
    if (!rtpp::is_notify_target(target))
      return fail(
          fmt::format("rtpp-notify: '{}' is none of unix:PATH, tcp:ADDRESS:PORT, udp:ADDRESS:PORT", target));
  }
  return specs;
}

int run(std::span<char* const> arguments) {
  const auto config = load_config(arguments);
  if (!config) {
    fmt::print(stderr, "rtpferryd: {}\n", config.error().text);
    return 1;
  }
  if (config->show_help) {
    fmt::print("{}", help_text());
    return 0;
  }
  if (config->show_manual) {
    fmt::print("{}", manual_page());
    return 0;
  }
  if (config->show_version) {
    fmt::print("rtpferryd {}\n", FERRY_VERSION);
    return 0;
  }
  auto interfaces = InterfaceSet::build(config->interfaces, config->port_min, config->port_max);
  if (!interfaces) {
    fmt::print(stderr, "rtpferryd: {}\n", interfaces.error());
    return 1;
  }
  if (make_srtp_backend(config->srtp_backend) == nullptr) {
    std::string names;
    for (const std::string_view name : srtp_backend_names())
      names.append(names.empty() ? "" : ", ").append(name);
    fmt::print(stderr, "rtpferryd: srtp-backend: '{}' is not part of this build, which has {}\n",
               config->srtp_backend, names);
    return 1;
  }
  if (const std::string wrong = unusable_for_ng(*config, *interfaces); !wrong.empty()) {
    fmt::print(stderr, "rtpferryd: {}\n", wrong);
    return 1;
  }
  if (const std::string wrong = missing_engine(*config); !wrong.empty()) {
    fmt::print(stderr, "rtpferryd: {}\n", wrong);
    return 1;
  }
  interfaces->set_route_lookup(route_to);
  const auto classic = classic_listeners(*config, *interfaces);
  if (!classic) {
    fmt::print(stderr, "rtpferryd: {}\n", classic.error());
    return 1;
  }
  if (config->check_only) {
    fmt::print("configuration is good\n");
    return 0;
  }
  if (!config->foreground && daemon(0, config->log_facility.empty() ? 1 : 0) != 0) {
    fmt::print(stderr, "rtpferryd: cannot go to the background: {}\n", strerror(errno));
    return 1;
  }
  log::configure(config->log_level,
                 config->log_stderr && (config->foreground || config->log_facility.empty()),
                 config->log_facility, config->log_format == LogFormat::kJson);
  signal(SIGPIPE, SIG_IGN);
  for (const std::string& notice : config->notices) log::warn("{}", notice);
  raise_descriptor_limit(*interfaces);
  const PidFile pid_file(config->pid_file);
  auto helper = start_helper(*config);
  auto engine = make_engine(*config, *interfaces);
  if (!engine) throw std::runtime_error(engine.error());
  std::vector<std::string> files = config->listen_unix_ng;
  for (const rtpp::ListenSpec& spec : *classic) {
    if (!spec.path.empty()) files.push_back(spec.path);
  }
  if (config->control_socket != "none") files.push_back(config->control_socket);
  // Their folders are made for the user that records.
  for (const std::string& folder : {config->recorder.directory, config->recorder.spool}) {
    if (!folder.empty()) files.push_back(folder + "/recordings");
  }
  give_up_rights(config->user, config->group, files, !config->recorder.hook.empty(),
                 [&](const std::function<void()>& task) { (*engine)->on_threads(task); });
  if (!config->core_dumps) hide_memory();
  (*engine)->serve();
  Daemon daemon(*config, *interfaces, *classic, std::move(*engine), std::move(helper));
  daemon.set_arguments(arguments);
  log::info("rtpferryd {} is ready", FERRY_VERSION);
  daemon.run();
  log::info("stopping with {} calls", daemon.calls());
  return 0;
}

}  // namespace
}  // namespace ferry

int main(int argc, char** argv) {
  try {
    return ferry::run({argv, static_cast<std::size_t>(argc)});
  } catch (const std::exception& e) {
    fmt::print(stderr, "rtpferryd: {}\n", e.what());
    return 1;
  }
}

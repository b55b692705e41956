#include "tools/rtpferryd/daemon.hpp"

#include "codecs/audio/audio_decoder.hpp"
#include "control/config/config.hpp"
#include "control/config/parameters.hpp"
#include "control/log/log.hpp"
#include "control/log/masked_addresses.hpp"
#include "control/protocol/cli/cli_server.hpp"
#include "control/protocol/cli/text_listener.hpp"
#include "control/protocol/http/pages.hpp"
#include "control/protocol/ng/http_server.hpp"
#include "control/protocol/ng/listeners.hpp"
#include "control/protocol/ng/notifier.hpp"
#include "control/protocol/refusal_log.hpp"
#include "control/protocol/rtpp/notifier.hpp"
#include "control/protocol/udp_listener.hpp"
#include "recorder/recorder.hpp"
#include "relay/base/capabilities.hpp"
#include "relay/base/memory.hpp"
#include "relay/dtls/openssl_dtls.hpp"
#include "relay/rights/syscall_filter.hpp"
#include "relay/srtp/backends.hpp"
#include "tools/rtpferryd/host.hpp"
#include "tools/rtpferryd/records.hpp"
#include "tools/rtpferryd/syscalls.hpp"

#include <csignal>
#include <optional>
#include <set>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

namespace ferry {

namespace {

/// The Call-ID, as the proxy and its log have it: our own ids of rtpproxy sessions have a tag behind it.
std::string_view plain_id(const Call& call) {
  return call.classic() != nullptr ? call.classic()->call_id : std::string_view(call.id);
}

Clock system_clocks() {
  return {std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()),
          std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now())};
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
  Daemon(const Config& config, InterfaceSet& interfaces, const std::vector<rtpp::ListenSpec>& classic,
         std::unique_ptr<Engine> engine, ProcessesBeside beside)
      : config_(config),
        interfaces_(interfaces),
        engine_(std::move(engine)),
        base_(event_base_new()),
        launcher_(std::move(beside.launcher)),
        bpf_(make_offload(std::move(beside.helper))),
        recorder_(make_recorder()),
        plane_(make_workers(), true),
        manager_(with_keys(config), interfaces_, plane_, engine_->provider(), make_listener(),
                 recorder_.get()),
        ng_(manager_, system_clocks, config.templates),
        access_(config.control_allow, config.allow_open_control, interfaces.own_media()),
        connections_(
            base_.get(), access_, [] { return system_clocks().now; }, config.max_clients),
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
    const RaisedRights raised;  // for sockets; the threads that run already have none of it
    give_access(!classic.empty());
    follow_listeners();
    set_flight_mode(config.flight);
    for (const Endpoint& local : config.listen_ng) {
      udp_.push_back(std::make_unique<UdpListener>(base_.get(), local, ng_, manager_, access_, system_clocks,
                                                   config.control_tos));
      log::info("NG over UDP on {}{}", local.to_string(), access_note(local));
    }
    for (const Endpoint& local : config.listen_tcp_ng) {
      streams_.push_back(
          std::make_unique<ng::StreamServer>(connections_, local, ng_, manager_, system_clocks));
      log::info("NG over TCP on {}{}", local.to_string(), access_note(local));
    }
    for (const std::string& path : config.listen_unix_ng) {
      streams_.push_back(
          std::make_unique<ng::StreamServer>(connections_, path, ng_, manager_, system_clocks));
      log::info("NG on {}", path);
    }
    for (const rtpp::ListenSpec& spec : classic)
      listen(spec, classic.size() == 1 && !config_.listens_for_ng());
    if (!config.listen_https.empty())
      tls_ = std::make_unique<TlsContext>(config.https_cert, config.https_key, config.https_client_ca);
    const auto add_http = [&](const Endpoint& local, const TlsContext* tls) {
      http_.push_back(std::make_unique<ng::HttpServer>(connections_, local, tls, ng_, manager_, system_clocks,
                                                       http_options()));
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
    if (config.control_socket != "none") open_control_socket();
    for (const Endpoint& local : config.listen_cli) {
      text_.push_back(std::make_unique<cli::TextListener>(connections_, local, ng_, manager_, system_clocks));
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
  /// From now on the process makes the system calls alone that serving needs.
  void confine() {
    const auto done = allow_only(daemon_calls({bpf_ != nullptr, engine_->owns_ports()}));
    if (!done) log::warn("{}", done.error());
    is_confined_ = done.has_value();
  }

 private:
  /// Where nobody named the socket, a second daemon on the host gets one of its own beside that of the first.
  void open_control_socket() {
    const auto open = [&](const std::string& path) {
      cli_server_ = std::make_unique<cli::CliServer>(connections_, path, cli_, manager_);
      log::info("rtpferryctl on {}", path);
    };
    const std::string& path = config_.control_socket;
    try {
      open(path);
    } catch (const std::system_error& e) {
      const bool is_taken = e.code() == std::errc::address_in_use;
      if (!is_taken || path != Config().control_socket)
        throw std::runtime_error(
            fmt::format("control-socket: {}; name another with --control-socket=PATH, or none", e.what()));
      const std::string own = fmt::format("{}/control-{}.sock", path.substr(0, path.rfind('/')), getpid());
      open(own);
      log::warn(
          "another daemon has {}: this one listens to rtpferryctl --socket={} (control-socket= names a "
          "better place)",
          path, own);
    }
  }

  void listen(const rtpp::ListenSpec& spec, bool is_only) {
    if (spec.kind == rtpp::ListenSpec::Kind::kUdp) {
      udp_.push_back(std::make_unique<UdpListener>(base_.get(), spec.endpoint, rtpp_, manager_, access_,
                                                   system_clocks, config_.control_tos));
      log::info("rtpproxy protocol over UDP on {}{}", spec.endpoint.to_string(), access_note(spec.endpoint));
      return;
    }
    rtpp_streams_.push_back(std::make_unique<rtpp::StreamListeners>(
        connections_, spec, rtpp_, manager_, system_clocks, config_.rtpp_socket_mode,
        [this, ends = spec.ends_daemon || is_only] {
          if (ends) drain();
        }));
    log::info("rtpproxy protocol on {}", rtpp::describe(spec));
  }

  ng::HttpOptions http_options() const {
    ng::HttpOptions options{
        .idle = config_.http_idle_timeout, .token = http_token_, .names = config_.http_names};
    const auto own = host_names();
    options.names.insert(options.names.end(), own.begin(), own.end());
    return options;
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
    const auto say = [](RecorderLogLevel level, const std::string& line) {
      const log::Scope scope(log::Subsystem::kRecorder);
      if (level == RecorderLogLevel::kWarning)
        log::warn("{}", line);
      else
        log::info("{}", line);
    };
    const auto start = [this](const ProgramOrder& order, const std::stop_token& stop) {
      return launcher_->run(order, stop);
    };
    auto recorder = Recorder::make(config_.recorder, engine_->workers(), say, Recorder::system_time,
                                   launcher_ ? RunProgram(start) : RunProgram(run_program));
    if (!recorder) throw std::runtime_error("recording-dir: " + recorder.error());
    log::info("recordings go to {}", config_.recorder.directory);
    return std::move(*recorder);
  }

  /// In-kernel forwarding on the interfaces of our addresses; null where it is not wanted or not to be had.
  std::unique_ptr<bpf::BpfEngine> make_offload(Result<std::unique_ptr<bpf::Helper>, std::string> helper) {
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
    const auto refuse = [&](const std::string& why, bool is_wanted) {
      no_offload_because_ = why;
      spdlog::log(is_wanted ? spdlog::level::warn : spdlog::level::info,
                  "offload: {}; all media goes through user space", why);
      return nullptr;
    };
    const bool is_wanted = config_.engine != EngineKind::kDpdk &&
                           (config_.offload != OffloadMode::kOff || !config_.offload_of.empty());
    if (!helper) return refuse(helper.error(), is_wanted);
    if (names.empty()) return refuse("no media address is on an interface other than lo", false);
    auto engine = bpf::BpfEngine::load(std::move(*helper), settings);
    if (!engine) return refuse(engine.error(), true);
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

  nlohmann::json connection_figures() const {
    const ConnectionCounts& counts = connections_.counts();
    nlohmann::json closed = nlohmann::json::object();
    for (const CloseReasonRow& row : kCloseReasonRows)
      closed[row.name] = counts.closed[static_cast<std::size_t>(row.reason)];
    return {{"open", connections_.size()},
            {"limit", connections_.limit()},
            {"accepted", counts.accepted},
            {"closed", std::move(closed)},
            {"refused",
             {{"not-allowed", access_.refused()},
              {"no-token", access_.refused_without_token()},
              {"media-port", access_.refused_from_media()}}},
            {"pauses", counts.pauses},
            {"handshakes", counts.handshakes},
            {"handshakes_waiting", connections_.waiting_handshakes()}};
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
                              {"uploads_failed", totals.uploads_failed},
                              {"work_waiting", totals.work_waiting},
                              {"work_failed", totals.work_failed},
                              {"work_folder", totals.work_folder}};
    if (!totals.work_trouble.empty()) figures["work_trouble"] = totals.work_trouble;
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
    if (!bpf_) all["offload_reason"] = no_offload_because_;
    if (bpf_) all["helper"] = {{"pid", bpf_->helper_process()}, {"running", !bpf_->is_off()}};
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
      const log::Scope scope(log::Subsystem::kCalls, plain_id(call), call.debug);
      log::info("call {} ended: {}{}", log::quote(call.id), to_string(reason), silence_of(call));
    };
    listener.on_report = [this](const CallReport& report) {
      metrics_.observe(report);
      constexpr int kInfo = 6;
      if (!writes_cdr_ || log::level_of(log::Subsystem::kCalls) < kInfo) return;
      const log::Scope scope(log::Subsystem::kCalls, report.call_id);
      log::record("cdr", call_record(report));
    };
    listener.on_health = [this](const Call& call, const HealthNews& news) { tell_health(call, news); };
    listener.on_dtmf = [this](const Call& call, const Leg& leg, const DtmfEvent& event) {
      notifier_.on_dtmf(call, leg, event, system_clocks().wall);
      if (const std::string line = rtpp::dtmf_line(call, leg, event); !line.empty())
        rtpp_notifier_.send(call.classic()->notify_target, line);
    };
    listener.wants_decisions = [](const Call& call) {
      const log::Scope scope(log::Subsystem::kCalls, plain_id(call), call.debug);
      return log::is_wanted(spdlog::level::debug);
    };
    listener.on_decision = [](const Call& call, const std::string& sentence) {
      const log::Scope scope(log::Subsystem::kCalls, plain_id(call), call.debug);
      log::debug("{}", log::quote_sentence(sentence));
    };
    listener.on_unrecorded = [](const Call& call) {
      const log::Scope scope(log::Subsystem::kRecorder, plain_id(call), call.debug);
      log::error("call {}: not recorded, there is no recording-dir", log::quote(call.id));
    };
    listener.memory_is_short = [this] { return memory_.is_short(); };
    listener.on_event = [this](const Call& call, const Leg& leg, TransportEvent event) {
      // LIM-4 holds per stream; a spray over all ports must not fill the log either.
      if (!call.debug && ++events_logged_ > kEventsPerSecond) return;
      const log::Scope scope(log::Subsystem::kMedia, plain_id(call), call.debug);
      const auto level =
          event == TransportEvent::kLocked && !call.debug ? spdlog::level::debug : spdlog::level::info;
      spdlog::log(level, "call {} tag {}: {}", log::quote(call.id), log::quote(leg.tag), describe(event));
    };
    return listener;
  }

  /// One line when a call becomes bad and one when it recovers. An outage that many calls share must not fill
  /// the log: the counters have them all.
  void tell_health(const Call& call, const HealthNews& news) {
    if (!call.debug && ++alarms_logged_ > kAlarmsPerSecond) return;
    const log::Scope scope(log::Subsystem::kCalls, plain_id(call), call.debug);
    if (news.is_bad)
      log::warn("call {} became bad ({}): {}", log::quote(call.id), to_string(news.cause),
                log::quote_sentence(log::mask_addresses(news.sentence)));
    else
      log::info("call {} recovered; it was bad for {:.0f} s ({})", log::quote(call.id),
                std::chrono::duration<double>(news.lasted).count(), to_string(news.cause));
  }

  std::string access_note(const Endpoint& local) const {
    if (local.address.is_loopback()) return ", for this host only";
    if (config_.allow_open_control) return ", open to anybody (allow-open-control): unsafe";
    return fmt::format(", for {} allowed networks", config_.control_allow.size());
  }

  void add_signal(int number, event_callback_fn callback) {
    events_.emplace_back(evsignal_new(base_.get(), number, callback, this));
    event_add(events_.back().get(), nullptr);
  }

  static timeval timeval_of(Duration time) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
    return {static_cast<time_t>(us / 1'000'000), static_cast<suseconds_t>(us % 1'000'000)};
  }

  void add_timer() {
    events_.emplace_back(event_new(
        base_.get(), -1, EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Daemon*>(self)->tick(); }, this));
    const timeval second{1, 0};
    event_add(events_.back().get(), &second);
    events_.emplace_back(event_new(
        base_.get(), -1, EV_PERSIST,
        [](evutil_socket_t, short, void* self) {
          // Without memory this turn is left out, and the next one looks at other calls (C-12).
          if (!had_memory([&] { static_cast<Daemon*>(self)->manager_.watch(system_clocks()); }))
            log::debug("no memory to look at running calls");
        },
        this));
    const timeval turn = timeval_of(HealthWatch::kTurnInterval);
    event_add(events_.back().get(), &turn);
    if (bpf_) watch_helper();
    // DTMF is wanted while the key still rings in the ear.
    events_.emplace_back(event_new(
        base_.get(), plane_.event_fd(), EV_READ | EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Daemon*>(self)->manager_.poll_events(); },
        this));
    event_add(events_.back().get(), nullptr);
  }

  /// Its end takes the kernel's part of the forwarding with it; the calls go on in user space.
  void watch_helper() {
    events_.emplace_back(event_new(
        base_.get(), bpf_->helper_descriptor(), EV_READ,
        [](evutil_socket_t, short, void* self) {
          if (static_cast<Daemon*>(self)->bpf_->check_helper())
            log::error("offload: the helper process is gone; all media goes through user space from now on");
        },
        this));
    event_add(events_.back().get(), nullptr);
  }

  void tick() {
    if (alarms_logged_ > kAlarmsPerSecond)
      log::warn("{} more calls became bad or recovered", alarms_logged_ - kAlarmsPerSecond);
    events_logged_ = alarms_logged_ = 0;
    notice_pause(system_clocks().now);
    manager_.sweep(system_clocks());
    tell_unlogged_refusals(manager_, system_clocks().now);
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

  /// C-13: nothing may end for a time in which this process did not run.
  void notice_pause(Instant now) {
    constexpr Duration kLate = std::chrono::seconds(2);  // two ticks
    const Instant before = std::exchange(last_tick_, now);
    if (before == Instant{} || now - before < kLate) return;
    log::warn("nothing ran for {:.1f} s: no call ends for that, and sound that waited is dropped",
              std::chrono::duration<double>(now - before).count());
    manager_.after_pause(before, now);
  }

  /// SIGHUP: what may change of the configuration, and the certificates that it names. What cannot be read
  /// stays as it was (CTL-16).
  void reload() {
    const RaisedRights raised;
    const auto config = load_config(arguments_);
    if (config) {
      log::configure(config->log_level, config->log_stderr, config->log_facility,
                     config->log_format == LogFormat::kJson);
      access_.set_allowed(config->control_allow);
      http_token_ = config->http_token;
      parameters_.take(*config);
      log::info("log level, limits, time-outs, allow-lists and tokens read again");
    } else {
      log::error("configuration not read again: {}", config.error().text);
    }
    if (tls_) renew_certificate(config ? *config : config_);
    for (std::size_t i = 0; i < http_.size(); ++i)
      http_[i]->renew(http_token_, i < config_.listen_http.size() ? nullptr : tls_.get());
  }

  void renew_certificate(const Config& config) {
    try {
      TlsContext renewed(config.https_cert, config.https_key, config.https_client_ca);
      if (renewed.asks_for_certificate() != tls_->asks_for_certificate())
        throw std::runtime_error("https-client-ca that comes or goes takes a restart");
      tls_->swap(renewed);
      connections_.bound_handshakes(tls_->handshakes_per_second());
      log::info("certificate of {} read again", config.https_cert);
    } catch (const std::runtime_error& e) {
      log::error("certificate not read again, the one of before stays: {}", e.what());
    }
  }

  /// LAT-11a: what is configured, with who may send commands and where they arrive.
  PeerRules peer_rules() const {
    PeerRules rules = peers_;
    rules.control = access_.allowed();
    for (const UdpPort port : access_.listening()) rules.ports.push_back({port, port});
    return rules;
  }

  /// From now on media never goes to the port of a listener, whenever that is opened.
  void follow_listeners() {
    const auto follow = [this] {
      SessionConfig session = manager_.config();
      session.peers = peer_rules();
      manager_.set_config(session);
    };
    follow();
    access_.set_on_listening(follow);
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
    peers_ = config.session.peers;
    session.peers = peer_rules();
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
    sources.connections = [this] { return connection_figures(); };
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
        if (is_http && !http_token_.empty()) ways.insert("token");
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

  /// Sources whose control commands were refused (CTL-3), each with the number of commands.
  nlohmann::json refused_sources() {
    nlohmann::json list = nlohmann::json::array();
    const Instant now = system_clocks().now;
    const auto age = [&](Instant at) { return std::chrono::floor<std::chrono::seconds>(now - at).count(); };
    for (const AccessList::Refusal& each : access_.refusals())
      list.push_back({{"source", each.source.to_string()},
                      {"listener", each.listener},
                      {"why", row_of(each.why).name},
                      {"count", each.count},
                      {"first_age_s", age(each.first)},
                      {"last_age_s", age(each.last)}});
    return list;
  }

  /// Interface names of requests that do not exist here.
  nlohmann::json unknown_interfaces() const {
    constexpr std::string_view kPrefix = "interface ";
    nlohmann::json list = nlohmann::json::array();
    for (const auto& [name, word] : ng_.unknown_words()) {
      if (name.starts_with(kPrefix))
        list.push_back({{"name", name.substr(kPrefix.size())}, {"count", word.count}});
    }
    return list;
  }

  /// Why pairs of ports could not be opened, how often, and how long ago the last time was.
  nlohmann::json port_failures() {
    nlohmann::json list = nlohmann::json::array();
    const PortFailures& failures = manager_.port_failures();
    const Instant now = system_clocks().now;
    for (const PortFailureRow& row : kPortFailureRows) {
      const auto index = static_cast<std::size_t>(row.failure);
      if (failures.times[index] == 0) continue;
      list.push_back(
          {{"reason", row.name},
           {"text", row.text},
           {"advice", row.advice},
           {"times", failures.times[index]},
           {"age_s", std::chrono::floor<std::chrono::seconds>(now - failures.last_at[index]).count()}});
    }
    return list;
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
            {"descriptors_wanted", wanted_descriptors(interfaces_, config_.max_clients)},
            {"port_failures", port_failures()},
            {"ranges", std::move(ranges)},
            {"engines", engines()},
            {"exposure", exposure()},
            {"listeners",
             {{"ng", texts(config_.listen_ng)},
              {"ng_tcp", texts(config_.listen_tcp_ng)},
              {"http", texts(config_.listen_http)},
              {"https", texts(config_.listen_https)},
              {"cli", texts(config_.listen_cli)}}},
            {"connections", connection_figures()},
            {"refused_sources", refused_sources()},
            {"unknown_interfaces", unknown_interfaces()},
            {"has_http_token", !http_token_.empty()},
            {"asks_client_certificate", !config_.https_client_ca.empty()},
            {"allow_open_control", config_.allow_open_control},
            {"latch", to_string(config_.session.latch)},
            {"latch_by_rules", config_.session.learning == LearningAlgorithm::kRules},
            {"offload_wanted",
             !engine_->owns_ports() && (config_.offload != OffloadMode::kOff || !config_.offload_of.empty())},
            {"recording_dir", config_.recorder.directory},
            {"recorder", recorder_ ? recorder_figures() : nlohmann::json()},
            {"core_dumps", config_.core_dumps},
            {"confined", is_confined_},
            {"uid", geteuid()},
            {"wall_ms", std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count()}};
  }

  const Config& config_;
  const InterfaceSet& interfaces_;
  PeerRules peers_ = config_.session.peers;  // as the options say
  std::unique_ptr<Engine> engine_;           // outlives the workers
  EventBase base_;
  std::unique_ptr<Launcher> launcher_;   // outlives the recorder; null where there are no hooks
  std::string no_offload_because_;       // empty where something is forwarded in the kernel
  std::unique_ptr<bpf::BpfEngine> bpf_;  // outlives the workers
  std::unique_ptr<Recorder> recorder_;   // outlives the workers, which feed it
  MediaPlane plane_;
  SessionManager manager_;
  ng::NgService ng_;
  AccessList access_;
  Connections connections_;
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
  std::unique_ptr<TlsContext> tls_;
  std::string http_token_ = config_.http_token;
  std::vector<std::unique_ptr<ng::HttpServer>> http_;
  std::unique_ptr<cli::CliServer> cli_server_;
  std::vector<Event> events_;
  std::span<char* const> arguments_;
  bool is_confined_ = false;
  static constexpr unsigned kEventsPerSecond = 50;
  unsigned events_logged_ = 0;
  static constexpr unsigned kAlarmsPerSecond = 50;
  unsigned alarms_logged_ = 0;
  ng::TrafficRates last_;
  Instant last_tick_{};  // unset: none yet
  HostLoad host_;
  MemoryWatch memory_;
};

}  // namespace

void serve(const Config& config, InterfaceSet& interfaces, const std::vector<rtpp::ListenSpec>& classic,
           std::unique_ptr<Engine> engine, ProcessesBeside beside, std::span<char* const> arguments) {
  std::optional<RaisedRights> at_the_end;  // what is removed then may lie in a folder of root
  Daemon daemon(config, interfaces, classic, std::move(engine), std::move(beside));
  daemon.set_arguments(arguments);
  daemon.confine();
  log::info("rtpferryd {} is ready", FERRY_VERSION);
  daemon.run();
  log::info("stopping with {} calls", daemon.calls());
  at_the_end.emplace();
}

}  // namespace ferry

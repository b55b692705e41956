// SPDX-License-Identifier: Apache-2.0
// Builds all parts of the daemon, joins them, and runs the event loop until a signal or the end of draining.
//
// The members are declared in the order in which they need each other, so the order of their declarations is
// a part of the design: what feeds another part is destroyed before it. Workers end before the recorder and
// the engine, listeners before the services behind them. Parts with threads that may wait for other hosts are
// told to stop when the loop ends, before anything is destroyed, so that they wait at the same time
// (`stop_soon`).
//
// One timer a second (`tick`) drives time-outs, rates, limits and the watch over the kernel's forwarding; a
// second one looks at running calls in turns. Events of workers wake the loop through a descriptor. `reload`
// (SIGHUP) applies what may change: it never stops a call or a listener, and what cannot be read stays as it
// was (CTL-16).
//
// The trap: rights are given up before this file runs. Sockets are opened, and files are read again, only
// while `RaisedRights` lives. After `confine` a system call that syscalls.cpp does not list fails.

#include "tools/rtpferryd/daemon.hpp"

#include "codecs/audio/plugin.hpp"
#include "codecs/prompts/prompt_library.hpp"
#include "codecs/stage/receiver_stage.hpp"
#include "control/config/config.hpp"
#include "control/config/parameters.hpp"
#include "control/log/log.hpp"
#include "control/protocol/cli/cli_server.hpp"
#include "control/protocol/cli/text_listener.hpp"
#include "control/protocol/http/http_server.hpp"
#include "control/protocol/ng/http_commands.hpp"
#include "control/protocol/ng/listeners.hpp"
#include "control/protocol/ng/notifier.hpp"
#include "control/protocol/pages/pages.hpp"
#include "control/protocol/pages/web_files.hpp"
#include "control/protocol/refusal_log.hpp"
#include "control/protocol/rtpproxy/notifier.hpp"
#include "control/protocol/udp_listener.hpp"
#include "recorder/recorder.hpp"
#include "relay/base/capabilities.hpp"
#include "relay/dtls/openssl_dtls.hpp"
#include "relay/media/media_threads.hpp"
#include "relay/rights/syscall_filter.hpp"
#include "relay/srtp/backends.hpp"
#include "tools/rtpferryd/call_news.hpp"
#include "tools/rtpferryd/event_outputs.hpp"
#include "tools/rtpferryd/host.hpp"
#include "tools/rtpferryd/known_codecs.hpp"
#include "tools/rtpferryd/offload.hpp"
#include "tools/rtpferryd/self_report.hpp"
#include "tools/rtpferryd/service_manager.hpp"
#include "tools/rtpferryd/syscalls.hpp"
#include "tools/rtpferryd/telemetry.hpp"

#include <csignal>
#include <optional>
#include <set>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

namespace ferry {

namespace {

Clock system_clocks() {
  return {std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()),
          std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now())};
}

/// Settings of calls, with the cryptography and the codecs that this build and the configuration choose.
SessionConfig with_keys(const Config& config, std::shared_ptr<const FaxWatch> faxes) {
  SessionConfig session = config.session;
  session.faxes = std::move(faxes);
  session.dtls.backend = std::make_shared<OpenSslDtls>();
  session.srtp.backend = make_srtp_backend(config.srtp_backend);
  if (!config.codec_plugins.empty()) set_codec_plugin_folder(config.codec_plugins);
  session.codecs = known_codecs();
  return session;
}

/// What is played to parties. The checks of the start have seen that the tones can be read.
PromptLibraryConfig sound_settings(const Config& config) {
  PromptLibraryConfig settings;
  settings.folders = config.media_files;
  settings.numbers = config.media_numbers;
  settings.cache_octets = std::size_t{config.media_cache_mib} << 20;
  settings.tones = ToneTable(config.tone_country);
  for (const auto& [name, cadence] : config.tones) {
    if (const auto defined = settings.tones.define(name, cadence); !defined)
      throw std::runtime_error(fmt::format("tone={}: {}", name, defined.error()));
  }
  return settings;
}

/// Tells a part that the daemon stops, if its threads may wait for other hosts.
template <class Part>
void stop_soon(Part& part) {
  if constexpr (requires { part.stop_soon(); }) part.stop_soon();
}

/// All parts that live while the daemon serves.
class Daemon {
 public:
  Daemon(const Config& config, InterfaceSet& interfaces,
         const std::vector<rtpproxy::ListenSpec>& rtpproxy_sockets, ChosenEngine engine,
         ProcessesBeside beside)
      : config_(config),
        interfaces_(interfaces),
        engine_(std::move(engine.engine)),
        describe_engine_(std::move(engine.describe)),
        base_(event_base_new()),
        launcher_(std::move(beside.launcher)),
        offload_(make_offload(config, interfaces, engine_->workers(), std::move(beside.helper),
                              [] { return system_clocks().now; })),
        bpf_(offload_.engine.get()),
        recorder_(make_recorder()),
        sounds_(sound_settings(config)),
        media_(config.media_threads.value_or(std::max(1U, std::thread::hardware_concurrency())),
               engine_->workers(), StageFactory(faxes_), [] { return system_clocks().now; }),
        plane_(make_workers(), true),
        manager_(with_keys(config, faxes_), interfaces_, plane_, engine_->provider(), news_.listener(),
                 recorder_.get(), &sounds_),
        ng_(manager_, system_clocks, config.templates),
        access_(config.control_allow, config.allow_open_control, interfaces.own_media()),
        connections_(
            base_.get(), access_, [] { return system_clocks().now; }, config.max_clients),
        notifier_(base_.get(),
                  {config.dtmf_log_dest, config.b2b_url, static_cast<ng::XmlRpcFormat>(config.xmlrpc_format)},
                  access_),
        rtpproxy_notifier_(base_.get(), config.rtpproxy_notify),
        rtpp_(manager_, interfaces, system_clocks,
              {config.rtpproxy_internal, config.rtpproxy_external, config.rtpproxy_prompts},
              rtpproxy_notifier_),
        parameters_(config, [this](const Config& changed) { apply(changed); }),
        cli_(manager_, ng_, system_clocks),
        metrics_(manager_, ng_, system_clocks),
        pages_(cli_, metrics_, manager_) {
    // Needed to open sockets. Threads that run already do not get these rights.
    const RaisedRights raised;
    event_outputs_.follow(manager_);
    connect_operator(!rtpproxy_sockets.empty());
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
    for (const rtpproxy::ListenSpec& spec : rtpproxy_sockets)
      listen(spec, rtpproxy_sockets.size() == 1 && !config_.listens_for_ng());
    if (!config.listen_https.empty())
      tls_ = std::make_unique<TlsContext>(config.https_cert, config.https_key, config.https_client_ca);
    const auto add_http = [&](const Endpoint& local, const TlsContext* tls) {
      http_.push_back(std::make_unique<http::HttpServer>(
          connections_, local, tls, http_commands_, [] { return system_clocks().wall; }, http_options()));
      http_.back()->set_pages([this](std::string_view target) { return pages_.get(target); });
      event_outputs_.serve(*http_.back());
      http_.back()->set_front([](std::string_view path) { return pages::web_file(path, true); });
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
  void run() {
    event_base_dispatch(base_.get());
    // Calls that are just ending are reported with their figures.
    manager_.flush(system_clocks());
    event_outputs_.stop();
    stop_soon(event_outputs_);
    stop_soon(telemetry_);
  }
  std::size_t calls() const { return manager_.size(); }
  /// Tells the service manager that calls may come.
  void tell_ready() { service_.serving(); }
  void tell_stopping() { service_.stopping(calls()); }
  /// From now on the process may make only the system calls that serving needs.
  void confine() {
    const auto done = allow_only(daemon_calls({bpf_ != nullptr, engine_->owns_ports()}));
    if (!done) log::warn("{}", done.error());
    is_confined_ = done.has_value();
  }

 private:
  /// Opens the control socket. If its path is the default and another daemon has it, this daemon gets one of
  /// its own beside it.
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

  /// Opens one socket of the rtpproxy protocol. If it is the only one and its input ends, the daemon drains.
  void listen(const rtpproxy::ListenSpec& spec, bool is_only) {
    if (spec.kind == rtpproxy::ListenSpec::Kind::kUdp) {
      udp_.push_back(std::make_unique<UdpListener>(base_.get(), spec.endpoint, rtpp_, manager_, access_,
                                                   system_clocks, config_.control_tos));
      log::info("rtpproxy protocol over UDP on {}{}", spec.endpoint.to_string(), access_note(spec.endpoint));
      return;
    }
    rtpproxy_streams_.push_back(std::make_unique<rtpproxy::StreamListeners>(
        connections_, spec, rtpp_, manager_, system_clocks, config_.rtpproxy_socket_mode,
        [this, ends = spec.ends_daemon || is_only] {
          if (ends) drain();
        }));
    log::info("rtpproxy protocol on {}", rtpproxy::describe(spec));
  }

  http::HttpOptions http_options() const {
    http::HttpOptions options{
        .idle = config_.http_idle_timeout, .token = http_token_, .names = config_.http_names};
    const auto own = host_names();
    options.names.insert(options.names.end(), own.begin(), own.end());
    return options;
  }

  /// Takes no new calls, and ends after the last one.
  void drain() {
    manager_.set_draining();
    service_.draining(manager_.size());
    log::info("draining: {} calls go on, new ones are refused", manager_.size());
    end_if_drained();
  }
  void take_calls_again() {
    manager_.set_draining(false);
    service_.serving();
  }
  void end_if_drained() {
    // The client that asked for it gets its reply first.
    const timeval soon{0, 200'000};
    if (manager_.is_draining() && manager_.size() == 0) event_base_loopexit(base_.get(), &soon);
  }

  /// Makes as many workers as the engine has. Each has its own part of the engine and of the kernel's
  /// forwarding, and its own way to the media threads, which begin here.
  std::vector<std::unique_ptr<Worker>> make_workers() {
    media_.start();
    std::vector<std::unique_ptr<Worker>> workers;
    for (unsigned i = 0; i < engine_->workers(); ++i) {
      workers.push_back(std::make_unique<Worker>(engine_->make_io(i), interfaces_.own_media(),
                                                 bpf_ ? bpf_->make_offload() : nullptr));
      workers.back()->set_wall_clock(std::chrono::system_clock::now(), workers.back()->now());
      workers.back()->set_stages(media_.maker_for(i, [worker = workers.back().get()] { worker->wake(); }));
    }
    const nlohmann::json engine = describe_engine_();
    log::info("{} workers, engine {} ({}), {} media threads", workers.size(),
              engine["engine"].get<std::string>(), engine["reason"].get<std::string>(), media_.size());
    return workers;
  }

  /// Null if nothing is recorded.
  std::unique_ptr<Recorder> make_recorder() const {
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

  /// What moves the media: the engine, the forwarding in the kernel on each interface, and how many packets
  /// took which way.
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
    nlohmann::json media = nlohmann::json::array();
    for (std::size_t i = 0; i < media_.size(); ++i)
      media.push_back({{"load", media_.thread(i).load()}, {"streams", media_.thread(i).stages()}});
    nlohmann::json all = describe_engine_();
    if (!bpf_) all["offload_reason"] = offload_.why_not;
    if (bpf_) all["helper"] = {{"pid", bpf_->helper_process()}, {"running", !bpf_->is_off()}};
    all.update({{"workers", plane_.workers()},
                {"offload", std::move(offload)},
                {"flows", flows},
                {"packets_kernel", packets},
                {"packets_user", user_packets},
                {"sent_by", std::move(sent)},
                {"punted", std::move(punts)},
                {"media_threads", std::move(media)}});
    return all;
  }

  /// Says in the log who may use a listener.
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
          auto& daemon = *static_cast<Daemon*>(self);
          const Clock clock = system_clocks();
          if (!daemon.manager_.watch(clock)) log::debug("no memory to look at running calls");
          daemon.telemetry_.turn(daemon.manager_, clock);
        },
        this));
    const timeval turn = timeval_of(HealthWatch::kTurnInterval);
    event_add(events_.back().get(), &turn);
    if (bpf_) watch_helper();
    // Events of workers, such as DTMF, are handled at once and do not wait for the next tick.
    events_.emplace_back(event_new(
        base_.get(), plane_.event_fd(), EV_READ | EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Daemon*>(self)->manager_.poll_events(); },
        this));
    event_add(events_.back().get(), nullptr);
  }

  /// Watches the helper process. If it ends, the kernel stops forwarding, and the calls go on in user space.
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

  /// Runs once a second. The order counts: a pause of the process is noticed before time-outs are checked, or
  /// calls would end for a time in which nothing ran.
  void tick() {
    news_.begin_second();
    notice_pause(system_clocks().now);
    manager_.sweep(system_clocks());
    pages_.tick(system_clocks());
    tell_unlogged_refusals(manager_, system_clocks().now);
    if (bpf_) {
      bpf_->keep_alive(system_clocks().now);
      for (const bpf::Attachment& back : bpf_->check_interfaces())
        log::info("offload on {}: {} ({})", back.interface, to_string(back.mode), back.reason);
    }
    news_.tell_events_left_out();
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
    LoadFigures load = host_.read(rates.bytes);
    load.transcoding_percent = media_.least_load();
    manager_.set_load(load);
    rtpp_.set_load(load.cpu_percent / 100);
    telemetry_.end_second(manager_, ng_, metrics_, system_clocks());
    end_if_drained();
  }

  /// C-13: no call may end because of a time in which this process did not run.
  void notice_pause(Instant now) {
    // Two ticks.
    constexpr Duration kLate = std::chrono::seconds(2);
    const Instant before = std::exchange(last_tick_, now);
    if (before == Instant{} || now - before < kLate) return;
    log::warn("nothing ran for {:.1f} s: no call ends for that, and sound that waited is dropped",
              std::chrono::duration<double>(now - before).count());
    manager_.after_pause(before, now);
  }

  /// Handles SIGHUP: applies the options that may change, and reads certificates again. What cannot be read
  /// stays as it was (CTL-16).
  void reload() {
    const RaisedRights raised;
    service_.reloading(system_clocks().now);
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
    manager_.is_draining() ? service_.draining(manager_.size()) : service_.serving();
  }

  /// Reads the certificate again. Whether clients must show one
  /// changes only with a restart.
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

  /// LAT-11a: the configured rules about peers, with the networks that may send commands and the ports where
  /// these arrive.
  PeerRules peer_rules() const {
    PeerRules rules = peers_;
    rules.control = access_.allowed();
    for (const UdpPort port : access_.listening()) rules.ports.push_back({port, port});
    return rules;
  }

  /// From now on media never goes to the port of a control listener, whenever it is opened.
  void follow_listeners() {
    const auto follow = [this] {
      SessionConfig session = manager_.config();
      session.peers = peer_rules();
      manager_.set_config(session);
    };
    follow();
    access_.set_on_listening(follow);
  }

  /// Applies the options that may change while the daemon runs.
  void apply(const Config& config) {
    SessionConfig session = manager_.config();
    session.max_sessions = config.session.max_sessions;
    session.max_cpu_percent = config.session.max_cpu_percent;
    session.max_load = config.session.max_load;
    session.max_bandwidth_bytes = config.session.max_bandwidth_bytes;
    session.max_transcoding_percent = config.session.max_transcoding_percent;
    session.timeout = config.session.timeout;
    session.silent_timeout = config.session.silent_timeout;
    session.offer_timeout = config.session.offer_timeout;
    session.final_timeout = config.session.final_timeout;
    session.delete_delay = config.session.delete_delay;
    session.measure_rtp = config.session.measure_rtp;
    peers_ = config.session.peers;
    session.peers = peer_rules();
    manager_.set_config(session);
    // Levels of single subsystems stay if another option is set.
    if (std::exchange(log_level_, config.log_level) != config.log_level) log::set_level(config.log_level);
    news_.set_writes_cdr(config.cdr);
    set_flight_mode(config.flight);
  }

  void set_flight_mode(FlightMode mode) {
    for (std::size_t i = 0; i < plane_.workers(); ++i) plane_.worker(i).set_flight_mode(mode);
  }

  /// Connects the operator's commands and metrics with what only the daemon knows.
  void connect_operator(bool has_rtpproxy) {
    cli::DaemonAccess access;
    metrics::Sources sources;
    access.engines = sources.engines = [this] { return engines(); };
    if (recorder_) access.recorder = sources.recorder = [this] { return figures_of(*recorder_); };
    if (has_rtpproxy)
      access.rtpproxy = sources.rtpproxy = [this] { return figures_of(rtpp_, rtpproxy_notifier_, manager_); };
    sources.connections = [this] { return figures_of(connections_, access_); };
    sources.telemetry = [this] { return telemetry_.figures(); };
    access.events = [this] { return event_outputs_.figures(); };
    access.facts = [this] { return facts(); };
    access.drain = [this](bool on) { on ? drain() : take_calls_again(); };
    access.parameters = &parameters_;
    sources.exposure = exposure_of(config_, !http_token_.empty());
    cli_.set_daemon(std::move(access));
    event_outputs_.begin_reports(
        [this](const nlohmann::json& request) { return cli_.execute(request, "mqtt"); });
    metrics_.set_sources(std::move(sources));
    metrics_.set_names(config_.telemetry.names);
    telemetry_.follow(manager_, ng_);
    ng_.set_parameters(&parameters_);
    ng_.set_observer([this](std::string_view command, Duration time) {
      metrics_.observe_request(command, time);
      telemetry_.note_command(command, time);
    });
  }

  /// Facts for `rtpferryctl doctor`.
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
                          {"ice_port", local.ice_port.value},
                          {"links", system_interfaces_of(local.address)}});
      }
    }
    return {{"version", FERRY_VERSION},
            {"pid", getpid()},
            {"workers", plane_.workers()},
            {"descriptor_limit", files.rlim_cur},
            {"descriptors_wanted", wanted_descriptors(interfaces_, config_.max_clients)},
            {"port_failures", port_failures(manager_, system_clocks().now)},
            {"ranges", std::move(ranges)},
            {"engines", engines()},
            {"exposure", exposure_of(config_, !http_token_.empty())},
            {"listeners",
             {{"ng", texts(config_.listen_ng)},
              {"ng_tcp", texts(config_.listen_tcp_ng)},
              {"http", texts(config_.listen_http)},
              {"https", texts(config_.listen_https)},
              {"cli", texts(config_.listen_cli)}}},
            {"connections", figures_of(connections_, access_)},
            {"refused_sources", refused_sources(access_, system_clocks().now)},
            {"unknown_interfaces", unknown_interfaces(ng_)},
            {"has_http_token", !http_token_.empty()},
            {"asks_client_certificate", !config_.https_client_ca.empty()},
            {"allow_open_control", config_.allow_open_control},
            {"latch", to_string(config_.session.latch)},
            {"latch_by_rules", config_.session.learning == LearningAlgorithm::kRules},
            {"offload_wanted",
             !engine_->owns_ports() && (config_.offload != OffloadMode::kOff || !config_.offload_of.empty())},
            {"recording_dir", config_.recorder.directory},
            {"recorder", recorder_ ? figures_of(*recorder_) : nlohmann::json()},
            {"core_dumps", config_.core_dumps},
            {"max_transcoding_load", manager_.config().max_transcoding_percent},
            {"confined", is_confined_},
            {"uid", geteuid()},
            {"wall_ms", std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count()}};
  }

  const Config& config_;
  const InterfaceSet& interfaces_;
  // As the options say, without what `peer_rules` adds.
  PeerRules peers_ = config_.session.peers;
  // Must outlive the workers.
  std::unique_ptr<Engine> engine_;
  std::function<nlohmann::json()> describe_engine_;
  EventBase base_;
  // Must outlive the recorder; null if there are no hooks.
  std::unique_ptr<Launcher> launcher_;
  // Must outlive the workers.
  Offload offload_;
  // Owned by `offload_`; null if the kernel forwards nothing.
  bpf::BpfEngine* bpf_;
  // Must outlive the workers, which feed it; null if nothing is recorded.
  std::unique_ptr<Recorder> recorder_;
  // Must outlive the manager.
  PromptLibrary sounds_;
  CallNews news_{{notifier_, rtpproxy_notifier_, metrics_, memory_}, config_.cdr, system_clocks};
  // Must outlive the manager, which tells it of calls to the end.
  Telemetry telemetry_{config_.telemetry};
  // Must outlive the manager, which tells it of calls.
  EventOutputs event_outputs_{config_, base_.get()};
  // Must outlive the workers, which give it what is to be converted.
  std::shared_ptr<FaxBoard> faxes_ = std::make_shared<FaxBoard>();
  MediaThreads media_;
  MediaPlane plane_;
  SessionManager manager_;
  ng::NgService ng_;
  ng::HttpCommands http_commands_{ng_, manager_, system_clocks};
  AccessList access_;
  Connections connections_;
  ng::Notifier notifier_;
  rtpproxy::Notifier rtpproxy_notifier_;
  rtpproxy::Service rtpp_;
  Parameters parameters_;
  cli::CliService cli_;
  metrics::Metrics metrics_;
  pages::Pages pages_;
  int log_level_ = config_.log_level;
  std::vector<std::unique_ptr<cli::TextListener>> text_;
  std::vector<std::unique_ptr<UdpListener>> udp_;
  std::vector<std::unique_ptr<ng::StreamServer>> streams_;
  std::vector<std::unique_ptr<rtpproxy::StreamListeners>> rtpproxy_streams_;
  std::unique_ptr<TlsContext> tls_;
  std::string http_token_ = config_.http_token;
  std::vector<std::unique_ptr<http::HttpServer>> http_;
  std::unique_ptr<cli::CliServer> cli_server_;
  std::vector<Event> events_;
  std::span<char* const> arguments_;
  bool is_confined_ = false;
  ng::TrafficRates last_;
  // Unset before the first tick.
  Instant last_tick_{};
  HostLoad host_;
  MemoryWatch memory_;
  ServiceManager service_;
};

}  // namespace

void serve(const Config& config, InterfaceSet& interfaces,
           const std::vector<rtpproxy::ListenSpec>& rtpproxy_sockets, ChosenEngine engine,
           ProcessesBeside beside, std::span<char* const> arguments) {
  // Sockets that are removed at the end may lie in a folder of root.
  std::optional<RaisedRights> at_the_end;
  Daemon daemon(config, interfaces, rtpproxy_sockets, std::move(engine), std::move(beside));
  daemon.set_arguments(arguments);
  daemon.confine();
  log::info("rtpferryd {} is ready", FERRY_VERSION);
  daemon.tell_ready();
  daemon.run();
  daemon.tell_stopping();
  log::info("stopping with {} calls", daemon.calls());
  at_the_end.emplace();
}

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
#include "tests/support/world.hpp"

#include "relay/dtls/openssl_dtls.hpp"
#include "relay/io/portable/portable_io.hpp"
#include "relay/io/portable/socket_address.hpp"
#include "relay/io/sim/sim_network.hpp"
#include "relay/srtp/evp_backend.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry::test {

using nlohmann::json;
using namespace std::chrono_literals;

namespace {

constexpr WallTime kWallStart{std::chrono::hours(24 * 365 * 55)};

IpAddress address(std::string_view text) { return IpAddress::parse(text).value(); }

SessionConfig with_srtp(SessionConfig session) {
  if (!session.srtp.backend) session.srtp.backend = std::make_shared<EvpBackend>();
  if (!session.dtls.backend) session.dtls.backend = std::make_shared<OpenSslDtls>();
  return session;
}

std::unique_ptr<InterfaceSet> make_interfaces(const WorldOptions& options, std::string_view plain,
                                              std::string_view global, bool check_local) {
  std::vector<InterfaceSpec> specs;
  specs.push_back(parse_interface_spec(fmt::format("plain/{}", plain)));
  specs.back().strict_payload_types = options.strict_payload_types;
  for (const std::string& each : options.interfaces) specs.push_back(parse_interface_spec(each));
  // Advertised as a global address, so that private addresses in SDP are void (LAT-4).
  specs.push_back(parse_interface_spec(fmt::format("global/{}!203.0.113.77", global)));
  for (const int member : {3, 4}) {
    const std::string network(plain.substr(0, plain.rfind('.')));
    specs.push_back(parse_interface_spec(fmt::format("ring:{}/{}.{}", member, network, member)));
  }
  auto built = InterfaceSet::build(specs, options.port_min, options.port_max, check_local, options.ice_port);
  if (!built) throw std::runtime_error(built.error());
  return std::make_unique<InterfaceSet>(std::move(*built));
}

}  // namespace

std::size_t World::count(const Endpoint& at, char sender) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      received_, [&](const Received& r) { return r.at == at && sender_of(r.packet) == sender; }));
}

std::size_t World::count(const Endpoint& at) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(received_, [&](const Received& r) { return r.at == at; }));
}

json World::ng(const json& request) {
  const std::string reply = service_->handle_document(request.dump(), address("127.0.0.1"));
  manager_->flush(clock());
  return json::parse(reply);
}

std::string World::rtpproxy(const std::string& command) {
  std::string reply = rtpp_->handle_line(command, address("127.0.0.1"));
  manager_->flush(clock());
  reply.pop_back();
  return reply;
}

UdpPort World::port_of(const std::string& reply) {
  return UdpPort{static_cast<std::uint16_t>(std::atoi(reply.c_str()))};
}

UdpPort World::port_of(const json& reply) {
  const auto sdp = reply.at("sdp").get<std::string>();
  const auto line = sdp.find("m=");
  const auto start = sdp.find(' ', line) + 1;
  return UdpPort{static_cast<std::uint16_t>(std::stoi(sdp.substr(start)))};
}

std::string audio_sdp(const Endpoint& media, const std::string& extra) {
  const char* type = media.address.is_v6() ? "IP6" : "IP4";
  return fmt::format(
      "v=0\r\no=- 1 1 IN {0} {1}\r\ns=-\r\nc=IN {0} {1}\r\nt=0 0\r\nm=audio {2} RTP/AVP 8 0\r\na=rtpmap:8 "
      "PCMA/8000\r\n"
      "a=rtpmap:0 PCMU/8000\r\n{3}",
      type, media.address.to_string(), media.port.value, extra);
}

json offer(const std::string& call, const std::string& from, const std::string& sdp) {
  return {{"command", "offer"}, {"call-id", call}, {"from-tag", from}, {"sdp", sdp}};
}

json answer(const std::string& call, const std::string& from, const std::string& to, const std::string& sdp) {
  return {{"command", "answer"}, {"call-id", call}, {"from-tag", from}, {"to-tag", to}, {"sdp", sdp}};
}

namespace {

class SimWorld final : public World {
 public:
  explicit SimWorld(const WorldOptions& options)
      : link_(options.link), on_time_(options.on_time), name_(options.name) {
    interfaces_ = make_interfaces(options, "198.18.0.1", "198.18.0.2", false);
    std::vector<std::unique_ptr<Worker>> workers;
    for (std::size_t i = 0; i < options.workers; ++i) {
      std::unique_ptr<FlowOffload> kernel;
      if (options.offload && i == 0) kernel = options.offload(network_);
      workers.push_back(std::make_unique<Worker>(std::make_unique<SimIo>(network_), interfaces_->own_media(),
                                                 std::move(kernel)));
      if (options.stages) workers.back()->set_stages(options.stages(static_cast<unsigned>(i)));
    }
    plane_ = std::make_unique<MediaPlane>(std::move(workers), false);
    manager_ = std::make_unique<SessionManager>(with_srtp(options.session), *interfaces_, *plane_, network_,
                                                options.listener, options.recorder);
    service_ = std::make_unique<ng::NgService>(*manager_, [this] { return clock(); });
    make_rtpp(options);
    network_.set_outlet([this](const SimDatagram& datagram) {
      if (is_broken_) return false;
      if (!link_) {
        reach_peer(datagram);
        return true;
      }
      for (const Duration travel : link_->to_peer(datagram.to, elapsed()))
        after(travel, [this, datagram] {
          if (const auto at = link_->arrive(datagram.to, datagram.from))
            reach_peer({datagram.from, *at, datagram.payload});
        });
      return true;
    });
    start_ = network_.now();
    if (on_time_) on_time_(start_);
  }
  ~SimWorld() override {
    rtpp_.reset();
    service_.reset();
    manager_.reset();
    plane_.reset();
  }

  void run(Duration end) override {
    while (!schedule_.empty() && schedule_.top().when <= end) {
      const Scheduled next = schedule_.top();
      schedule_.pop();
      pass_time(next.when);
      next.action();
      settle();
    }
    pass_time(end);
    settle();
  }
  [[nodiscard]] Duration elapsed() const override { return network_.now() - start_; }
  void send(const Endpoint& from, const Endpoint& to, const Packet& packet) override {
    peers_.insert(from);
    if (link_) {
      const Link::Passage passage = link_->to_relay(from, to, elapsed());
      for (const Duration travel : passage.travels)
        after(travel,
              [this, datagram = SimDatagram{passage.from, to, packet}] { network_.send_to_relay(datagram); });
    } else {
      network_.send_to_relay({from, to, packet});
    }
    settle();
  }
  void open(const Endpoint& peer) override {
    peers_.insert(peer);
    network_.accept(peer);
  }
  bool refuse(const Endpoint& peer) override {
    network_.refuse(peer);
    return true;
  }
  [[nodiscard]] Clock clock() const override { return {network_.now(), kWallStart + elapsed() + wall_step_}; }
  void limit_descriptors(std::size_t limit) override { network_.set_descriptor_limit(limit); }
  void fail_ports(std::optional<PortError> error) override { network_.set_port_error(error); }
  [[nodiscard]] bool is_virtual() const override { return true; }
  void refuse_ports(bool on) override { network_.set_refuses_ports(on); }
  void break_wire(bool on) override { is_broken_ = on; }
  void step_wall_clock(Duration step) override { wall_step_ += step; }
  void stop() override { stopped_at_ = network_.now(); }
  void go_on() override {
    const Instant began = *std::exchange(stopped_at_, std::nullopt);
    for (std::size_t i = 0; i < plane_->workers(); ++i) plane_->worker(i).after_pause(network_.now() - began);
    manager_->after_pause(began, network_.now());
    settle();
  }
  [[nodiscard]] std::size_t open_ports() const override { return network_.open_ports(); }
  [[nodiscard]] IpAddress relay_address(std::string_view interface) const override {
    return address(interface == "plain" ? "198.18.0.1" : "198.18.0.2");
  }
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] std::uint64_t forwarded_by_kernel() const override {
    return plane_->worker(0).totals().offloaded_packets.load();
  }
  [[nodiscard]] IpAddress peer_address(unsigned row, char who) const override {
    return IpAddress::v4({198, 51, static_cast<std::uint8_t>(row), static_cast<std::uint8_t>(who)});
  }

 private:
  /// At once if `travel` is zero, as without a link.
  void after(Duration travel, Action action) {
    travel == Duration(0) ? action() : at(elapsed() + travel, std::move(action));
  }
  void reach_peer(const SimDatagram& datagram) {
    if (!peers_.contains(datagram.to)) return;  // lost in the network
    received_.push_back({datagram.to, datagram.from, datagram.payload, elapsed()});
  }
  void advance_to(Instant time) {
    network_.advance_to(time);
    if (on_time_) on_time_(network_.now());
  }
  void pass_time(Duration until) {
    while (swept_ + 1s <= until) {
      swept_ += 1s;
      advance_to(start_ + swept_);
      if (!stopped_at_) manager_->sweep(clock());
    }
    advance_to(start_ + until);
    swept_ = std::max<Duration>(swept_, std::chrono::floor<std::chrono::seconds>(elapsed()) - 1s);
  }
  void settle() {
    // A packet may go round through several workers.
    for (bool again = !stopped_at_; again;) {
      again = false;
      for (std::size_t i = 0; i < plane_->workers(); ++i) again |= plane_->worker(i).run_once() > 0;
    }
  }

  SimNetwork network_;
  bool is_broken_ = false;
  std::shared_ptr<Link> link_;
  std::function<void(Instant)> on_time_;
  std::string name_;
  Instant start_;
  Duration swept_{0};
  std::optional<Instant> stopped_at_;
  Duration wall_step_{0};
  std::set<Endpoint> peers_;
};

class LiveWorld final : public World {
 public:
  LiveWorld(const WorldOptions& options, std::unique_ptr<LiveEngine> engine)
      : engine_(std::move(engine)), start_(std::chrono::steady_clock::now()) {
    interfaces_ = make_interfaces(options, "127.250.0.1", "127.250.0.2", true);
    std::vector<std::unique_ptr<Worker>> workers;
    for (unsigned i = 0; i < engine_->workers(options.workers); ++i)
      workers.push_back(std::make_unique<Worker>(engine_->make_io(i), interfaces_->own_media()));
    plane_ = std::make_unique<MediaPlane>(std::move(workers), true);
    manager_ = std::make_unique<SessionManager>(with_srtp(options.session), *interfaces_, *plane_,
                                                engine_->provider(), options.listener);
    service_ = std::make_unique<ng::NgService>(*manager_, [this] { return clock(); });
    make_rtpp(options);
  }
  ~LiveWorld() override {
    rtpp_.reset();
    service_.reset();
    manager_.reset();
    plane_.reset();
  }

  void run(Duration end) override {
    while (elapsed() < end) {
      Duration next = end;
      while (!schedule_.empty() && schedule_.top().when <= elapsed()) {
        const Scheduled due = schedule_.top();
        schedule_.pop();
        wait_for_late(due.when);
        due.action();
      }
      if (!schedule_.empty()) next = std::min(next, schedule_.top().when);
      if (elapsed() >= swept_ + 1s) {
        swept_ = elapsed();
        manager_->sweep(clock());
      }
      collect(std::min<Duration>(next - elapsed(), 50ms));
    }
    // What is on its way, until nothing more comes.
    const Duration last = elapsed() + 5s;
    for (std::size_t before = ~std::size_t{0}; before != received_.size() && elapsed() < last;) {
      before = received_.size();
      collect(100ms);
    }
  }
  [[nodiscard]] Duration elapsed() const override { return std::chrono::steady_clock::now() - start_; }
  void send(const Endpoint& from, const Endpoint& to, const Packet& packet) override {
    engine_->send(from, to, packet);
  }
  void open(const Endpoint& peer) override { engine_->open(peer); }
  bool refuse(const Endpoint&) override { return engine_->answers_for_closed_ports(); }
  [[nodiscard]] Clock clock() const override {
    return {std::chrono::steady_clock::now(),
            std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now())};
  }
  [[nodiscard]] IpAddress relay_address(std::string_view interface) const override {
    return address(interface == "plain" ? "127.250.0.1" : "127.250.0.2");
  }
  [[nodiscard]] std::string name() const override { return engine_->name(); }
  [[nodiscard]] IpAddress peer_address(unsigned row, char who) const override {
    return engine_->peer_address(row, who);
  }
  [[nodiscard]] std::size_t longest_datagram() const override { return engine_->longest_datagram(); }

 private:
  /// Sets the script's clock back if an action is later than `kLate` behind `when`: on a busy host the
  /// actions then keep their distances, instead of coming in one burst that fills a socket or gives two of
  /// them no time between.
  void wait_for_late(Duration when) {
    constexpr Duration kLate = 5ms;
    start_ += std::max<Duration>(elapsed() - when - kLate, 0ms);
  }
  void collect(Duration limit) {
    engine_->collect(limit, [this](Received got) {
      got.when = elapsed();
      received_.push_back(std::move(got));
    });
  }

  std::unique_ptr<LiveEngine> engine_;
  Instant start_;
  Duration swept_{0};
};

/// Sockets of the loopback range on both sides.
class SocketEngine final : public LiveEngine {
 public:
  ~SocketEngine() override {
    for (const auto& [endpoint, fd] : sockets_) close(fd);
  }
  [[nodiscard]] std::string name() const override { return "portable"; }
  [[nodiscard]] bool answers_for_closed_ports() const override { return true; }
  [[nodiscard]] PortProvider& provider() override { return provider_; }
  [[nodiscard]] std::unique_ptr<PacketIo> make_io(unsigned) override {
    return std::make_unique<PortableIo>(connected_);
  }
  [[nodiscard]] IpAddress peer_address(unsigned row, char who) const override {
    // Test programs run side by side.
    const auto program = static_cast<std::uint8_t>(20 + getpid() % 200);
    return IpAddress::v4({127, program, static_cast<std::uint8_t>(row), static_cast<std::uint8_t>(who)});
  }
  void send(const Endpoint& from, const Endpoint& to, const Packet& packet) override {
    const SocketAddress target(to);
    sendto(socket_of(from), packet.data(), packet.size(), 0, target.get(), target.size());
  }
  void open(const Endpoint& peer) override { socket_of(peer); }
  void collect(Duration limit, const std::function<void(Received)>& take) override {
    std::vector<pollfd> waiting;
    std::vector<Endpoint> endpoints;
    for (const auto& [endpoint, fd] : sockets_) {
      waiting.push_back({fd, POLLIN, 0});
      endpoints.push_back(endpoint);
    }
    const auto ms =
        std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::milliseconds>(limit).count());
    if (poll(waiting.data(), waiting.size(), static_cast<int>(ms)) <= 0) return;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if ((waiting[i].revents & POLLIN) == 0) continue;
      Packet packet(65536);
      SocketAddress from;
      for (ssize_t n = 0; (n = recvfrom(waiting[i].fd, packet.data(), packet.size(), 0, from.get(),
                                        from.size_pointer())) >= 0;) {
        take({endpoints[i], from.endpoint(), {packet.begin(), packet.begin() + n}, {}});
      }
    }
  }

 private:
  int socket_of(const Endpoint& endpoint) {
    const auto known = sockets_.find(endpoint);
    if (known != sockets_.end()) return known->second;
    const SocketAddress local(endpoint);
    const int fd = socket(local.family(), SOCK_DGRAM | SOCK_NONBLOCK, 0);
    const int size = 1 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(fd, local.get(), local.size()) != 0)
      throw std::runtime_error("cannot bind " + endpoint.to_string());
    sockets_[endpoint] = fd;
    return fd;
  }

  std::shared_ptr<ConnectedSockets> connected_ = std::make_shared<ConnectedSockets>();
  PortableProvider provider_{connected_};
  std::map<Endpoint, int> sockets_;
};

}  // namespace

std::unique_ptr<World> make_sim_world(const WorldOptions& options) {
  return std::make_unique<SimWorld>(options);
}
std::unique_ptr<World> make_live_world(const WorldOptions& options) {
  return make_live_world(options, std::make_unique<SocketEngine>());
}
std::unique_ptr<World> make_live_world(const WorldOptions& options, std::unique_ptr<LiveEngine> engine) {
  return std::make_unique<LiveWorld>(options, std::move(engine));
}

}  // namespace ferry::test

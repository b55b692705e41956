// SPDX-License-Identifier: Apache-2.0
// A relay and its peers for tests that script whole calls: once on the simulated engine in virtual time, once
// on sockets of the loopback range in real time. A script does not know which.
#pragma once

#include "control/manager/manager.hpp"
#include "control/protocol/ng/service.hpp"
#include "control/protocol/rtpproxy/service.hpp"
#include "relay/io/sim/sim_network.hpp"
#include "tests/support/link.hpp"
#include "tests/support/packets.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace ferry::test {

/// A datagram that reached a peer.
struct Received {
  Endpoint at;
  Endpoint from;
  Packet packet;
  Duration when{0};
};

struct WorldOptions {
  std::size_t workers = 1;
  SessionConfig session;
  UdpPort port_min{30000};
  UdpPort port_max{39999};
  /// The port of all ICE legs at each address; 0 = none.
  UdpPort ice_port{};
  /// Simulation only: what locked plain streams of the first worker go to, and the engine's name with it.
  std::function<std::unique_ptr<FlowOffload>(SimNetwork&)> offload;
  std::string name = "sim";
  /// Key `strict-payload-types` of the section of the interface `plain`.
  bool strict_payload_types = false;
  /// More `interface=` settings.
  std::vector<std::string> interfaces;
  /// Scripts speak the rtpproxy protocol instead of NG where they can.
  bool rtpproxy = false;
  /// Directories with prompts.
  std::vector<std::string> prompts;
  /// Simulation only: who is told what happens.
  SessionManager::Listener listener;
  /// Simulation only: records calls; told of the time first whenever it moves.
  CallRecorder* recorder = nullptr;
  std::function<void(Instant)> on_time;
  /// Simulation only: makes what converts audio, for a worker. Null: nothing is converted.
  std::function<std::unique_ptr<StageMaker>(unsigned worker)> stages;
  /// Simulation only: what lies between peers and relay. Null: every datagram arrives at once.
  std::shared_ptr<Link> link;
};

class World {
 public:
  using Action = std::function<void()>;
  virtual ~World() = default;

  /// Runs `action` `when` after the start.
  void at(Duration when, Action action) { schedule_.push({when, next_++, std::move(action)}); }
  /// Runs everything that was scheduled until `end`.
  virtual void run(Duration end) = 0;
  [[nodiscard]] virtual Duration elapsed() const = 0;

  /// A peer sends; its endpoint receives from then on.
  virtual void send(const Endpoint& from, const Endpoint& to, const Packet& packet) = 0;
  /// Makes an endpoint receive without sending.
  virtual void open(const Endpoint& peer) = 0;
  [[nodiscard]] const std::vector<Received>& received() const { return received_; }
  [[nodiscard]] std::size_t count(const Endpoint& at, char sender) const;
  [[nodiscard]] std::size_t count(const Endpoint& at) const;

  /// One NG request; the reply as JSON. Flushes like a listener.
  nlohmann::json ng(const nlohmann::json& request);
  /// One command of the rtpproxy protocol; the reply without its newline.
  std::string rtpproxy(const std::string& command);
  /// Commands of the rtpproxy protocol come faster than they are served (CTL-5).
  void set_rtpp_overloaded(bool overloaded) { rtpp_->set_overloaded(overloaded); }
  [[nodiscard]] bool is_rtpproxy() const { return is_rtpproxy_; }
  /// Port in its reply; 0 if it is an error.
  static UdpPort port_of(const std::string& reply);
  /// Port of the first m-line in the SDP of a reply.
  static UdpPort port_of(const nlohmann::json& reply);

  [[nodiscard]] SessionManager& manager() { return *manager_; }
  [[nodiscard]] virtual Clock clock() const = 0;
  [[nodiscard]] ng::NgService& service() { return *service_; }
  /// Address that relay ports live at.
  [[nodiscard]] virtual IpAddress relay_address(std::string_view interface = "plain") const = 0;
  [[nodiscard]] virtual std::string name() const = 0;
  /// An address for peer `who` of test row `row`.
  [[nodiscard]] virtual IpAddress peer_address(unsigned row, char who) const = 0;

  /// Nobody listens at `peer`, which was never opened: its host answers with ICMP port unreachable. False if
  /// the world's network has no such hosts.
  virtual bool refuse(const Endpoint& peer) = 0;
  /// What a peer can send at all.
  [[nodiscard]] virtual std::size_t longest_datagram() const { return 65507; }

  /// Time passes as fast as the script is played.
  [[nodiscard]] virtual bool is_virtual() const { return false; }

  /// Simulation only: faults of the host.
  virtual void limit_descriptors(std::size_t) {}
  /// No port can be opened, for this reason; unset: they can.
  virtual void fail_ports(std::optional<PortError>) {}
  /// The engine takes no port, or the wire no packet, while this is on.
  virtual void refuse_ports(bool) {}
  virtual void break_wire(bool) {}
  virtual void step_wall_clock(Duration) {}
  /// The process stands still until `go_on`: time passes, what is sent waits, nothing runs.
  virtual void stop() {}
  virtual void go_on() {}
  [[nodiscard]] virtual std::size_t open_ports() const { return 0; }
  /// Packets that no worker saw.
  [[nodiscard]] virtual std::uint64_t forwarded_by_kernel() const { return 0; }

 protected:
  void make_rtpp(const WorldOptions& options) {
    is_rtpproxy_ = options.rtpproxy;
    rtpp_ = std::make_unique<rtpproxy::Service>(
        *manager_, *interfaces_, [this] { return clock(); }, rtpproxy::ServiceConfig{{}, {}, options.prompts},
        no_targets_);
  }
  struct Scheduled {
    Duration when;
    std::uint64_t order;
    Action action;
    bool operator>(const Scheduled& other) const {
      return when != other.when ? when > other.when : order > other.order;
    }
  };
  std::priority_queue<Scheduled, std::vector<Scheduled>, std::greater<>> schedule_;
  std::uint64_t next_ = 0;
  std::vector<Received> received_;
  std::unique_ptr<InterfaceSet> interfaces_;
  std::unique_ptr<MediaPlane> plane_;
  std::unique_ptr<SessionManager> manager_;
  std::unique_ptr<ng::NgService> service_;
  /// Nobody is told.
  struct NoTargets final : rtpproxy::NotifyTargets {
    [[nodiscard]] bool any() const override { return false; }
    [[nodiscard]] std::string allowed(std::string_view, const IpAddress&) const override { return {}; }
  };
  NoTargets no_targets_;
  std::unique_ptr<rtpproxy::Service> rtpp_;
  bool is_rtpproxy_ = false;
};

/// The relay's engine of a live world, and the network on its other side.
class LiveEngine {
 public:
  virtual ~LiveEngine() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual std::size_t workers(std::size_t wanted) const { return wanted; }
  [[nodiscard]] virtual PortProvider& provider() = 0;
  [[nodiscard]] virtual std::unique_ptr<PacketIo> make_io(unsigned worker) = 0;
  /// An address for peer `who` of test row `row`.
  [[nodiscard]] virtual IpAddress peer_address(unsigned row, char who) const = 0;
  [[nodiscard]] virtual std::size_t longest_datagram() const { return 65507; }
  /// Its network answers for ports that nobody opened.
  [[nodiscard]] virtual bool answers_for_closed_ports() const { return false; }
  virtual void send(const Endpoint& from, const Endpoint& to, const Packet& packet) = 0;
  virtual void open(const Endpoint& peer) = 0;
  /// Waits for `limit` at most and hands over what reached open peers, `when` left out.
  virtual void collect(Duration limit, const std::function<void(Received)>& take) = 0;
};

std::unique_ptr<World> make_sim_world(const WorldOptions& options = {});
std::unique_ptr<World> make_live_world(const WorldOptions& options = {});
std::unique_ptr<World> make_live_world(const WorldOptions& options, std::unique_ptr<LiveEngine> engine);

/// An audio SDP.
std::string audio_sdp(const Endpoint& media, const std::string& extra = "");
nlohmann::json offer(const std::string& call, const std::string& from, const std::string& sdp);
nlohmann::json answer(const std::string& call, const std::string& from, const std::string& to,
                      const std::string& sdp);

}  // namespace ferry::test

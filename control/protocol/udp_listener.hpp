// Control protocols over UDP.
#pragma once

#include "control/protocol/access.hpp"
#include "control/protocol/datagram_service.hpp"
#include "control/protocol/event_loop.hpp"
#include "control/session/manager.hpp"

#include <functional>
#include <memory>

namespace ferry {

/// One UDP socket. Requests are taken in batches; replies leave after one fence for the whole batch, from the
/// address that the request came to.
class UdpListener {
 public:
  /// Throws std::system_error with the address in the text if it cannot be bound.
  UdpListener(event_base* base, const Endpoint& local, DatagramService& service, SessionManager& manager,
              AccessList& access, std::function<Clock()> clock, std::uint8_t tos);
  ~UdpListener();
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;

  [[nodiscard]] Endpoint local() const;
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  struct Batch;
  void on_readable();
  std::size_t serve_batch();

  int socket_ = -1;
  std::string name_;  // for the log
  Event event_;
  DatagramService& service_;
  SessionManager& manager_;
  AccessList& access_;
  std::function<Clock()> clock_;
  std::unique_ptr<Batch> batch_;
  std::uint64_t refused_ = 0;
};

}  // namespace ferry

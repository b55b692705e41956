// SPDX-License-Identifier: Apache-2.0
// Serves control protocols over UDP.
#pragma once

#include "control/manager/manager.hpp"
#include "control/protocol/access.hpp"
#include "control/protocol/datagram_service.hpp"
#include "control/protocol/event_loop.hpp"

#include <functional>
#include <memory>

namespace ferry {

/// One UDP socket. It takes requests in batches, flushes the commands of a whole batch at once, and sends the
/// replies then. Each reply leaves from the address that the request came to. Control thread only.
class UdpListener {
 public:
  /// Binds `local`. The references must outlive the listener. `tos` is the DSCP octet of replies; 0 =
  /// unchanged. Throws std::system_error with the address in its text.
  UdpListener(event_base* base, const Endpoint& local, DatagramService& service, SessionManager& manager,
              AccessList& access, std::function<Clock()> clock, std::uint8_t tos);
  ~UdpListener();
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;

  /// The address and port that were bound.
  [[nodiscard]] Endpoint local() const;
  /// Datagrams that the access list refused.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  struct Batch;
  void on_readable();
  /// Serves up to 32 datagrams; returns how many came.
  std::size_t serve_batch();

  int socket_ = -1;
  /// Name for the log.
  std::string name_;
  Event event_;
  DatagramService& service_;
  SessionManager& manager_;
  AccessList& access_;
  std::function<Clock()> clock_;
  std::unique_ptr<Batch> batch_;
  std::uint64_t refused_ = 0;
};

}  // namespace ferry

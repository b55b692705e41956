// SPDX-License-Identifier: Apache-2.0
// Serves the text commands of rtpengine over TCP (option `listen-cli`). A client sends one line and gets the
// text of the reply, then the connection ends.
#pragma once

#include "control/protocol/connections/connections.hpp"
#include "control/protocol/ng/service.hpp"

#include <functional>

namespace ferry::cli {

/// Connections of sources that may not speak are closed without a reply (CTL-3). Control thread only.
class TextListener {
 public:
  /// Binds `local`. The references must outlive the listener. Throws std::system_error if the address cannot
  /// be had.
  TextListener(Connections& connections, const Endpoint& local, ng::NgService& service,
               SessionManager& manager, std::function<Clock()> clock);
  TextListener(const TextListener&) = delete;
  TextListener& operator=(const TextListener&) = delete;

  /// The port that was bound, for tests that bind port 0.
  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }

 private:
  class Client;
  /// Executes one line and returns its reply, once the workers have carried out what it ordered.
  std::string answer(std::string_view line);

  ng::NgService& service_;
  SessionManager& manager_;
  std::function<Clock()> clock_;
  Listener listener_;
};

}  // namespace ferry::cli

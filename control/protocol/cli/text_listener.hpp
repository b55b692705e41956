// rtpengine's text commands over TCP (`listen-cli`): a line in, its text out, end of stream.
#pragma once

#include "control/protocol/connections/connections.hpp"
#include "control/protocol/ng/service.hpp"

#include <functional>

namespace ferry::cli {

/// Control thread only. Sources that may not speak are cut off without a word (CTL-3).
class TextListener {
 public:
  TextListener(Connections& connections, const Endpoint& local, ng::NgService& service,
               SessionManager& manager, std::function<Clock()> clock);
  TextListener(const TextListener&) = delete;
  TextListener& operator=(const TextListener&) = delete;

  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }

 private:
  class Client;
  std::string answer(std::string_view line);

  ng::NgService& service_;
  SessionManager& manager_;
  std::function<Clock()> clock_;
  Listener listener_;
};

}  // namespace ferry::cli

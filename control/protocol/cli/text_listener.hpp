// rtpengine's text commands over TCP (`listen-cli`): a line in, its text out, end of stream.
#pragma once

#include "control/protocol/access.hpp"
#include "control/protocol/event_loop.hpp"
#include "control/protocol/ng/service.hpp"

#include <functional>
#include <list>
#include <memory>
#include <string>

namespace ferry::cli {

/// Control thread only. Sources that may not speak are cut off without a word (CTL-3).
class TextListener {
 public:
  TextListener(event_base* base, const Endpoint& local, ng::NgService& service, SessionManager& manager,
               AccessList& access, std::function<Clock()> clock);
  ~TextListener();
  TextListener(const TextListener&) = delete;
  TextListener& operator=(const TextListener&) = delete;

 private:
  struct Connection;
  void accept(int fd, const IpAddress& source);
  void serve(Connection& connection);
  void answer(Connection& connection, std::string_view line);
  void close(Connection& connection);

  event_base* base_;
  ng::NgService& service_;
  SessionManager& manager_;
  AccessList& access_;
  std::function<Clock()> clock_;
  std::list<std::unique_ptr<Connection>> connections_;
  StreamListener listener_;
};

}  // namespace ferry::cli

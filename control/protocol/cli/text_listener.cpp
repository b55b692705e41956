#include "control/protocol/cli/text_listener.hpp"

#include "control/protocol/ng/text_command.hpp"
#include "control/protocol/stream_listener.hpp"

#include <cstdlib>

#include <unistd.h>

namespace ferry::cli {

namespace {
constexpr std::size_t kMaxLine = 4096;
constexpr std::size_t kMaxConnections = 64;
constexpr timeval kIdle{10, 0};
}  // namespace

struct TextListener::Connection {
  TextListener* listener = nullptr;
  bufferevent* stream = nullptr;
  bool is_answered = false;
};

TextListener::TextListener(event_base* base, const Endpoint& local, ng::NgService& service,
                           SessionManager& manager, AccessList& access, std::function<Clock()> clock)
    : base_(base), service_(service), manager_(manager), access_(access), clock_(std::move(clock)) {
  listener_ = listen_on_tcp(
      base, local,
      [](evconnlistener*, evutil_socket_t fd, sockaddr* from, int size, void* self) {
        static_cast<TextListener*>(self)->accept(fd, stream_source(from, size));
      },
      this);
}

TextListener::~TextListener() {
  while (!connections_.empty()) close(*connections_.front());
}

void TextListener::accept(int fd, const IpAddress& source) {
  if (!access_.admit(source, clock_().now) || connections_.size() >= kMaxConnections) {
    ::close(fd);
    return;
  }
  auto connection = std::make_unique<Connection>();
  connection->listener = this;
  connection->stream = bufferevent_socket_new(base_, fd, BEV_OPT_CLOSE_ON_FREE);
  bufferevent_setcb(
      connection->stream,
      [](bufferevent*, void* c) {
        static_cast<Connection*>(c)->listener->serve(*static_cast<Connection*>(c));
      },
      [](bufferevent*, void* c) {
        auto& self = *static_cast<Connection*>(c);
        if (self.is_answered) self.listener->close(self);
      },
      [](bufferevent*, short what, void* c) {
        auto& self = *static_cast<Connection*>(c);
        // Who has said everything still wants to read the answer, and need not end the line.
        if ((what & BEV_EVENT_EOF) != 0 && !self.is_answered) {
          evbuffer* input = bufferevent_get_input(self.stream);
          std::string rest(evbuffer_get_length(input), '\0');
          evbuffer_remove(input, rest.data(), rest.size());
          self.listener->answer(self, rest);
        } else if (!self.is_answered || (what & BEV_EVENT_EOF) == 0) {
          self.listener->close(self);
        }
      },
      connection.get());
  bufferevent_set_timeouts(connection->stream, &kIdle, &kIdle);
  bufferevent_enable(connection->stream, EV_READ | EV_WRITE);
  connections_.push_back(std::move(connection));
}

void TextListener::serve(Connection& connection) {
  evbuffer* input = bufferevent_get_input(connection.stream);
  if (connection.is_answered) {
    evbuffer_drain(input, evbuffer_get_length(input));
    return;
  }
  char* line = evbuffer_readln(input, nullptr, EVBUFFER_EOL_CRLF);
  if (line == nullptr) {
    if (evbuffer_get_length(input) > kMaxLine) close(connection);
    return;
  }
  const std::string text(line);
  free(line);  // libevent's buffer is from malloc
  answer(connection, text);
}

void TextListener::answer(Connection& connection, std::string_view line) {
  const std::string text = ng::run_text_command(line, manager_, service_, clock_());
  manager_.flush(clock_());
  if (text.empty()) {
    close(connection);
    return;
  }
  connection.is_answered = true;
  bufferevent_write(connection.stream, text.data(), text.size());
}

void TextListener::close(Connection& connection) {
  bufferevent_free(connection.stream);
  connections_.remove_if([&](const auto& each) { return each.get() == &connection; });
}

}  // namespace ferry::cli

#include "control/protocol/ng/listeners.hpp"

#include "control/protocol/ng/json_codec.hpp"
#include "control/protocol/stream_listener.hpp"
#include "relay/base/random.hpp"

#include <unistd.h>

namespace ferry::ng {

namespace {

constexpr std::size_t kMaxMessage = 256 * 1024;  // CTL-4
constexpr std::size_t kMaxConnections = 1024;

}  // namespace

struct StreamServer::Connection {
  StreamServer* server = nullptr;
  bufferevent* stream = nullptr;
  IpAddress source;
};

StreamServer::StreamServer(event_base* base, const Endpoint& local, NgService& service,
                           SessionManager& manager, AccessList& access, std::function<Clock()> clock)
    : listener_(listen_on_tcp(base, local, on_accept, this)),
      base_(base),
      service_(service),
      manager_(manager),
      access_(access),
      clock_(std::move(clock)) {}

StreamServer::StreamServer(event_base* base, const std::string& path, NgService& service,
                           SessionManager& manager, AccessList& access, std::function<Clock()> clock)
    : listener_(listen_on_path(base, path, on_accept, this)),
      base_(base),
      unlink_path_(path),
      service_(service),
      manager_(manager),
      access_(access),
      clock_(std::move(clock)) {}

StreamServer::~StreamServer() {
  while (!connections_.empty()) close(*connections_.front());
  if (!unlink_path_.empty()) unlink(unlink_path_.c_str());
}

void StreamServer::on_accept(evconnlistener*, evutil_socket_t fd, sockaddr* from, int from_size, void* self) {
  static_cast<StreamServer*>(self)->accept(fd, stream_source(from, from_size));
}

void StreamServer::accept(int fd, const IpAddress& source) {
  if (connections_.size() >= kMaxConnections || !access_.admit(source, clock_().now)) {
    ::close(fd);
    return;
  }
  auto connection = std::make_unique<Connection>();
  connection->server = this;
  connection->source = source;
  connection->stream = bufferevent_socket_new(base_, fd, BEV_OPT_CLOSE_ON_FREE);
  bufferevent_setcb(
      connection->stream,
      [](bufferevent*, void* c) { static_cast<Connection*>(c)->server->serve(*static_cast<Connection*>(c)); },
      nullptr,
      [](bufferevent*, short what, void* c) {
        if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) != 0) {
          static_cast<Connection*>(c)->server->close(*static_cast<Connection*>(c));
        }
      },
      connection.get());
  bufferevent_enable(connection->stream, EV_READ | EV_WRITE);
  connections_.push_back(std::move(connection));
}

void StreamServer::serve(Connection& connection) {
  evbuffer* input = bufferevent_get_input(connection.stream);
  while (evbuffer_get_length(input) > 0) {
    const std::size_t available = evbuffer_get_length(input);
    const std::string_view text(reinterpret_cast<const char*>(evbuffer_pullup(input, -1)), available);
    const auto blank = text.find(' ');
    if (blank == std::string_view::npos || blank + 1 == text.size()) {
      if (available > 1024 && blank == std::string_view::npos)
        return close(connection);  // no cookie is that long
      return;
    }
    const std::string_view document = text.substr(blank + 1);
    std::size_t size = 0;
    if (document.front() == '{') {
      const auto end = json_document_size(document);
      if (end)
        size = *end;
      else if (end.error() != DecodeError::kIncomplete)
        size = document.size();
    } else {
      const auto decoded = decode_bencode(document);
      if (decoded)
        size = decoded->size;
      else if (decoded.error() != DecodeError::kIncomplete)
        size = document.size();
    }
    if (size == 0) {
      if (available > kMaxMessage + 1024) close(connection);
      return;  // the rest has not come yet
    }
    // Where a broken document ends nobody knows: answer it and give the stream up.
    const bool broken = size == document.size() && document.front() != '{' && !decode_bencode(document);
    const auto reply = service_.handle_stream(text.substr(0, blank + 1 + size), connection.source);
    manager_.flush(clock_());
    if (reply) bufferevent_write(connection.stream, reply->data(), reply->size());
    evbuffer_drain(input, blank + 1 + size);
    if (broken) {
      evbuffer_write(bufferevent_get_output(connection.stream), bufferevent_getfd(connection.stream));
      return close(connection);
    }
  }
}

void StreamServer::broadcast(const Dict& message) {
  const std::string text = random_hex(16) + " " + encode_bencode(Value(message));
  for (const auto& connection : connections_) bufferevent_write(connection->stream, text.data(), text.size());
}

void StreamServer::close(Connection& connection) {
  bufferevent_free(connection.stream);
  connections_.remove_if([&](const auto& each) { return each.get() == &connection; });
}

}  // namespace ferry::ng

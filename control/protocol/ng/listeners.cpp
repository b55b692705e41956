// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/ng/listeners.hpp"

#include "control/protocol/ng/bencode.hpp"
#include "control/protocol/ng/stream_framing.hpp"
#include "control/protocol/stream_listener.hpp"
#include "relay/base/random.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace ferry::ng {

class StreamServer::Client final : public Session {
 public:
  Client(StreamServer& server, Connection& connection) : server_(server), connection_(connection) {
    server_.clients_.push_back(this);
  }
  ~Client() override { std::erase(server_.clients_, this); }

  Progress serve(evbuffer* input) override {
    const std::size_t available = evbuffer_get_length(input);
    if (available == 0) return Progress::kNothing;
    const std::string_view text(reinterpret_cast<const char*>(evbuffer_pullup(input, -1)), available);
    const Framing framing = framing_.look(text);
    if (framing == Framing::kIncomplete) return Progress::kUnfinished;
    if (framing == Framing::kTooLarge) return Progress::kMalformed;
    // Nobody can know where a broken document ends, so it is answered and the stream is closed.
    const bool is_whole = framing == Framing::kWhole;
    const std::string message(is_whole ? text.substr(0, framing_.size()) : text);
    evbuffer_drain(input, message.size());
    framing_.reset();
    const auto reply = server_.service_.handle_stream(message, connection_.source());
    server_.manager_.flush(server_.clock_());
    if (reply) connection_.write(*reply);
    return is_whole ? Progress::kServed : Progress::kMalformed;
  }

  void tell(std::string_view message) { connection_.write(message); }

 private:
  StreamServer& server_;
  Connection& connection_;
  StreamFraming framing_;
};

StreamServer::StreamServer(Connections& connections, const Endpoint& local, NgService& service,
                           SessionManager& manager, std::function<Clock()> clock)
    : service_(service),
      manager_(manager),
      clock_(std::move(clock)),
      listener_(connections, listen_on_tcp(local),
                {.name = fmt::format("NG over TCP on {}", local.to_string()), .standing = {}, .life = {}},
                [this](Connection& connection) { return open(connection); }) {}

StreamServer::StreamServer(Connections& connections, const std::string& path, NgService& service,
                           SessionManager& manager, std::function<Clock()> clock)
    : unlink_path_(path),
      service_(service),
      manager_(manager),
      clock_(std::move(clock)),
      listener_(connections, listen_on_path(path),
                {.name = fmt::format("NG on {}", path), .standing = Standing::kLocalSocket, .life = {}},
                [this](Connection& connection) { return open(connection); }) {}

StreamServer::~StreamServer() {
  if (!unlink_path_.empty()) unlink(unlink_path_.c_str());
}

std::unique_ptr<Session> StreamServer::open(Connection& connection) {
  return std::make_unique<Client>(*this, connection);
}

void StreamServer::broadcast(const Dict& message) {
  const std::string text = random_hex(16) + " " + encode_bencode(Value(message));
  const std::vector<Client*> all = clients_;
  for (Client* client : all) client->tell(text);
}

}  // namespace ferry::ng

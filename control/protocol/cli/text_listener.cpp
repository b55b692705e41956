// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/cli/text_listener.hpp"

#include "control/protocol/ng/text_command.hpp"
#include "control/protocol/stream_listener.hpp"

#include <cstdlib>

#include <fmt/format.h>

namespace ferry::cli {

namespace {
constexpr std::size_t kMaxTextLine = 4096;
}  // namespace

class TextListener::Client final : public Session {
 public:
  Client(TextListener& listener, Connection& connection) : listener_(listener), connection_(connection) {}

  Progress serve(evbuffer* input) override {
    char* line = evbuffer_readln(input, nullptr, EVBUFFER_EOL_CRLF);
    if (line == nullptr)
      return evbuffer_get_length(input) > kMaxTextLine ? Progress::kMalformed : Progress::kUnfinished;
    const std::string text(line);
    free(line);  // libevent's buffer is from malloc
    connection_.write(listener_.answer(text));
    return Progress::kFinish;
  }
  /// A client that closed its direction still reads the reply, and need not end its line.
  void on_end_of_input(evbuffer* input) override {
    std::string rest(evbuffer_get_length(input), '\0');
    evbuffer_remove(input, rest.data(), rest.size());
    connection_.write(listener_.answer(rest));
  }

 private:
  TextListener& listener_;
  Connection& connection_;
};

TextListener::TextListener(Connections& connections, const Endpoint& local, ng::NgService& service,
                           SessionManager& manager, std::function<Clock()> clock)
    : service_(service),
      manager_(manager),
      clock_(std::move(clock)),
      listener_(connections, listen_on_tcp(local),
                {.name = fmt::format("text commands on {}", local.to_string()),
                 .standing = {},
                 .life = {.asks_at_once = true}},
                [this](Connection& connection) { return std::make_unique<Client>(*this, connection); }) {}

std::string TextListener::answer(std::string_view line) {
  std::string text = ng::run_text_command(line, manager_, service_, clock_());
  manager_.flush(clock_());
  return text;
}

}  // namespace ferry::cli

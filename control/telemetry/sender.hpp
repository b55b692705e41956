// SPDX-License-Identifier: Apache-2.0
// Sends messages to one server from a thread of its own, so that nobody waits for that server.
#pragma once

#include "control/telemetry/backoff.hpp"
#include "control/telemetry/channel.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace ferry::telemetry {

/// Owns the way to the server, the thread, and a backlog of bounded size. While the server is away it is
/// tried again with growing pauses; when the backlog is full, the oldest messages go and are counted.
class Sender {
 public:
  struct Options {
    /// Name of the server in the log.
    std::string name{};
    /// Most octets that wait; a single larger message is never taken.
    std::size_t backlog = std::size_t{1} << 20;
    /// Tells the operator that the server is away, or is back. Called by the thread.
    std::function<void(bool is_warning, const std::string& line)> say{};
    /// How long to wait before the server is tried again.
    Backoff backoff{};
  };
  /// Counts since the start.
  struct Figures {
    /// True from the first message that got through until one does not.
    bool is_up = false;
    std::uint64_t sent = 0;
    /// Given up because the backlog was full.
    std::uint64_t full = 0;
    /// Refused by the server.
    std::uint64_t failed = 0;
    /// Octets that wait, those of the message that is being sent included.
    std::size_t waiting = 0;
  };

  Sender(std::unique_ptr<Channel> channel, Options options);
  /// Ends the thread, which takes about a second if it waits for the server. What waits is lost.
  ~Sender();
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  /// Tells the thread to end, and does not wait for it: several senders then end at the same time. Any
  /// thread.
  void stop_soon();
  /// Hands over a message. Never waits for the server. Any thread.
  void send(std::string message);
  [[nodiscard]] Figures figures() const;

 private:
  void run(const std::stop_token& stop);
  /// Waits for a message, and takes it out of the backlog. Empty if the thread shall end.
  std::string next(const std::stop_token& stop);
  /// Sends one message, again and again until it is sent, refused, or the thread shall end.
  void deliver(const std::string& message, const std::stop_token& stop);
  void note_down(const std::string& why);
  void note_sent();
  void note_refused(const std::string& why);
  void wait(std::chrono::milliseconds pause, const std::stop_token& stop);

  std::unique_ptr<Channel> channel_;
  Options options_;
  /// The thread's: whether the way is open, and whether the log says that the server is away.
  bool is_open_ = false;
  bool is_told_down_ = false;
  bool is_told_refused_ = false;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  // Below: guarded by `mutex_`.
  std::deque<std::string> backlog_;
  Figures figures_;
  /// Octets of the message that is being sent.
  std::size_t in_hand_ = 0;
  // The last member: it uses all others.
  std::jthread thread_;
};

}  // namespace ferry::telemetry

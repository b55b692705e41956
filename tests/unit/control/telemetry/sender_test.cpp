// SPDX-License-Identifier: Apache-2.0
// A sender and its server, which fails, dies and comes back.

#include "control/telemetry/sender.hpp"

#include <atomic>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::telemetry {
namespace {

using namespace std::chrono_literals;
using Outcome = Delivery::Outcome;

/// What the server does, shared by the test and the sender's thread.
class Server {
 public:
  void set(Outcome outcome, bool opens = true) {
    const std::lock_guard lock(mutex_);
    outcome_ = outcome;
    opens_ = opens;
    changed_.notify_all();
  }
  /// Blocks until the server has taken so many messages.
  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return taken_.size() >= count; });
    return taken_;
  }
  /// Blocks until so many attempts have failed.
  void wait_for_failures(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failures_ >= count; });
  }
  std::string open() {
    const std::lock_guard lock(mutex_);
    if (opens_) return {};
    ++failures_;
    changed_.notify_all();
    return "refused";
  }
  Delivery send(std::string_view message) {
    const std::lock_guard lock(mutex_);
    if (outcome_ == Outcome::kSent)
      taken_.emplace_back(message);
    else
      ++failures_;
    changed_.notify_all();
    return {outcome_, outcome_ == Outcome::kSent ? "" : "no"};
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Outcome outcome_ = Outcome::kSent;
  bool opens_ = true;
  std::size_t failures_ = 0;
  std::vector<std::string> taken_;
};

class ToServer final : public Channel {
 public:
  explicit ToServer(Server& server) : server_(server) {}
  std::string open(const std::stop_token&) override { return server_.open(); }
  Delivery send(std::string_view message, const std::stop_token&) override { return server_.send(message); }

 private:
  Server& server_;
};

/// Lines that the operator got.
struct Told {
  std::mutex mutex;
  std::vector<std::string> lines;
  void operator()(bool is_warning, const std::string& line) {
    const std::lock_guard lock(mutex);
    lines.push_back((is_warning ? "warning: " : "info: ") + line);
  }
};

Sender::Options options(Told& told, std::size_t backlog = 1000) {
  return {.name = "server",
          .backlog = backlog,
          .say = [&told](bool is_warning, const std::string& line) { told(is_warning, line); },
          .backoff = Backoff(1ms, 2ms)};
}

TEST(Sender, MessagesComeInTheirOrder) {
  Server server;
  Told told;
  Sender sender(std::make_unique<ToServer>(server), options(told));
  for (int n = 0; n < 5; ++n) sender.send(fmt::format("{}", n));
  EXPECT_EQ(server.wait_for(5), (std::vector<std::string>{"0", "1", "2", "3", "4"}));
  EXPECT_TRUE(told.lines.empty());
}

TEST(Sender, AServerThatComesBackGetsWhatWaited) {
  Server server;
  Told told;
  Sender sender(std::make_unique<ToServer>(server), options(told));
  server.set(Outcome::kSent, false);
  sender.send("a");
  sender.send("b");
  server.wait_for_failures(3);
  EXPECT_FALSE(sender.figures().is_up);
  server.set(Outcome::kSent);
  EXPECT_EQ(server.wait_for(2), (std::vector<std::string>{"a", "b"}));
  server.set(Outcome::kBroken);
  sender.send("c");
  server.wait_for_failures(6);
  server.set(Outcome::kSent);
  EXPECT_EQ(server.wait_for(3).back(), "c");
  sender.send("d");
  server.wait_for(4);
  const std::lock_guard lock(told.mutex);
  EXPECT_EQ(told.lines.size(), 4u) << "each outage is told once, and its end";
  EXPECT_EQ(told.lines[0], "warning: server takes no reports: refused; it is tried again");
  EXPECT_EQ(told.lines[1], "info: server takes reports again; 0 were given up since the start");
}

TEST(Sender, AFullBacklogLosesTheOldestAndCountsThem) {
  Server server;
  Told told;
  Sender sender(std::make_unique<ToServer>(server), options(told, 10));
  server.set(Outcome::kSent, false);
  sender.send("first");
  server.wait_for_failures(1);
  for (int n = 0; n < 8; ++n) sender.send(fmt::format("no{}", n));
  sender.send(std::string(11, 'x'));
  const Sender::Figures full = sender.figures();
  EXPECT_EQ(full.full, 8u - 3u + 1u);
  EXPECT_EQ(full.waiting, 9u + 5u) << "the one that is being sent counts, too";
  server.set(Outcome::kSent);
  EXPECT_EQ(server.wait_for(4), (std::vector<std::string>{"first", "no5", "no6", "no7"}));
}

TEST(Sender, WhatTheServerRefusesIsGivenUpAndCounted) {
  Server server;
  Told told;
  Sender sender(std::make_unique<ToServer>(server), options(told));
  server.set(Outcome::kRefused);
  sender.send("bad");
  sender.send("bad");
  server.wait_for_failures(2);
  server.set(Outcome::kSent);
  sender.send("good");
  EXPECT_EQ(server.wait_for(1), std::vector<std::string>{"good"});
  EXPECT_EQ(sender.figures().failed, 2u);
}

/// A server that answers nothing before the channel is told to stop. All of them stand at the same time.
class Silent final : public Channel {
 public:
  explicit Silent(std::latch& all_wait, std::atomic<int>& stopped) : all_wait_(all_wait), stopped_(stopped) {}
  std::string open(const std::stop_token& stop) override {
    all_wait_.count_down();
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    changed.wait(lock, stop, [] { return false; });
    ++stopped_;
    stopped_.notify_all();
    return "stopped";
  }
  Delivery send(std::string_view, const std::stop_token&) override { return {}; }

 private:
  std::latch& all_wait_;
  std::atomic<int>& stopped_;
};

TEST(Sender, SeveralAreToldToStopBeforeTheFirstIsWaitedFor) {
  std::latch all_wait(3);
  std::atomic<int> stopped = 0;
  Told told;
  std::vector<std::unique_ptr<Sender>> senders;
  for (int n = 0; n < 3; ++n) {
    senders.push_back(std::make_unique<Sender>(std::make_unique<Silent>(all_wait, stopped), options(told)));
    senders.back()->send("a");
  }
  all_wait.wait();
  for (const auto& sender : senders) sender->stop_soon();
  for (int seen = stopped; seen < 3; seen = stopped) stopped.wait(seen);
  EXPECT_EQ(stopped, 3) << "no sender was destroyed so far";
  senders.clear();
  EXPECT_TRUE(told.lines.empty());
}

TEST(Sender, ItEndsAtOnceWhileItsServerIsAway) {
  Server server;
  Told told;
  server.set(Outcome::kSent, false);
  Sender::Options patient = options(told);
  patient.backoff = Backoff(1h, 1h);
  const auto began = std::chrono::steady_clock::now();
  {
    Sender sender(std::make_unique<ToServer>(server), patient);
    sender.send("a");
    server.wait_for_failures(1);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, 60s);
}

}  // namespace
}  // namespace ferry::telemetry

// SPDX-License-Identifier: Apache-2.0
// Ways to a server that reports are sent to. A sender's thread uses one; each call may take until its
// time-out.
#pragma once

#include "control/telemetry/settings.hpp"

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

namespace ferry::telemetry {

/// What became of a message.
struct Delivery {
  enum class Outcome : std::uint8_t {
    /// The network or the server has it.
    kSent,
    /// The way is broken. The message may be sent again once it works.
    kBroken,
    /// This message will never be taken.
    kRefused,
  };
  Outcome outcome = Outcome::kSent;
  /// Why it was not sent, for the log.
  std::string why;
};

/// One thread at a time. It waits for nothing longer than its time-out, and returns within about a second
/// after `stop`, whatever the server or the resolver does.
class Channel {
 public:
  virtual ~Channel() = default;
  /// Sets up the way anew. Returns what went wrong; empty: nothing.
  virtual std::string open(const std::stop_token& stop) = 0;
  /// Sends one message whole. Only after `open` has succeeded.
  virtual Delivery send(std::string_view message, const std::stop_token& stop) = 0;
};

/// A stream to a server, by TCP or by TLS with its certificate verified. `ca_file`: as in HomerSettings.
struct StreamOptions {
  bool has_tls = false;
  std::string ca_file{};
  std::chrono::seconds timeout{10};
};
[[nodiscard]] std::unique_ptr<Channel> make_stream_channel(const ServerName& server, StreamOptions options);
/// Datagrams to a server.
[[nodiscard]] std::unique_ptr<Channel> make_datagram_channel(const ServerName& server);
/// POST of each message to a URL; `token` is that of InfluxDB, empty = none. It follows no redirect (CTL-9).
[[nodiscard]] std::unique_ptr<Channel> make_post_channel(std::string url, const std::string& token);

}  // namespace ferry::telemetry

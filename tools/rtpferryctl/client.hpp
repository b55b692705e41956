// SPDX-License-Identifier: Apache-2.0
// The client's end of the daemon's control socket: one line of JSON out, one or more lines of JSON back.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace ferry::ctl {

/// Talks to one daemon. Blocks until the reply is there. One thread only.
class Client {
 public:
  /// With `for_people`, texts of replies are safe for a terminal, and texts of requests may be what people
  /// copied from one (CTL-14). Otherwise texts are as they came from the network. `path` is that of the
  /// socket.
  Client(std::string path, bool for_people) : path_(std::move(path)), for_people_(for_people) {}
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Sends a request and returns its reply; connects first if necessary. Nothing if no daemon answers;
  /// `error()` then says why.
  std::optional<nlohmann::json> ask(nlohmann::json request);
  /// Returns the next line of a reply that has several; nothing if the connection ended.
  std::optional<nlohmann::json> next();
  /// Path of the socket.
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Sentence about the last failure, for people.
  [[nodiscard]] std::string error() const;

 private:
  bool connect();
  std::string path_;
  bool for_people_;
  /// Octets that came and are no whole line yet.
  std::string buffer_;
  int fd_ = -1;
  /// Error of the last failure; 0 = the daemon closed the connection.
  int errno_ = 0;
};

}  // namespace ferry::ctl

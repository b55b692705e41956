// The daemon's control socket from the other end: a line of JSON out, lines of JSON back.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace ferry::ctl {

class Client {
 public:
  explicit Client(std::string path) : path_(std::move(path)) {}
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Nothing if there is no daemon; `error()` then says why. Connects if it is not connected yet.
  std::optional<nlohmann::json> ask(const nlohmann::json& request);
  /// The next line of an answer that has several.
  std::optional<nlohmann::json> next();
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string error() const;

 private:
  bool connect();
  std::string path_;
  std::string buffer_;
  int fd_ = -1;
  int errno_ = 0;
};

}  // namespace ferry::ctl

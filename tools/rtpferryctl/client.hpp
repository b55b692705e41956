// The daemon's control socket from the other end: a line of JSON out, lines of JSON back.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace ferry::ctl {

class Client {
 public:
  /// `for_people`: the texts of its replies are safe for a terminal, and those of requests are what people
  /// copied from one (CTL-14). Else they are as the network had them.
  Client(std::string path, bool for_people) : path_(std::move(path)), for_people_(for_people) {}
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Nothing if there is no daemon; `error()` then says why. Connects if it is not connected yet.
  std::optional<nlohmann::json> ask(nlohmann::json request);
  /// The next line of an answer that has several.
  std::optional<nlohmann::json> next();
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string error() const;

 private:
  bool connect();
  std::string path_;
  bool for_people_;
  std::string buffer_;
  int fd_ = -1;
  int errno_ = 0;
};

}  // namespace ferry::ctl

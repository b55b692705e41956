// SPDX-License-Identifier: Apache-2.0
// A server on loopback that takes HTTP requests one after another and answers as the test says, or never.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry::test {

class HttpServer {
 public:
  /// The status for the n-th request, from 0; 0 = never answer it.
  using Answer = std::function<int(std::size_t n)>;
  struct Request {
    std::string head;
    std::string body;
  };

  explicit HttpServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof local;
    bind(listener_, reinterpret_cast<sockaddr*>(&local), size);
    listen(listener_, 64);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&local), &size);
    port_ = ntohs(local.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~HttpServer() {
    stop_ = true;
    thread_.join();
    for (const int fd : hanging_) close(fd);
    close(listener_);
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
  /// Blocks until so many requests have come, whole.
  void wait_for(std::size_t count) {
    std::unique_lock guard(lock_);
    came_.wait(guard, [&] { return requests_.size() >= count; });
  }
  [[nodiscard]] std::vector<Request> requests() {
    const std::lock_guard guard(lock_);
    return requests_;
  }

 private:
  void serve() {
    while (!stop_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (poll(&waiting, 1, 20) != 1) continue;
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) handle(fd);
    }
  }
  void handle(int fd) {
    std::string text;
    std::size_t head = std::string::npos;
    std::size_t whole = std::string::npos;
    char block[65536];
    while (text.size() < whole) {
      const ssize_t got = read(fd, block, sizeof block);
      if (got <= 0) break;
      text.append(block, static_cast<std::size_t>(got));
      if (head != std::string::npos || (head = text.find("\r\n\r\n")) == std::string::npos) continue;
      const auto length = text.find("Content-Length: ");
      whole = head + 4 + (length < head ? std::stoul(text.substr(length + 16)) : 0);
    }
    std::unique_lock guard(lock_);
    const int status = answer_(requests_.size());
    if (head != std::string::npos) requests_.push_back({text.substr(0, head), text.substr(head + 4)});
    came_.notify_all();
    if (status == 0) {
      hanging_.push_back(fd);
      return;
    }
    guard.unlock();
    const std::string reply = fmt::format(
        "HTTP/1.1 {} x\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n",
        status);
    static_cast<void>(write(fd, reply.data(), reply.size()));
    close(fd);
  }

  Answer answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::mutex lock_;
  std::condition_variable came_;
  std::vector<Request> requests_;
  std::vector<int> hanging_;
  std::thread thread_;
};

}  // namespace ferry::test

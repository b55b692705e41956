// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/ng/http_commands.hpp"

#include "control/protocol/ng/text_command.hpp"
#include "control/sdp/sdp.hpp"

#include <array>
#include <charconv>

namespace ferry::ng {

namespace {

constexpr std::array<std::string_view, 4> kProtocols = {"ng.rtpengine.com", "ng-plain.rtpengine.com",
                                                        "cli.rtpengine.com", "echo.rtpengine.com"};

/// The text command that stands in a path behind `/cli/`: `+` and `%20` are blanks. Nothing if it is damaged.
std::optional<std::string> command_of(std::string_view words) {
  std::string line;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == '+') {
      line += ' ';
    } else if (words[i] == '%') {
      unsigned octet = 0;
      const std::string_view digits = words.substr(i + 1, 2);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), octet, 16);
      if (error != std::errc{} || digits.size() < 2 || end != digits.data() + 2) return std::nullopt;
      line += static_cast<char>(octet);
      i += 2;
    } else {
      line += words[i];
    }
  }
  return line;
}

}  // namespace

std::span<const std::string_view> HttpCommands::subprotocols() const { return kProtocols; }

std::optional<std::string> HttpCommands::on_message(std::string_view subprotocol, std::string_view message,
                                                    const IpAddress& source) {
  std::optional<std::string> answer;
  if (subprotocol == kProtocols[0]) {
    answer = service_.handle_stream(message, source);
  } else if (subprotocol == kProtocols[1]) {
    answer = service_.handle_document(message, source);
  } else if (subprotocol == kProtocols[2]) {
    answer = run_text_command(message, manager_, service_, clock_());
  } else {
    answer = std::string(message);
  }
  manager_.flush(clock_());
  return answer;
}

std::optional<http::Reply> HttpCommands::on_post(std::string_view path, const http::Request& request,
                                                 const IpAddress& source) {
  if (path == "/cli") {
    std::string text = run_text_command(request.body, manager_, service_, clock_());
    manager_.flush(clock_());
    return http::Reply{200, "OK", "text/plain", std::move(text), {}};
  }
  const bool with_cookie = path == "/ng";
  if (!with_cookie && path != "/ng-plain") return std::nullopt;
  const std::string_view type = request.header("Content-Type");
  const bool is_ng = sdp::equal_ignoring_case(type, "application/x-rtpengine-ng");
  const bool is_json = !with_cookie && sdp::equal_ignoring_case(type, "application/json");
  if ((!is_ng && !is_json) || !request.has_header("Content-Length")) return std::nullopt;
  auto reply = with_cookie ? service_.handle_stream(request.body, source)
                           : std::optional(service_.handle_document(request.body, source));
  manager_.flush(clock_());
  if (!reply) return http::Reply{400, "Bad Request", "text/plain", "no cookie\n", {}};
  return http::Reply{
      200, "OK", is_json ? "application/json" : "application/x-rtpengine-ng", std::move(*reply), {}};
}

std::optional<http::Reply> HttpCommands::on_get(std::string_view path) {
  static constexpr std::string_view kBegin = "/cli/";
  if (!path.starts_with(kBegin)) return std::nullopt;
  const auto line = command_of(path.substr(kBegin.size()));
  if (!line) return http::Reply{400, "Bad Request", "text/plain", "the path is damaged\n", {}};
  if (!only_reads(*line))
    return http::Reply{405, "Method Not Allowed", "text/plain",
                       "this command may change something: POST it to /cli\n", "Allow: POST\r\n"};
  return http::Reply{200, "OK", "text/plain", run_text_command(*line, manager_, service_, clock_()), {}};
}

}  // namespace ferry::ng

#include "control/protocol/ng/http_commands.hpp"

#include "control/protocol/ng/text_command.hpp"
#include "control/sdp/sdp.hpp"

#include <array>

namespace ferry::ng {

namespace {

constexpr std::array<std::string_view, 4> kProtocols = {"ng.rtpengine.com", "ng-plain.rtpengine.com",
                                                        "cli.rtpengine.com", "echo.rtpengine.com"};

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

}  // namespace ferry::ng

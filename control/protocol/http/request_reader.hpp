// Requests of HTTP/1.1 as they stand in a stream (RFC 9112).
#pragma once

#include "relay/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ferry::http {

/// A word of a list of words divided by commas (RFC 9110 §5.6.1), without regard to case.
bool has_word(std::string_view list, std::string_view word);

/// One request, whole.
struct Request {
  std::string method;
  /// Origin form; of an absolute one, what follows the authority.
  std::string target;
  /// Authority of a target in absolute form (RFC 9112 §3.2.2); it comes before Host.
  std::optional<std::string> authority;
  int minor_version = 1;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  /// The first header of that name; empty if there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  [[nodiscard]] bool has_header(std::string_view name) const;
  /// Another request may follow over this connection (RFC 9112 §9.3).
  [[nodiscard]] bool stays_open() const;
};

/// Why a request cannot be taken; its number is the status of the reply, after which the connection ends.
enum class RequestError : std::uint16_t {
  kBadRequest = 400,
  kLengthRequired = 411,
  kBodyTooLarge = 413,
  kHeaderTooLarge = 431,
  kVersionNotSupported = 505
};
/// The reason phrase.
std::string_view to_string(RequestError error) noexcept;

/// Takes requests off a stream. The header is looked at once, however small the pieces are that it comes in.
/// Pure. Left out on purpose: chunked bodies (411: every client of ours sends the length), and lines that are
/// folded.
class RequestReader {
 public:
  static constexpr std::size_t kMaxHeader = 16 * 1024;
  static constexpr std::size_t kMaxHeaders = 100;
  static constexpr std::size_t kMaxBody = 256 * 1024;  // CTL-4

  /// `text` is all that has come since the last request. Nothing if the request is not whole yet; `taken`
  /// octets of `text` belong to it otherwise.
  Result<std::optional<Request>, RequestError> read(std::string_view text, std::size_t& taken);
  /// The client waits for leave to send the body (RFC 9110 §10.1.1). True once a request.
  bool take_expectation();

 private:
  /// Octets of the header with the empty line; nothing if that has not come.
  std::optional<std::size_t> header_size(std::string_view text);

  std::size_t searched_ = 0;
  std::optional<Request> head_;  // parsed; its body is on its way
  std::size_t head_size_ = 0;
  std::size_t body_size_ = 0;
  bool expects_ = false;
};

}  // namespace ferry::http

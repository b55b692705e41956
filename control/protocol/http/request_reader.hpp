// SPDX-License-Identifier: Apache-2.0
// Reads the requests of HTTP/1.1 from a stream (RFC 9112).
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

/// True if `word` is a member of `list`, a list with commas between its members (RFC 9110 §5.6.1), in any
/// case.
bool has_word(std::string_view list, std::string_view word);

/// One complete request. It owns its texts.
struct Request {
  std::string method;
  /// The target in origin form. If the request has an absolute one, this is the part behind the authority.
  std::string target;
  /// Authority of a target in absolute form (RFC 9112 §3.2.2), which counts more than Host. Unset for other
  /// targets.
  std::optional<std::string> authority;
  /// 1 for HTTP/1.1, 0 for HTTP/1.0.
  int minor_version = 1;
  /// Names and values of the header lines, in order.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  /// Value of the first header line of that name, in any case; empty if there is none. Dies with the request.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  [[nodiscard]] bool has_header(std::string_view name) const;
  /// True if the connection stays open for another request (RFC 9112 §9.3).
  [[nodiscard]] bool stays_open() const;
};

/// Why a request cannot be read. The number is the status of the reply, after which the connection ends.
enum class RequestError : std::uint16_t {
  kBadRequest = 400,
  kLengthRequired = 411,
  kBodyTooLarge = 413,
  kHeaderTooLarge = 431,
  kVersionNotSupported = 505
};
/// The reason phrase of the status.
std::string_view to_string(RequestError error) noexcept;

/// Takes requests off a stream. It looks at each octet of a header once, however small the pieces are in
/// which it comes. Pure. Left out on purpose: chunked bodies, which are refused with 411 because every known
/// client sends the length, and folded header lines.
class RequestReader {
 public:
  /// Bounds (CTL-4): octets of the request line and all header lines, number of header lines, octets of the
  /// body.
  static constexpr std::size_t kMaxHeader = 16 * 1024;
  static constexpr std::size_t kMaxHeaders = 100;
  static constexpr std::size_t kMaxBody = 256 * 1024;

  /// `text` is all that has come since the last request. Returns the request and sets `taken` to its size in
  /// octets; returns nothing, and leaves `taken`, if the request is not complete yet.
  Result<std::optional<Request>, RequestError> read(std::string_view text, std::size_t& taken);
  /// True, once a request, if the client waits for `100 Continue` before it sends the body (RFC 9110
  /// §10.1.1).
  bool take_expectation();

 private:
  /// Size of the header with the empty line behind it; nothing if that line has not come yet.
  std::optional<std::size_t> header_size(std::string_view text);

  /// Octets that were searched for the end of the header.
  std::size_t searched_ = 0;
  /// The parsed header of a request whose body has not come completely; unset before the header is complete.
  std::optional<Request> head_;
  std::size_t head_size_ = 0;
  std::size_t body_size_ = 0;
  /// The client waits for `100 Continue`, and nobody has asked yet.
  bool expects_ = false;
};

}  // namespace ferry::http

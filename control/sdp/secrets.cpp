// SPDX-License-Identifier: Apache-2.0
#include "control/sdp/secrets.hpp"

#include "control/sdp/words.hpp"
#include "relay/base/text.hpp"

namespace ferry::sdp {

namespace {

/// Returns the part of a line that may be shown if the line holds a secret; else empty.
std::string_view secret_of(std::string_view line) {
  line = trim(line);
  if (line.size() < 2 || line[1] != '=') return {};
  if (line[0] == 'k') return "k=";
  if (line[0] != 'a') return {};
  const std::string_view attribute = line.substr(2);
  const std::string_view name = trim(attribute.substr(0, attribute.find(':')));
  if (equal_ignoring_case(name, "crypto")) return "a=crypto:";
  return equal_ignoring_case(name, "ice-pwd") ? std::string_view("a=ice-pwd:") : std::string_view();
}

}  // namespace

std::string without_secrets(std::string_view body) {
  std::string text;
  while (!body.empty()) {
    const std::string_view before = body;
    const std::string_view secret = secret_of(next_line(body));
    if (secret.empty())
      text += before.substr(0, before.size() - body.size());
    else
      text.append(secret).append("(left out)\r\n");
  }
  return text;
}

}  // namespace ferry::sdp

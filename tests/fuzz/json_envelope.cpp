// SPDX-License-Identifier: Apache-2.0
// PRC-3: the JSON envelope and the request tables behind it.
#include "control/protocol/ng/json_codec.hpp"
#include "control/protocol/ng/request_parser.hpp"
#include "tests/fuzz/facts.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto decoded = ferry::ng::decode_json(text);
  if (!decoded) return 0;
  const auto again = ferry::ng::decode_json(ferry::ng::encode_json(decoded->value));
  fact(again.has_value());
  fact(again->value == decoded->value);
  if (const auto* dict = decoded->value.dict()) {
    // A key of its own, or a word of `rtpp-flags`, where each takes an octet at least.
    const auto request = ferry::ng::parse_request(*dict);
    fact(request.unknown_keys.size() + request.unknown_flags.size() <= size);
    for (const auto& edit : request.sdp_attr)
      fact(edit.text.size() <= size && edit.replacement.size() <= size);
    // What the daemon reads as a template is what a client may send.
    const ferry::ng::Templates templates = {{"default", std::string(text)}};
    ferry::ng::parse_request(*dict, templates);
  }
  return 0;
}

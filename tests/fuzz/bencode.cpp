// SPDX-License-Identifier: Apache-2.0
// PRC-3: bencode. What decodes encodes to something that decodes to the same.
#include "control/protocol/ng/bencode.hpp"

#include "tests/fuzz/facts.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto decoded = ferry::ng::decode_bencode(text);
  if (!decoded) return 0;
  fact(decoded->size <= size && decoded->size > 0);
  const std::string again = ferry::ng::encode_bencode(decoded->value);
  const auto second = ferry::ng::decode_bencode(again);
  fact(second.has_value());
  fact(second->size == again.size());
  fact(second->value == decoded->value);
  fact(second->repeated_keys == 0);
  return 0;
}

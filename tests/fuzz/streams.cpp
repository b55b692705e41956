// SPDX-License-Identifier: Apache-2.0
// PRC-3: HTTP requests and NG messages as they stand in streams. In what pieces they come changes nothing.
#include "control/protocol/http/host_guard.hpp"
#include "control/protocol/http/request_reader.hpp"
#include "control/protocol/ng/stream_framing.hpp"
#include "tests/fuzz/facts.hpp"

#include <algorithm>

namespace {

using namespace ferry;

void http_in_pieces(std::string_view text, std::size_t piece) {
  http::RequestReader whole;
  std::size_t taken_at_once = 0;
  const auto at_once = whole.read(text, taken_at_once);
  http::RequestReader reader;
  std::size_t taken = 0;
  for (std::size_t have = std::min(piece, text.size());; have = std::min(have + piece, text.size())) {
    const auto request = reader.read(text.substr(0, have), taken);
    if (request && !*request && have < text.size()) continue;
    if (request && *request) {
      fact(at_once && *at_once && taken == taken_at_once && taken <= text.size());
      fact((*request)->target == (*at_once)->target && (*request)->body == (*at_once)->body);
      const http::HostGuard guard({"relay.example"});
      fact(!guard.foreign_name(**request) || (*request)->has_header("Host") || (*request)->authority);
    }
    return;
  }
}

void ng_in_pieces(std::string_view text, std::size_t piece) {
  ng::StreamFraming at_once;
  const ng::Framing expected = at_once.look(text);
  ng::StreamFraming framing;
  for (std::size_t have = std::min(piece, text.size());; have = std::min(have + piece, text.size())) {
    const ng::Framing found = framing.look(text.substr(0, have));
    if (found == ng::Framing::kIncomplete && have < text.size()) continue;
    fact(found == expected);
    if (found == ng::Framing::kWhole) fact(framing.size() == at_once.size() && framing.size() <= text.size());
    return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::size_t piece = data[0] % 16 + 1u;
  http_in_pieces(text, piece);
  ng_in_pieces(text, piece);
  return 0;
}

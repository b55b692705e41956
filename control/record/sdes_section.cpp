// SPDX-License-Identifier: Apache-2.0
#include "control/record/sdes_section.hpp"

#include <stdexcept>

namespace ferry {

using nlohmann::json;

json JsonValue<sdp::CryptoLine>::save(const sdp::CryptoLine& line, const RecordContext&) {
  return {{"line", sdp::write_crypto(line, {.pad = true, .lifetime = false})},
          {"offerers", line.is_offerers}};
}

sdp::CryptoLine JsonValue<sdp::CryptoLine>::load(const json& from, const RecordContext&) {
  auto line = sdp::parse_crypto(from.at("line").get<std::string>());
  if (!line) throw std::invalid_argument("it is no key");
  line->is_offerers = from.at("offerers").get<bool>();
  return std::move(*line);
}

}  // namespace ferry

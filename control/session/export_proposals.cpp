#include "control/session/export_proposals.hpp"

#include <algorithm>

namespace ferry {

using nlohmann::json;

json proposals_json(const Call& call, Instant now) {
  const auto place = [&](const Leg* leg) {
    return std::ranges::find_if(call.legs, [&](const auto& each) { return each.get() == leg; }) -
           call.legs.begin();
  };
  json j = json::array();
  for (const Proposal& each : call.proposals) {
    j.push_back({{"offerer", place(each.offerer)},
                 {"answerer", place(each.answerer)},
                 {"left", each.until == Instant::max() ? json(nullptr) : json((each.until - now).count())},
                 {"former_sdp", each.former_sdp},
                 {"former_order", each.former_order}});
  }
  return j;
}
void read_proposals(Call& call, const json& j, Instant now) {
  for (const json& each : j) {
    const auto leg = [&](const char* who) { return call.legs.at(each.at(who).get<std::size_t>()).get(); };
    const json& left = each.at("left");
    call.proposals.push_back({leg("offerer"), leg("answerer"),
                              left.is_null() ? Instant::max() : now + Duration{left.get<std::int64_t>()},
                              each.at("former_sdp"), each.at("former_order").get<std::vector<unsigned>>()});
  }
}

json lapsed_json(const LapsedOffer* lapsed) {
  if (lapsed == nullptr) return nullptr;
  return {{"sdp", lapsed->sdp}, {"order", lapsed->section_order}};
}
std::unique_ptr<LapsedOffer> lapsed_from(const json& j) {
  if (j.is_null()) return nullptr;
  return std::make_unique<LapsedOffer>(LapsedOffer{j.at("sdp"), j.at("order").get<std::vector<unsigned>>()});
}

}  // namespace ferry

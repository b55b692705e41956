#include "codecs/stage/fax_gateways.hpp"

namespace ferry {

std::shared_ptr<T38Gateway> FaxGateways::find_or_make(std::uint64_t number, const T38Settings& settings) {
  std::erase_if(gateways_, [](const auto& each) { return each.second.expired(); });
  std::weak_ptr<T38Gateway>& known = gateways_[number];
  auto gateway = known.lock();
  if (!gateway) {
    gateway = std::make_shared<T38Gateway>(settings);
    known = gateway;
  }
  return gateway;
}

}  // namespace ferry

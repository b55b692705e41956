// SPDX-License-Identifier: Apache-2.0
#include "control/request/fax_wishes.hpp"

#include "relay/base/text.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace ferry {

namespace {

constexpr std::int64_t kHighestVersion = 3;

/// A word, without dots, and what it sets. Null: it is obeyed whatever the wishes are.
struct WishRow {
  std::string_view word;
  bool FaxWishes::*member;
  bool value;
};
constexpr std::array<WishRow, 10> kWishRows = {{{"decode", &FaxWishes::decode, true},
                                                {"force", &FaxWishes::force, true},
                                                {"stop", &FaxWishes::stop, true},
                                                {"FEC", &FaxWishes::fec, true},
                                                {"no-ECM", &FaxWishes::ecm, false},
                                                {"no-V17", &FaxWishes::v17, false},
                                                {"no-V27ter", &FaxWishes::v27ter, false},
                                                {"no-V29", &FaxWishes::v29, false},
                                                {"no-V34", nullptr, true},
                                                {"no-IAF", nullptr, true}}};

}  // namespace

bool take_fax_word(FaxWishes& wishes, std::string_view word) {
  std::string plain(word);
  std::erase(plain, '.');
  const auto* const row = std::ranges::find_if(
      kWishRows, [&](const WishRow& known) { return equal_ignoring_case(known.word, plain); });
  if (row == kWishRows.end()) return false;
  if (row->member != nullptr) wishes.*row->member = row->value;
  return true;
}

int t38_version(std::int64_t number) noexcept {
  return static_cast<int>(std::clamp<std::int64_t>(number, 0, kHighestVersion));
}

}  // namespace ferry

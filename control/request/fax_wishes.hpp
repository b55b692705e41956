// SPDX-License-Identifier: Apache-2.0
// Wishes about faxes: keys `T.38` and `T.38 version` (docs/reference/ng.md#fax). Plain values.
#pragma once

#include <cstdint>
#include <string_view>

namespace ferry {

/// What a request asks for by the keys `T.38` and `T.38 version`.
struct FaxWishes {
  /// `decode`: fax of the offer becomes audio for the far side. `force`: audio of the offer becomes fax.
  /// `stop`: neither from now on.
  bool decode = false;
  bool force = false;
  bool stop = false;
  /// `FEC`: datagrams are protected by parity, where the relay has the choice.
  bool fec = false;
  /// False by `no-ECM`, `no-V.17`, `no-V.27ter`, `no-V.29`. V.34 and IAF are never used, so `no-V.34` and
  /// `no-IAF` are always obeyed.
  bool ecm = true;
  bool v17 = true;
  bool v27ter = true;
  bool v29 = true;
  /// The version that is announced, 0 to 3.
  int version = 0;
  bool operator==(const FaxWishes&) const = default;
};

/// Takes one word of key `T.38`, in any case and with or without its dots. False if nobody knows it.
[[nodiscard]] bool take_fax_word(FaxWishes& wishes, std::string_view word);
/// The version that a number of key `T.38 version` means: the nearest that exists.
[[nodiscard]] int t38_version(std::int64_t number) noexcept;

}  // namespace ferry

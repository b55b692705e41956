// SPDX-License-Identifier: Apache-2.0
// The programs as the daemon loads them, seen from outside: by the descriptor of one program, which is all
// that a later daemon would have of them.
#include "relay/bpf/programs.hpp"

#include "relay/bpf/abi.h"
#include "relay/bpf/kernel_forms.hpp"

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace ferry::bpf {
namespace {

/// The octets of the map whose name ends in `ending`, among those that the kernel keeps with a program. None:
/// the program has no such map.
std::optional<std::vector<std::byte>> variables_of(int program, std::string_view ending) {
  std::array<std::uint32_t, 16> maps{};
  bpf_prog_info facts{};
  facts.nr_map_ids = maps.size();
  facts.map_ids = reinterpret_cast<std::uintptr_t>(maps.data());
  std::uint32_t size = sizeof facts;
  if (bpf_obj_get_info_by_fd(program, &facts, &size) != 0) return std::nullopt;
  for (std::uint32_t i = 0; i < facts.nr_map_ids; ++i) {
    const int map = bpf_map_get_fd_by_id(maps[i]);
    if (map < 0) continue;
    bpf_map_info about{};
    size = sizeof about;
    std::optional<std::vector<std::byte>> found;
    if (bpf_obj_get_info_by_fd(map, &about, &size) == 0 && std::string_view(about.name).ends_with(ending)) {
      found.emplace(about.value_size);
      const std::uint32_t only = 0;
      if (bpf_map_lookup_elem(map, &only, found->data()) != 0) found.reset();
    }
    close(map);
    if (found) return found;
  }
  return std::nullopt;
}

/// The programs loaded; skipped where the kernel or the rights are missing.
class ProgramsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto loaded = Programs::load({UdpPort{30000}, UdpPort{30010}, 1, 1 << 16});
    if (!loaded) GTEST_SKIP() << loaded.error();
    programs_ = std::move(*loaded);
  }
  std::unique_ptr<Programs> programs_;
};

TEST_F(ProgramsTest, ALaterDaemonReadsTheVersionFromAProgram) {
  const auto constants = variables_of(programs_->handles().control, ".rodata");
  ASSERT_TRUE(constants) << "the kernel keeps the constants with the program";
  std::uint32_t version = 0;
  ASSERT_EQ(constants->size(), sizeof version) << "the version is the only constant";
  std::memcpy(&version, constants->data(), sizeof version);
  EXPECT_EQ(version, FERRY_ABI);
}

TEST_F(ProgramsTest, HasNoVariablesButThoseOfTheDaemon) {
  // The range of ports and the sign of life. A clock of the tests would lie beside them.
  bpf_map_info about{};
  std::uint32_t size = sizeof about;
  ASSERT_EQ(bpf_obj_get_info_by_fd(programs_->handles().variables, &about, &size), 0);
  EXPECT_EQ(about.value_size, 2 * sizeof(std::uint16_t) + 4 + sizeof(std::uint64_t));
}

}  // namespace
}  // namespace ferry::bpf

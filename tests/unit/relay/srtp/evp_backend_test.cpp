// SPDX-License-Identifier: Apache-2.0
// The packet forms and the key derivation against the vectors of the RFCs.

#include "relay/srtp/evp_backend.hpp"

#include "tests/support/packets.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::evp_backend_test {
namespace {

using test::Packet;

Packet from_hex(std::string_view text) {
  Packet packet;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    packet.push_back(static_cast<std::byte>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  return packet;
}

TEST(SrtpVectors, S13_ThoseOfRfc7714) {
  const Packet rtp = from_hex(
      "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e2070617274657320747265"
      "73");
  const Packet rtcp = from_hex(
      "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdea"
      "dbeef");
  const struct {
    SrtpSuite suite;
    std::string_view rtp;   // RFC 7714 §16.1.1, §16.2.1
    std::string_view rtcp;  // RFC 7714 §17.1, §17.2
  } rows[] = {
      {SrtpSuite::kAeadAes128Gcm,
       "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"
       "899d7f27beb16a9152cf765ee4390cce",
       "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9"
       "275bc84aa45896cf4d2fc5abf87245d9eade800005d4"},
      {SrtpSuite::kAeadAes256Gcm,
       "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b"
       "7aa3db36dfffd6b0f9bb7878d7a76c13",
       "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b"
       "6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4"}};
  for (const auto& row : rows) {
    Packet key;
    for (int i = 0; i < row_of(row.suite).key; ++i) key.push_back(static_cast<std::byte>(i));
    SrtpSessionKeys keys;
    keys.key = SecretBytes<32>(key);
    keys.salt = SecretBytes<14>(from_hex("517569642070726f2071756f"));
    const auto cipher = EvpBackend::make(row.suite, keys, keys);
    Packet packet = rtp;
    std::size_t size = packet.size();
    packet.resize(size + cipher->overhead());
    ASSERT_TRUE(cipher->seal_rtp(packet, size, 12, Ssrc{0x5501a0b2}, 0xf17b));
    packet.resize(size);
    EXPECT_EQ(packet, from_hex(row.rtp));
    ASSERT_TRUE(cipher->open_rtp(packet, size, 12, Ssrc{0x5501a0b2}, 0xf17b));
    packet.resize(size);
    EXPECT_EQ(packet, rtp);
    Packet report = rtcp;
    size = report.size();
    report.resize(size + cipher->overhead());
    ASSERT_TRUE(cipher->seal_rtcp(report, size, Ssrc{0x4d617273}, 0x5d4));
    report.resize(size);
    EXPECT_EQ(report, from_hex(row.rtcp));
    ASSERT_TRUE(cipher->open_rtcp(report, size, Ssrc{0x4d617273}));
    report.resize(size);
    EXPECT_EQ(report, rtcp);
  }
}

SrtpMasterKey master_of(SrtpSuite suite, std::string_view key, std::string_view salt) {
  SrtpMasterKey master;
  master.suite = suite;
  master.key = SecretBytes<32>(from_hex(key));
  master.salt = SecretBytes<14>(from_hex(salt));
  return master;
}
Packet octets_of(Bytes octets) { return {octets.begin(), octets.end()}; }

// RFC 3711 appendix B.3; RFC 6188 sections 7.2 and 7.4.
TEST(SrtpKeyDerivation, GivesTheKeysOfTheRfcs) {
  const struct {
    SrtpSuite suite;
    std::string_view master, master_salt, key, salt, auth;
  } rows[] = {
      {SrtpSuite::kAes128Cm80, "e1f97a0d3e018be0d64fa32c06de4139", "0ec675ad498afeebb6960b3aabe6",
       "c61e7a93744f39ee10734afe3ff7a087", "30cbbc08863d8c85d49db34a9ae1",
       "cebe321f6ff7716b6fd4ab49af256a156d38baa4"},
      {SrtpSuite::kAes192Cm80, "73edc66c4fa15776fb57f9505c17136550ffda71f3e8e5f1",
       "c8522f3acd4ce86d5add78edbb11", "31874736a8f1143870c26e4857d8a5b2c4a354407faadabb",
       "2372b82d639b6d8503a47adc0a6c", "355b10973cd95b9eacf4061c7e1a7151e7cfbfcb"},
      {SrtpSuite::kAes256Cm80, "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
       "3b04803de51ee7c96423ab5b78d2", "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
       "fa31791685ca444a9e07c6c64e93", "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"}};
  for (const auto& row : rows) {
    const SrtpSessionKeys keys = derive_session_keys(master_of(row.suite, row.master, row.master_salt), 0);
    EXPECT_EQ(octets_of(keys.key.get()), from_hex(row.key)) << row_of(row.suite).name;
    EXPECT_EQ(octets_of(keys.salt.get()), from_hex(row.salt)) << row_of(row.suite).name;
    EXPECT_EQ(octets_of(keys.auth.get()), from_hex(row.auth)) << row_of(row.suite).name;
  }
}

TEST(SrtpKeyDerivation, EachLabelGivesAnotherKeyOfTheSizeOfTheSuite) {
  for (const SrtpSuiteRow& row : kUsableSrtpSuites) {
    SrtpMasterKey master;
    master.suite = row.suite;
    master.key = SecretBytes<32>(Packet(row.key, std::byte{1}));
    master.salt = SecretBytes<14>(Packet(row.salt, std::byte{2}));
    const SrtpSessionKeys rtp = derive_session_keys(master, 0);
    const SrtpSessionKeys rtcp = derive_session_keys(master, 3);
    EXPECT_EQ(rtp.key.size(), row.key) << row.name;
    EXPECT_EQ(rtp.salt.size(), row.salt) << row.name;
    EXPECT_EQ(rtp.auth.size(), row.is_aead ? 0u : 20u) << row.name;
    EXPECT_NE(octets_of(rtp.key.get()), octets_of(rtcp.key.get())) << row.name;
    EXPECT_NE(octets_of(rtp.salt.get()), octets_of(rtcp.salt.get())) << row.name;
    EXPECT_NE(octets_of(rtp.key.get()), octets_of(master.key.get())) << row.name;
  }
}

// RFC 3711 appendix B.2: the keystream of AES in counter mode, which zeros make visible.
TEST(SrtpVectors, TheKeystreamOfRfc3711) {
  SrtpSessionKeys keys;
  keys.key = SecretBytes<32>(from_hex("2b7e151628aed2a6abf7158809cf4f3c"));
  keys.salt = SecretBytes<14>(from_hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd"));
  keys.auth = SecretBytes<20>(Packet(20));
  const auto cipher = EvpBackend::make(SrtpSuite::kAes128Cm80, keys, keys);
  constexpr std::size_t kHeader = 12;
  Packet packet(kHeader + 3 * 16);
  std::size_t size = packet.size();
  packet.resize(size + cipher->overhead());
  ASSERT_TRUE(cipher->seal_rtp(packet, size, kHeader, Ssrc{0}, 0));
  const Packet stream(packet.begin() + kHeader, packet.begin() + kHeader + 3 * 16);
  EXPECT_EQ(stream, from_hex("e03ead0935c95e80e166b16dd92b4eb4"
                             "d23513162b02d0f72a43a2fe4a5f97ab"
                             "41e95b3bb0a2e8dd477901e4fca894c0"));
  EXPECT_EQ(Packet(packet.begin(), packet.begin() + kHeader), Packet(kHeader)) << "the header stays plain";
  EXPECT_EQ(size, kHeader + 3 * 16 + 10);
}

}  // namespace
}  // namespace ferry::evp_backend_test

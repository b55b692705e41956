// SPDX-License-Identifier: Apache-2.0
// a=setup, a=fingerprint and a=tls-id (RFC 4145 §4, RFC 8122 §5, RFC 8842 §4).
#include "control/sdp/dtls.hpp"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::sdp::dtls_test {
namespace {

using Way = ferry::sdp::Setup;  // gtest has a Setup of its own

const std::string kSha1 = "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";  // RFC 8122 §5

std::string octets(std::size_t count, const std::string& separator = ":") {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : separator) + "0A";
  return text;
}

struct Row {
  const char* name;
  std::string value;
  /// Nothing: the line cannot be used.
  std::optional<FingerprintHash> hash;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class Fingerprints : public ::testing::TestWithParam<Row> {};

TEST_P(Fingerprints, AreReadIfTheyAreWhole) {
  const auto read = parse_fingerprint(GetParam().value);
  ASSERT_EQ(read.has_value(), GetParam().hash.has_value());
  if (!read) return;
  EXPECT_EQ(read->hash, *GetParam().hash);
  EXPECT_EQ(read->octets.size(), row_of(read->hash).octets);
}

using Hash = FingerprintHash;
constexpr auto kNone = std::nullopt;
INSTANTIATE_TEST_SUITE_P(
    Table, Fingerprints,
    ::testing::Values(
        Row{"Sha1", "sha-1 " + kSha1, Hash::kSha1}, Row{"Sha224", "sha-224 " + octets(28), Hash::kSha224},
        Row{"Sha256", "sha-256 " + octets(32), Hash::kSha256},
        Row{"Sha384", "sha-384 " + octets(48), Hash::kSha384},
        Row{"Sha512", "sha-512 " + octets(64), Hash::kSha512},
        Row{"Capitals", "SHA-256 " + octets(32), Hash::kSha256},
        Row{"SmallDigits", "sha-1 4a:ad:b9:b1:3f:82:18:3b:54:02:12:df:3e:5d:49:6b:19:e5:7c:ab", Hash::kSha1},
        Row{"Blanks", " sha-1  " + kSha1 + " ", Hash::kSha1}, Row{"DTL8_Md5", "md5 " + octets(16), kNone},
        Row{"DTL8_Md2", "md2 " + octets(16), kNone}, Row{"OneOctetLess", "sha-256 " + octets(31), kNone},
        Row{"OneOctetMore", "sha-256 " + octets(33), kNone},
        Row{"OfAnotherHash", "sha-256 " + octets(20), kNone},
        Row{"WithoutColons", "sha-1 " + octets(20, ""), kNone},
        Row{"HalfAnOctet", "sha-1 " + kSha1.substr(0, kSha1.size() - 1), kNone},
        Row{"NoDigits", "sha-1 " + kSha1.substr(0, kSha1.size() - 2) + "GG", kNone},
        Row{"TextBehind", "sha-1 " + kSha1 + " x", kNone},
        Row{"Rfc8122ColonBehind", "sha-1 " + kSha1 + ":", kNone},
        Row{"ColonAndBlankBehind", "sha-1 " + kSha1 + ": ", kNone},
        Row{"TwoColonsBehind", "sha-1 " + kSha1 + "::", kNone},
        Row{"ColonAndDigitBehind", "sha-1 " + kSha1 + ":0", kNone},
        Row{"ColonBehindTooFew", "sha-256 " + octets(31) + ":", kNone},
        Row{"ColonBefore", "sha-1 :" + kSha1, kNone}, Row{"TwoColons", "sha-256 " + octets(32, "::"), kNone},
        Row{"ColonsAlone", "sha-1 " + std::string(19, ':'), kNone},
        Row{"BlanksBetween", "sha-1 " + octets(20, " "), kNone},
        Row{"DashesBetween", "sha-1 " + octets(20, "-"), kNone}, Row{"HashAlone", "sha-1", kNone},
        Row{"Nothing", "", kNone}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(Fingerprints, Rfc8122Octets_AreInCapitalsWithColons) {
  const auto read = parse_fingerprint("SHA-1 4a:ad:b9:b1:3f:82:18:3b:54:02:12:df:3e:5d:49:6b:19:e5:7c:ab");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->octets[0], std::byte{0x4a});
  EXPECT_EQ(write_fingerprint(*read), "sha-1 " + kSha1);
}

TEST(Fingerprints, AreReadAsTheyWereWritten) {
  EXPECT_TRUE(rc::check([] {
    Fingerprint made;
    made.hash = static_cast<Hash>(*rc::gen::inRange(0, 5));
    for (std::size_t i = 0; i < row_of(made.hash).octets; ++i)
      made.octets.push_back(static_cast<std::byte>(*rc::gen::inRange(0, 256)));
    RC_ASSERT(parse_fingerprint(write_fingerprint(made)) == made);
  }));
}

TEST(Hashes, HaveTheirNamesWithOrWithoutTheHyphen) {
  EXPECT_EQ(parse_hash("sha-256"), Hash::kSha256);
  EXPECT_EQ(parse_hash("SHA256"), Hash::kSha256);
  EXPECT_EQ(parse_hash("Sha-1"), Hash::kSha1);
  for (const char* none : {"", "md5", "sha", "sha-25", "sha-2560", "s-ha256"})
    EXPECT_FALSE(parse_hash(none)) << none;
}

std::string body(const std::string& lines) {
  return "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 UDP/TLS/RTP/SAVPF "
         "8\r\n" +
         lines;
}
DtlsDescription read(const std::string& lines) {
  const std::string text = body(lines);
  return read_dtls(parse(text)->media.front());
}

TEST(ReadDtls, SetupIsAWordOfRfc4145) {
  struct SetupRow {
    const char* value;
    Way setup;
  };
  const SetupRow rows[] = {{"actpass", Way::kActpass}, {"Active", Way::kActive}, {"passive", Way::kPassive},
                           {"holdconn", Way::kNone},   {"", Way::kNone},         {"activ", Way::kNone}};
  for (const SetupRow& row : rows)
    EXPECT_EQ(read(std::string("a=setup:") + row.value + "\r\n").setup, row.setup) << row.value;
  EXPECT_EQ(read("").setup, Way::kNone);
}

TEST(ReadDtls, UsableFingerprintsAreKeptInOrderAndOthersSkipped) {
  const auto dtls = read("a=fingerprint:md5 " + octets(16) + "\r\na=fingerprint:sha-256 " + octets(32) +
                         "\r\na=fingerprint:sha-1 " + kSha1 + "\r\na=tls-id:abcdefghijklmnopqrst\r\n");
  ASSERT_EQ(dtls.fingerprints.size(), 2u);
  EXPECT_EQ(dtls.fingerprints[0].hash, Hash::kSha256);
  EXPECT_EQ(dtls.fingerprints[1].hash, Hash::kSha1);
  EXPECT_EQ(dtls.tls_id, "abcdefghijklmnopqrst");
}

TEST(ReadDtls, ASectionBringsABoundedNumberAndRfc8842TextIsAtMost255) {
  std::string lines;
  for (int i = 0; i < 40; ++i) {
    std::string value = octets(32);
    value[0] = static_cast<char>('A' + i / 16);
    value[1] = "0123456789ABCDEF"[i % 16];
    lines += "a=fingerprint:sha-256 " + value + "\r\n";
  }
  EXPECT_EQ(read(lines).fingerprints.size(), 16u);
  EXPECT_EQ(read("a=tls-id:" + std::string(300, 'x') + "\r\n").tls_id, std::string(255, 'x'));
}

}  // namespace
}  // namespace ferry::sdp::dtls_test

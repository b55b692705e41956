// SPDX-License-Identifier: Apache-2.0
// DTL-7: a certificate lives for a day, and running calls keep theirs.
#include "control/session/dtls_identities.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

/// An identity that is never shown to anybody.
struct Identity final : DtlsIdentity {
  [[nodiscard]] Fingerprint fingerprint(FingerprintHash) const override { return {}; }
  [[nodiscard]] std::unique_ptr<DtlsAssociation> make(DtlsRole, bool) const override { return {}; }
  [[nodiscard]] Cookie cookie(Bytes) const override { return {}; }
  [[nodiscard]] std::string pem() const override { return {}; }
};

struct Backend final : DtlsBackend {
  [[nodiscard]] std::shared_ptr<const DtlsIdentity> make_identity() const override {
    ++made;
    return works ? std::make_shared<Identity>() : nullptr;
  }
  [[nodiscard]] std::shared_ptr<const DtlsIdentity> identity_of(const std::string&) const override {
    return {};
  }
  mutable int made = 0;
  bool works = true;
};

class DtlsIdentitiesTest : public testing::Test {
 protected:
  std::shared_ptr<Backend> backend_ = std::make_shared<Backend>();
  DtlsConfig config_{.backend = backend_};
  DtlsIdentities identities_{config_};
};

TEST_F(DtlsIdentitiesTest, DTL7_OneADay) {
  const Instant start{100h};
  const auto first = identities_.current(start);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(identities_.current(start + 24h - 1ns), first);
  EXPECT_EQ(backend_->made, 1);
  const auto second = identities_.current(start + 24h);
  EXPECT_NE(second, first);
  EXPECT_EQ(identities_.current(start + 47h), second) << "counted from when it was made";
  EXPECT_EQ(first.use_count(), 1) << "only the calls have it now";
}

TEST_F(DtlsIdentitiesTest, DTL7_IfNoneCanBeMadeTheFormerOneGoesOn) {
  const Instant start{100h};
  const auto first = identities_.current(start);
  backend_->works = false;
  EXPECT_EQ(identities_.current(start + 25h), first);
  backend_->works = true;
  EXPECT_NE(identities_.current(start + 50h), first);
}

TEST_F(DtlsIdentitiesTest, WithoutDtlsThereIsNone) {
  config_.backend = nullptr;
  EXPECT_EQ(identities_.current(Instant{100h}), nullptr);
}

}  // namespace
}  // namespace ferry::test

// SPDX-License-Identifier: Apache-2.0
#include "recorder/after/digest.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

namespace ferry {

namespace {

struct FreeDigest {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeSigningKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct CloseKeyFile {
  void operator()(FILE* file) const { fclose(file); }
};

// SHA-256 of what is added.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void add(std::span<const unsigned char> octets) {
    EVP_DigestUpdate(context_.get(), octets.data(), octets.size());
  }
  /// The hash so far; begins anew.
  std::array<unsigned char, 32> take() {
    std::array<unsigned char, 32> sum{};
    EVP_DigestFinal_ex(context_.get(), sum.data(), nullptr);
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
    return sum;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, FreeDigest> context_;
};

std::string hex(std::span<const unsigned char> octets) {
  std::string text;
  for (const unsigned char octet : octets) text += fmt::format("{:02x}", octet);
  return text;
}

}  // namespace

// Reads by offset: the descriptor's own position does not matter and is not moved.
Result<FileDigest, int> digest_file(int fd, const std::string& id) {
  FileDigest digest;
  Sha256 whole;
  Sha256 segment;
  // The chain begins with the id, so that segments of another recording do not fit.
  segment.add({reinterpret_cast<const unsigned char*>(id.data()), id.size()});
  std::vector<unsigned char> block(kChainSegment);
  for (std::size_t filled = 0;;) {
    const ssize_t got =
        pread(fd, block.data() + filled, block.size() - filled, static_cast<off_t>(digest.size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno);
    digest.size += static_cast<std::uint64_t>(got);
    filled += static_cast<std::size_t>(got);
    // A short read is no end: a segment is always full, except the last one.
    if (got != 0 && filled < block.size()) continue;
    if (filled > 0) {
      const std::span<const unsigned char> part(block.data(), filled);
      whole.add(part);
      segment.add(part);
      const auto sum = segment.take();
      digest.chain.push_back(hex(sum));
      segment.add(sum);
      filled = 0;
    }
    if (got == 0) break;
  }
  digest.sha256 = hex(whole.take());
  return digest;
}

Result<std::string, std::string> sign_text(const std::string& text, const std::string& key_file) {
  const std::unique_ptr<FILE, CloseKeyFile> file(fopen(key_file.c_str(), "re"));
  if (!file) return fail(fmt::format("cannot read the signing key '{}': {}", key_file, strerror(errno)));
  const std::unique_ptr<EVP_PKEY, FreeSigningKey> key(
      PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr));
  if (!key) return fail(fmt::format("'{}' holds no private key in PEM form", key_file));
  const int kind = EVP_PKEY_get_base_id(key.get());
  // Ed25519 and Ed448 hash by themselves.
  const EVP_MD* hash = kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448 ? nullptr : EVP_sha256();
  const std::unique_ptr<EVP_MD_CTX, FreeDigest> context(EVP_MD_CTX_new());
  const auto* octets = reinterpret_cast<const unsigned char*>(text.data());
  // The first call only asks for the size.
  std::size_t size = 0;
  if (EVP_DigestSignInit(context.get(), nullptr, hash, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, octets, text.size()) != 1)
    return fail(fmt::format("cannot sign with '{}'", key_file));
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, octets,
                     text.size()) != 1)
    return fail(fmt::format("cannot sign with '{}'", key_file));
  signature.resize(size);
  return signature;
}

}  // namespace ferry

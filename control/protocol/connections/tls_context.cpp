// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/connections/tls_context.hpp"

#include <array>
#include <memory>
#include <stdexcept>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace ferry {

namespace {

std::string text_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::string common_name(X509* certificate) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  return at < 0 ? std::string() : text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

}  // namespace

TlsContext::TlsContext(const std::string& certificate, const std::string& key, const std::string& client_ca)
    : context_(SSL_CTX_new(TLS_server_method())) {
  const auto refuse = [&](const std::string& what) {
    std::array<char, 256> reason{};
    ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
    SSL_CTX_free(context_);
    throw std::runtime_error(what + ": " + reason.data());
  };
  if (context_ == nullptr) refuse("TLS");
  SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
  // Otherwise a client could have the costly part done again and again over one connection.
  SSL_CTX_set_options(context_, SSL_OP_NO_RENEGOTIATION);
  if (SSL_CTX_use_certificate_chain_file(context_, certificate.c_str()) != 1)
    refuse("https-cert " + certificate);
  const std::string& key_file = key.empty() ? certificate : key;
  if (SSL_CTX_use_PrivateKey_file(context_, key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    refuse("https-key " + key_file);
  if (SSL_CTX_check_private_key(context_) != 1) refuse("https-key " + key_file);
  asks_for_certificate_ = !client_ca.empty();
  if (client_ca.empty()) return;
  if (SSL_CTX_load_verify_locations(context_, client_ca.c_str(), nullptr) != 1)
    refuse("https-client-ca " + client_ca);
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

std::vector<std::string> TlsContext::names() const {
  X509* certificate = SSL_CTX_get0_certificate(context_);
  if (certificate == nullptr) return {};
  std::vector<std::string> names;
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> alternatives(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free);
  for (int i = 0; alternatives && i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* each = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (each->type == GEN_DNS) names.push_back(text_of(each->d.dNSName));
  }
  if (!alternatives) names.push_back(common_name(certificate));
  return names;
}

std::uint32_t TlsContext::handshakes_per_second() const {
  const EVP_PKEY* key = SSL_CTX_get0_privatekey(context_);
  if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
    // Elliptic curves: about 0.3 ms for each handshake.
    return 200;
  const int bits = EVP_PKEY_get_bits(key);
  // RSA: about 1, 3 and 6 ms for each handshake.
  return bits <= 2048 ? 100 : bits <= 3072 ? 50 : 25;
}

}  // namespace ferry

// SPDX-License-Identifier: Apache-2.0
// Certificate and private key of the listeners that speak TLS.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

struct ssl_ctx_st;

namespace ferry {

/// Holds OpenSSL's context for servers. TLS 1.2 is the lowest version. Control thread only.
class TlsContext {
 public:
  /// The arguments are paths of PEM files. An empty `key` means that `certificate` holds the key, too. If
  /// `client_ca` is not empty, clients must show a certificate of that authority. Throws std::runtime_error
  /// with the file and OpenSSL's reason.
  TlsContext(const std::string& certificate, const std::string& key, const std::string& client_ca = {});
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  /// Exchanges certificate and key for connections to come; open ones keep what they have.
  void swap(TlsContext& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(asks_for_certificate_, other.asks_for_certificate_);
  }
  /// OpenSSL's context, owned by this object. Never null.
  [[nodiscard]] ssl_ctx_st* get() const { return context_; }
  /// True if clients must show a certificate.
  [[nodiscard]] bool asks_for_certificate() const { return asks_for_certificate_; }
  /// DNS names of the certificate: those of subjectAltName, or the common name if it has no such extension
  /// (RFC 6125 §6.4.4).
  [[nodiscard]] std::vector<std::string> names() const;
  /// Number of handshakes in a second that take about a fifth of the control thread at most. It depends on
  /// the kind and size of the key.
  [[nodiscard]] std::uint32_t handshakes_per_second() const;

 private:
  bool asks_for_certificate_ = false;
  ssl_ctx_st* context_ = nullptr;
};

}  // namespace ferry

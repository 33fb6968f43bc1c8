#pragma once
#include <openssl/evp.h>
#include <openssl/pem.h>

// A macro with a variable number of arguments in OpenSSL.
static inline EVP_PKEY *EVP_PKEY_Q_keygen_ed25519(void) {
  return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

#pragma once
#include <openssl/ssl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/hmac.h>
#include <openssl/ec.h>
#include <arpa/inet.h>
#include <string.h>

// Names of a subjectAltName extension. OpenSSL's stacks are macros, which Swift does not see.
static inline int cc_name_count(GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }
static inline void cc_free_names(GENERAL_NAMES *names) { GENERAL_NAMES_free(names); }

// Writes a DNS name or an address as text; 0 for any other kind or when it does not fit.
static inline int cc_name(GENERAL_NAMES *names, int index, char *output, int size) {
  GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
  if (name->type == GEN_DNS) {
    int length = ASN1_STRING_length(name->d.dNSName);
    if (length >= size) return 0;
    memcpy(output, ASN1_STRING_get0_data(name->d.dNSName), (size_t)length);
    output[length] = 0;
    return length;
  }
  if (name->type == GEN_IPADD) {
    int length = ASN1_STRING_length(name->d.iPAddress);
    const unsigned char *bytes = ASN1_STRING_get0_data(name->d.iPAddress);
    if (length != 4 && length != 16) return 0;
    if (inet_ntop(length == 4 ? AF_INET : AF_INET6, bytes, output, (socklen_t)size) == NULL) return 0;
    return (int)strlen(output);
  }
  return 0;
}
static inline void cc_free_extensions(STACK_OF(X509_EXTENSION) *list) { sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free); }

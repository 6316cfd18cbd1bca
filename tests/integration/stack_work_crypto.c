/* stack_work_crypto.c - hand-written assembly: OpenSSL's digests, ciphers and elliptic curves.  Compiled by test_stacks.py against the
 * library alone; what is declared here is all that is needed of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct md md;
typedef struct cipher cipher;
typedef struct context context;
typedef struct key key;

int EVP_Digest(const void *data, size_t len, unsigned char *out, unsigned *out_len, const md *,
               void *);
const md *EVP_sha1(void), *EVP_sha256(void), *EVP_sha512(void), *EVP_sha3_256(void), *EVP_md5(void);
context *EVP_CIPHER_CTX_new(void);
void EVP_CIPHER_CTX_free(context *);
int EVP_EncryptInit_ex(context *, const cipher *, void *, const unsigned char *key,
                       const unsigned char *iv);
int EVP_EncryptUpdate(context *, unsigned char *out, int *out_len, const unsigned char *in,
                      int in_len);
int EVP_EncryptFinal_ex(context *, unsigned char *out, int *out_len);
const cipher *EVP_aes_128_gcm(void), *EVP_aes_256_cbc(void), *EVP_aes_256_ctr(void),
    *EVP_chacha20_poly1305(void);
key *EVP_PKEY_Q_keygen(void *, const char *, const char *type, ...);
void EVP_PKEY_free(key *);
context *EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(context *);
int EVP_DigestSignInit(context *, void *, const md *, void *, key *);
int EVP_DigestSign(context *, unsigned char *out, size_t *out_len, const unsigned char *in,
                   size_t len);

static unsigned char data[16384], out[16384 + 64];

static void digest(const md *how)
{
    unsigned char sum[64];
    unsigned len;

    if (EVP_Digest(data, sizeof(data), sum, &len, how, NULL) != 1)
        abort();
}

static void encrypt(const cipher *how)
{
    context *c = EVP_CIPHER_CTX_new();
    int len;

    if (!c || EVP_EncryptInit_ex(c, how, NULL, data, data) != 1 ||
        EVP_EncryptUpdate(c, out, &len, data, sizeof(data)) != 1 ||
        EVP_EncryptFinal_ex(c, out + len, &len) != 1)
        abort();
    EVP_CIPHER_CTX_free(c);
}

static void sign(key *with)
{
    unsigned char signature[512];
    size_t len = sizeof(signature);
    context *c = EVP_MD_CTX_new();

    if (!c || EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, with) != 1 ||
        EVP_DigestSign(c, signature, &len, data, 100) != 1)
        abort();
    EVP_MD_CTX_free(c);
}

void work(void)
{
    static key *curve, *rsa;

    if (!curve) {
        curve = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    }
    digest(EVP_sha1());
    digest(EVP_sha256());
    digest(EVP_sha512());
    digest(EVP_sha3_256());
    digest(EVP_md5());
    encrypt(EVP_aes_128_gcm());
    encrypt(EVP_aes_256_cbc());
    encrypt(EVP_aes_256_ctr());
    encrypt(EVP_chacha20_poly1305());
    sign(curve);
    sign(rsa);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-plugin/context/ids.c - random ids: the keystream of ChaCha20 (RFC 8439), OpenSSL's, a buffer
 * at a time; where that is not to be had, as under FIPS 140, of AES in counter mode.
 */
#include "context/ids.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>

#include "base/hex.h"

static int fill_random(uint8_t *p, size_t n)
{
    size_t have = 0;

    while (have < n) {
        const ssize_t got = getrandom(p + have, n - have, 0);

        if (got < 0 && errno != EINTR)
            return -1;
        have += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

int id_source_init_key(struct id_source *ids, const uint8_t key[ID_SOURCE_KEY])
{
    static const uint8_t nonce[16] = {0}; /* the key is used once */
    int ok;

    *ids = (struct id_source){._cipher = EVP_CIPHER_CTX_new(), ._used = ID_SOURCE_BUFFER};
    if (ids->_cipher == NULL)
        return -1;
    ok = EVP_EncryptInit_ex(ids->_cipher, EVP_chacha20(), NULL, key, nonce);
    if (ok != 1)
        ok = EVP_EncryptInit_ex(ids->_cipher, EVP_aes_256_ctr(), NULL, key, nonce);
    if (ok != 1) {
        id_source_fini(ids);
        return -1;
    }
    return 0;
}

int id_source_init(struct id_source *ids)
{
    uint8_t key[ID_SOURCE_KEY];
    int result = -1;

    *ids = (struct id_source){._cipher = NULL};
    if (fill_random(key, sizeof key) == 0)
        result = id_source_init_key(ids, key);
    explicit_bzero(key, sizeof key);
    return result;
}

void id_source_fini(struct id_source *ids)
{
    EVP_CIPHER_CTX_free(ids->_cipher); /* takes NULL */
    explicit_bzero(ids, sizeof *ids);
}

/* n bytes of the keystream; what was handed out is gone from the buffer. @param n  16 or 8 */
static void take(struct id_source *ids, uint8_t *ret, uint32_t n)
{
    if (ids->_used + n > ID_SOURCE_BUFFER) {
        int len = 0;

        memset(ids->_buffer, 0, sizeof ids->_buffer);
        /* A stream cipher over memory cannot fail once it has its key. */
        if (EVP_EncryptUpdate(ids->_cipher, ids->_buffer, &len, ids->_buffer, ID_SOURCE_BUFFER) !=
            1)
            len = 0;
        assert(len == ID_SOURCE_BUFFER);
        ids->_used = 0;
    }
    memcpy(ret, ids->_buffer + ids->_used, n);
    memset(ids->_buffer + ids->_used, 0, n);
    ids->_used += n;
}

void id_trace(struct id_source *ids, uint8_t ret[16])
{
    do {
        take(ids, ret, 16);
    } while (hex_is_zero(ret, 16));
}

void id_span(struct id_source *ids, uint8_t ret[8])
{
    do {
        take(ids, ret, 8);
    } while (hex_is_zero(ret, 8));
}

/* zip.c - local headers with their contents, then the central directory; all numbers little-endian. */
#include "codec/zip.h"

#include <string.h>

#include "base/digest.h"

#define LOCAL_MAGIC   0x04034b50u
#define CENTRAL_MAGIC 0x02014b50u
#define END_MAGIC     0x06054b50u
#define VERSION       10     /* 1.0: stored files */
#define DATE          0x0021 /* 1980-01-01, the first there is: the archive's name has the time */

static void put16(sonde_buf *b, uint32_t v)
{
    const uint8_t bytes[2] = { (uint8_t)v, (uint8_t)(v >> 8) };

    sonde_buf_append(b, bytes, sizeof(bytes));
}

static void put32(sonde_buf *b, uint32_t v)
{
    put16(b, v & 0xffff);
    put16(b, v >> 16);
}

/* What both headers of a file have in common. */
static void put_description(sonde_buf *b, const sonde_zip_file *f)
{
    put16(b, VERSION);
    put16(b, 0); /* flags */
    put16(b, 0); /* method: stored */
    put16(b, 0); /* midnight */
    put16(b, DATE);
    put32(b, f->crc);
    put32(b, f->len);
    put32(b, f->len);
    put16(b, (uint32_t)strlen(f->name));
    put16(b, 0); /* extra field */
}

void sonde_zip_begin(sonde_zip *z, sonde_buf *out)
{
    z->out = out;
    z->len = 0;
}

void sonde_zip_add(sonde_zip *z, const char *name, sonde_str content)
{
    sonde_zip_file *f = &z->file[z->len];

    if (z->len == SONDE_ZIP_FILES_MAX)
        return;
    z->len++;
    *f = (sonde_zip_file){ name, (uint32_t)z->out->len, sonde_crc32(0, content.ptr, content.len),
                           (uint32_t)content.len };
    put32(z->out, LOCAL_MAGIC);
    put_description(z->out, f);
    sonde_buf_append_str(z->out, sonde_str_from(name));
    sonde_buf_append_str(z->out, content);
}

static void put_central(sonde_buf *b, const sonde_zip_file *f)
{
    put32(b, CENTRAL_MAGIC);
    put16(b, VERSION);
    put_description(b, f);
    put16(b, 0); /* comment */
    put16(b, 0); /* disk */
    put16(b, 0); /* internal attributes */
    put32(b, 0); /* external attributes */
    put32(b, f->at);
    sonde_buf_append_str(b, sonde_str_from(f->name));
}

void sonde_zip_end(sonde_zip *z)
{
    uint32_t from = (uint32_t)z->out->len;
    uint32_t bytes;
    unsigned i;

    for (i = 0; i < z->len; i++)
        put_central(z->out, &z->file[i]);
    bytes = (uint32_t)z->out->len - from;
    put32(z->out, END_MAGIC);
    put16(z->out, 0); /* this disk */
    put16(z->out, 0); /* that of the directory */
    put16(z->out, z->len);
    put16(z->out, z->len);
    put32(z->out, bytes);
    put32(z->out, from);
    put16(z->out, 0); /* comment */
}

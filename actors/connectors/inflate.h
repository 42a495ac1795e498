/* inflate.h - a compressed file read as what it holds: gzip (RFC 1952) and
 * zstd (RFC 8878), told apart by their first bytes. Members or frames that
 * stand one behind another are one text. The libraries are loaded when such a
 * file is read: libz.so.1 of Debian's zlib1g, libzstd.so.1 of libzstd1.
 * These block: for jobs. One thread at a time. */
#ifndef ACTORS_CONNECTORS_INFLATE_H
#define ACTORS_CONNECTORS_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;
struct inflate;

enum { INFLATE_MAGIC_BYTES = 4 };
enum inflate_kind { INFLATE_NONE, INFLATE_GZIP, INFLATE_ZSTD };

/* By the first bytes of a file, INFLATE_MAGIC_BYTES if it has so many. */
enum inflate_kind inflate_recognise(const uint8_t *bytes, size_t count);

/* Reads the open `file` from its beginning. The file stays the caller's. NULL:
 * `why` says what is missing, half a sentence; "": memory. */
struct inflate *inflate_new(enum inflate_kind kind, const struct disk *disk,
                            int file, char *why, size_t why_bytes);
void inflate_free(struct inflate *in);

/* The next bytes, `bytes` at most. 0: all was read, or the data are damaged
 * behind what was given. Negative: -errno of the disk; ask again. */
int64_t inflate_read(struct inflate *in, void *to, size_t bytes);

/* How the data are damaged: "the gzip data are cut short at byte 123". False:
 * they are not, so far. */
bool inflate_damaged(const struct inflate *in, char *out, size_t bytes);

#endif

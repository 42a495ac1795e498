/* store_lmdb.h - a store's backend in a folder: LMDB, every commit synced in
 * full. In the folder lie store.mdb, LMDB's own store.mdb-lock, and `lock`,
 * which the one process that writes holds. */
#ifndef CORE_STORE_LMDB_H
#define CORE_STORE_LMDB_H

#include "core/store.h"

enum {
    /* Of the records' layout. A store of another one is refused. */
    STORE_FORMAT = 1,
};

enum store_use {
    STORE_OWN,  /* to read and write; made if it is missing */
    STORE_LOOK, /* to read, beside the process that writes; must be there */
};

/* Opens the store in `folder`, which STORE_OWN makes (not what is above it).
 * map_bytes: of the first map, which doubles when it is full; 0: 1 GB.
 * ERR_BUSY: another process writes. ERR_NOTFOUND: there is none. ERR_FORMAT: it
 * is of another version, or no store. ERR_TRUNCATED: a part of the file is
 * missing. ERR_IO, ERR_NOSPACE, ERR_NOMEM. `why`: a sentence, with what to do.
 */
err store_lmdb_open(const char *folder, enum store_use use, size_t map_bytes,
                    struct store_backend *out, char why[STORE_WHY_BYTES]);

struct store_lmdb_info {
    uint64_t records, page_bytes, pages_used, pages_free, map_bytes, file_bytes;
    uint64_t commits; /* so far */
};
/* Of a backend that store_lmdb_open() made. */
err store_lmdb_info(const struct store_backend *backend,
                    struct store_lmdb_info *out);
/* A whole copy, without free pages, into `folder`, which is made and must not
 * have one; while others read and write. Errors as of opening. */
err store_lmdb_copy(const struct store_backend *backend, const char *folder,
                    char why[STORE_WHY_BYTES]);
/* Such a copy takes the place of its file, which was opened with STORE_OWN:
 * close the backend then. Errors: the file is as it was. */
err store_lmdb_compact(const struct store_backend *backend, const char *folder,
                       char why[STORE_WHY_BYTES]);

#endif

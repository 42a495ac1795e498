/* bundle.h - the text of a definition: its file, its modules, its parameters.
 * Read from disk once, when the plan is made; every executor's VM loads from
 * it, so that all of them run the same code whatever happens to the files. */
#ifndef LUA_BUNDLE_H
#define LUA_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/ref.h"

struct bundle_file {
    char *name; /* of the module; "" is the definition file */
    char *path; /* as it was opened, for messages and for watching */
    char *text;
    size_t bytes;
};

struct bundle_param {
    char *name;
    char *text; /* as --set gave it */
};

struct bundle {
    struct ref ref;
    struct bundle_file *files; /* owned */
    unsigned count;
    char **unread; /* owned: paths that were tried and couldn't be read */
    unsigned unread_count;
    struct bundle_param *params; /* owned: what --set gave */
    unsigned param_count;
    uint64_t digest;   /* of the graph that it describes; 0: not known yet */
    const char *needs; /* what an empty file lacks, for people; NULL: a
                        * topology. Borrowed */
};

/* NULL: out of memory. One reference, the caller's: ref_drop(). */
struct bundle *bundle_new(void);

/* Adds `name=text` of --set. ERR_USAGE: there is no "=" or no name. */
err bundle_set(struct bundle *b, const char *assignment);

/* Reads a file of at most 1 MB of Lua text. An error is a sentence in
 * why[0..why_bytes): ERR_NOTFOUND, ERR_IO, ERR_CONFIG (empty, bytecode, too
 * large), ERR_NOMEM. After one the path is among those that are unread. */
err bundle_read(struct bundle *b, const char *name, const char *path, char *why,
                size_t why_bytes);
/* The same for text that is at hand; `path` is shown in messages. */
err bundle_add(struct bundle *b, const char *name, const char *path,
               const char *text, size_t bytes, char *why, size_t why_bytes);
/* NULL: it has no file of that name. */
const struct bundle_file *bundle_find(const struct bundle *b, const char *name);
/* The path of module `name` ("a.b") beside the definition file: "dir/a/b.lua".
 * ERR_LIMIT: longer than `room`. ERR_CONFIG: no module's name. */
err bundle_module_path(const struct bundle *b, const char *name, char *path,
                       size_t room);

#endif

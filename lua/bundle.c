#include "lua/bundle.h"
#include "core/alloc.h"
#include "core/disk.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    TEXT_MAX = 1 << 20,
    ROOM_FIRST = 16 << 10, /* of a file that is read; it doubles */
};

static void bundle_free(struct env *env, struct ref *ref)
{
    struct bundle *b = (struct bundle *)(void *)ref;
    for (unsigned i = 0; i < b->count; i++) {
        mem_free(b->files[i].name);
        mem_free(b->files[i].path);
        mem_free(b->files[i].text);
    }
    for (unsigned i = 0; i < b->param_count; i++) {
        mem_free(b->params[i].name);
        mem_free(b->params[i].text);
    }
    for (unsigned i = 0; i < b->unread_count; i++)
        mem_free(b->unread[i]);
    mem_free(b->files);
    mem_free(b->unread);
    mem_free(b->params);
    mem_free(b);
}

struct bundle *bundle_new(void)
{
    struct bundle *b = mem_zero(1, sizeof *b);
    if (b) ref_init(&b->ref, bundle_free);
    return b;
}

err bundle_set(struct bundle *b, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment) return ERR_USAGE;
    struct bundle_param *more =
        mem_resize(b->params, (b->param_count + 1) * sizeof *more);
    if (more == NULL) return ERR_NOMEM;
    b->params = more;
    struct bundle_param *p = &more[b->param_count];
    *p = (struct bundle_param){
        .name = mem_text(assignment, (size_t)(equals - assignment)),
        .text = mem_text(equals + 1, strlen(equals + 1))};
    b->param_count++;
    return p->name && p->text ? OK : ERR_NOMEM;
}

/* Makes room for more of the file than `used` bytes. */
static err widen(char **text, size_t *room, size_t used)
{
    if (used < *room) return OK;
    size_t more = *room ? 2 * *room : ROOM_FIRST;
    char *wider = mem_resize(*text, more);
    if (wider == NULL) return ERR_NOMEM;
    *text = wider;
    *room = more;
    return OK;
}

/* The file, up to one byte more than it may have, into a heap block, which is
 * the caller's in any case. */
static err read_all(const char *path, char **text, size_t *bytes, int *error)
{
    const struct disk *disk = &disk_real;
    int file = disk->open(disk->context, path, DISK_READ);
    if (file < 0) {
        *error = -file;
        return *error == ENOENT ? ERR_NOTFOUND : ERR_IO;
    }
    size_t room = 0;
    int64_t got = 1;
    err e = OK;
    while (got > 0 && *bytes <= TEXT_MAX) {
        e = widen(text, &room, *bytes);
        if (e != OK) break;
        got = disk->read(disk->context, file, *text + *bytes, room - *bytes,
                         (int64_t)*bytes);
        if (got > 0) *bytes += (size_t)got;
    }
    disk->close(disk->context, file);
    if (got >= 0) return e;
    *error = (int)-got;
    return ERR_IO;
}

static const char *unfit(const struct bundle *b, const char *text, size_t bytes)
{
    if (bytes > TEXT_MAX) return "is larger than 1 MB; move code to modules";
    if (bytes > 0 && text[0] == '\033')
        return "is compiled Lua; give the source file";
    size_t blank = 0; /* the text at hand need not end with a 0 */
    while (blank < bytes && isspace((unsigned char)text[blank]))
        blank++;
    if (blank < bytes) return NULL;
    if (b->needs) return b->needs;
    return "is empty; a definition ends with return topology \"name\" {…}";
}

err bundle_add(struct bundle *b, const char *name, const char *path,
               const char *text, size_t bytes, char *why, size_t why_bytes)
{
    const char *fault = unfit(b, text, bytes);
    if (fault) {
        snprintf(why, why_bytes, "%s: the file %s", path, fault);
        return ERR_CONFIG;
    }
    struct bundle_file *more =
        mem_resize(b->files, (b->count + 1) * sizeof *more);
    if (more) b->files = more;
    struct bundle_file file = {.name = mem_text(name, strlen(name)),
                               .path = mem_text(path, strlen(path)),
                               .text = mem_text(text, bytes),
                               .bytes = bytes};
    if (more == NULL || !file.name || !file.path || !file.text) {
        mem_free(file.name);
        mem_free(file.path);
        mem_free(file.text);
        snprintf(why, why_bytes, "%s: out of memory", path);
        return ERR_NOMEM;
    }
    b->files[b->count++] = file;
    return OK;
}

/* Without memory for it, it isn't watched: the error is told all the same. */
static void note_unread(struct bundle *b, const char *path)
{
    char **more = mem_resize(b->unread, (b->unread_count + 1) * sizeof *more);
    if (more == NULL) return;
    b->unread = more;
    char *copy = mem_text(path, strlen(path));
    if (copy) b->unread[b->unread_count++] = copy;
}

err bundle_read(struct bundle *b, const char *name, const char *path, char *why,
                size_t why_bytes)
{
    char *text = NULL;
    size_t bytes = 0;
    int error = 0;
    err e = read_all(path, &text, &bytes, &error);
    if (e == ERR_NOMEM) snprintf(why, why_bytes, "%s: out of memory", path);
    if (e == ERR_NOTFOUND || e == ERR_IO)
        snprintf(why, why_bytes, "%s: %s; %s", path, strerror(error),
                 error == EACCES ? "make it readable" : "check the path");
    if (e == OK) e = bundle_add(b, name, path, text, bytes, why, why_bytes);
    mem_free(text);
    if (e != OK) note_unread(b, path);
    return e;
}

const struct bundle_file *bundle_find(const struct bundle *b, const char *name)
{
    for (unsigned i = 0; i < b->count; i++)
        if (strcmp(b->files[i].name, name) == 0) return &b->files[i];
    return NULL;
}

err bundle_module_path(const struct bundle *b, const char *name, char *path,
                       size_t room)
{
    for (const char *at = name; *at; at++) {
        bool first = at == name || at[-1] == '.';
        bool fine = isalnum((unsigned char)*at) || *at == '_' ||
                    (!first && (*at == '-' || (*at == '.' && at[1])));
        if (!fine) return ERR_CONFIG;
    }
    if (*name == '\0') return ERR_CONFIG;
    const char *main_path = b->files[0].path;
    const char *slash = strrchr(main_path, '/');
    int dir = slash ? (int)(slash - main_path) + 1 : 0;
    int length = snprintf(path, room, "%.*s%s.lua", dir, main_path, name);
    if (length < 0 || (size_t)length >= room) return ERR_LIMIT;
    for (char *at = path + dir; at < path + length - 4; at++)
        if (*at == '.') *at = '/';
    return OK;
}

#include "actors/connectors/inflate.h"
#include "core/alloc.h"
#include "core/disk.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum {
    IN_BYTES = 64 << 10,
    GZIP_WINDOW = 15 + 16, /* zlib's way to ask for gzip and nothing else */
};

/* What of a library is used; the types are its header's. */
struct gzip {
    __typeof__(&inflateInit2_) init;
    __typeof__(&inflate) step;
    __typeof__(&inflateReset) reset;
    __typeof__(&inflateEnd) end;
    z_stream stream;
};

struct zstd {
    __typeof__(&ZSTD_createDStream) create;
    __typeof__(&ZSTD_decompressStream) step;
    __typeof__(&ZSTD_isError) is_error;
    __typeof__(&ZSTD_getErrorName) error_name;
    __typeof__(&ZSTD_freeDStream) end;
    ZSTD_DStream *stream; /* owned */
};

/* What one step has done. */
struct step {
    size_t taken, given;
    bool whole; /* a member is over */
};

struct inflate {
    enum inflate_kind kind;
    const struct disk *disk;
    int file;
    void *library; /* owned */
    union {
        struct gzip gzip;
        struct zstd zstd;
    } as;
    bool made;          /* the library's stream is */
    bool inside;        /* a member that has begun and isn't over */
    bool pressing;      /* the last step filled its room: more may be within */
    bool over;          /* all was read, or it is damaged */
    const char *damage; /* half a sentence, static; NULL: none */
    const char *detail; /* the library's word for it; may be NULL */
    int64_t offset;     /* of data[at] in the file */
    size_t at, used;
    uint8_t data[IN_BYTES];
};

enum inflate_kind inflate_recognise(const uint8_t *bytes, size_t count)
{
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    if (count >= 3 && bytes[0] == 0x1f && bytes[1] == 0x8b && bytes[2] == 8)
        return INFLATE_GZIP;
    if (count >= sizeof zstd && memcmp(bytes, zstd, sizeof zstd) == 0)
        return INFLATE_ZSTD;
    return INFLATE_NONE;
}

/* ---- the libraries ---- */

static const char *const names[] = {
    [INFLATE_GZIP] = "gzip", [INFLATE_ZSTD] = "zstd"};
static const char *const libraries[] = {
    [INFLATE_GZIP] = "libz.so.1", [INFLATE_ZSTD] = "libzstd.so.1"};
static const char *const packages[] = {
    [INFLATE_GZIP] = "zlib1g", [INFLATE_ZSTD] = "libzstd1"};

/* A function's address through C's one legal door. */
static bool find(const struct inflate *in, const char *name, void *function)
{
    void *symbol = dlsym(in->library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool find_all(struct inflate *in)
{
    struct gzip *z = &in->as.gzip;
    struct zstd *s = &in->as.zstd;
    if (in->kind == INFLATE_GZIP)
        return find(in, "inflateInit2_", &z->init) &&
               find(in, "inflate", &z->step) &&
               find(in, "inflateReset", &z->reset) &&
               find(in, "inflateEnd", &z->end);
    return find(in, "ZSTD_createDStream", &s->create) &&
           find(in, "ZSTD_decompressStream", &s->step) &&
           find(in, "ZSTD_isError", &s->is_error) &&
           find(in, "ZSTD_getErrorName", &s->error_name) &&
           find(in, "ZSTD_freeDStream", &s->end);
}

static bool make_stream(struct inflate *in)
{
    struct gzip *z = &in->as.gzip;
    if (in->kind == INFLATE_GZIP)
        return z->init(&z->stream, GZIP_WINDOW, ZLIB_VERSION,
                       (int)sizeof z->stream) == Z_OK;
    in->as.zstd.stream = in->as.zstd.create();
    return in->as.zstd.stream != NULL;
}

struct inflate *inflate_new(enum inflate_kind kind, const struct disk *disk,
                            int file, char *why, size_t why_bytes)
{
    why[0] = '\0';
    struct inflate *in = mem_zero(1, sizeof *in);
    if (in == NULL) return NULL;
    in->kind = kind;
    in->disk = disk;
    in->file = file;
    in->library = dlopen(libraries[kind], RTLD_NOW | RTLD_LOCAL);
    if (in->library == NULL || !find_all(in))
        snprintf(why, why_bytes,
                 "it is compressed by %s, and %s can't be loaded; install "
                 "Debian's package %s",
                 names[kind], libraries[kind], packages[kind]);
    else
        in->made = make_stream(in);
    if (in->made) return in;
    inflate_free(in);
    return NULL;
}

void inflate_free(struct inflate *in)
{
    if (in == NULL) return;
    if (in->made && in->kind == INFLATE_GZIP)
        in->as.gzip.end(&in->as.gzip.stream);
    if (in->made && in->kind == INFLATE_ZSTD)
        in->as.zstd.end(in->as.zstd.stream);
    if (in->library) dlclose(in->library);
    mem_free(in);
}

/* ---- steps ---- */

static void spoil(struct inflate *in, const char *damage, const char *detail)
{
    in->damage = damage;
    in->detail = detail;
    in->over = true;
}

static struct step gzip_step(struct inflate *in, uint8_t *to, size_t room)
{
    struct gzip *z = &in->as.gzip;
    uInt left = (uInt)(in->used - in->at);
    z->stream.next_in = in->data + in->at;
    z->stream.avail_in = left;
    z->stream.next_out = to;
    z->stream.avail_out = (uInt)room;
    int code = z->step(&z->stream, Z_NO_FLUSH);
    struct step step = {.taken = left - z->stream.avail_in,
                        .given = room - z->stream.avail_out,
                        .whole = code == Z_STREAM_END};
    /* Z_BUF_ERROR: it only wants more. */
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        spoil(in, "are damaged", z->stream.msg);
    return step;
}

static struct step zstd_step(struct inflate *in, uint8_t *to, size_t room)
{
    struct zstd *s = &in->as.zstd;
    ZSTD_inBuffer from = {in->data, in->used, in->at};
    ZSTD_outBuffer out = {to, room, 0};
    size_t code = s->step(s->stream, &out, &from);
    struct step step = {
        .taken = from.pos - in->at, .given = out.pos, .whole = code == 0};
    if (s->is_error(code)) spoil(in, "are damaged", s->error_name(code));
    return step;
}

/* Behind a member of gzip stands another, zeroes up to a tape's block, or what
 * doesn't belong there. zstd looks for itself. */
static void begin_member(struct inflate *in)
{
    while (in->kind == INFLATE_GZIP && in->at < in->used &&
           in->data[in->at] == 0 && in->offset > 0) {
        in->at++;
        in->offset++;
    }
    if (in->at == in->used) return;
    if (in->kind == INFLATE_GZIP && in->data[in->at] != 0x1f)
        spoil(in, "are followed by something else", NULL);
    else if (in->kind == INFLATE_GZIP && in->offset > 0)
        in->as.gzip.reset(&in->as.gzip.stream);
    in->inside = !in->over;
}

/* 1: there are bytes; 0: no more; else -errno. */
static int64_t refill(struct inflate *in)
{
    int64_t got = in->disk->read(in->disk->context, in->file, in->data,
                                 sizeof in->data, in->offset);
    if (got < 0) return got;
    in->at = 0;
    in->used = (size_t)got;
    return got > 0;
}

static size_t go_on(struct inflate *in, uint8_t *to, size_t room)
{
    struct step step = in->kind == INFLATE_GZIP ? gzip_step(in, to, room)
                                                : zstd_step(in, to, room);
    in->at += step.taken;
    in->offset += (int64_t)step.taken;
    in->pressing = step.given == room;
    if (step.whole) in->inside = in->pressing = false;
    return step.given;
}

int64_t inflate_read(struct inflate *in, void *to, size_t bytes)
{
    while (!in->over) {
        if (in->at == in->used && !in->pressing) {
            int64_t more = refill(in);
            if (more < 0) return more;
            if (more == 0 && in->inside) spoil(in, "are cut short", NULL);
            in->over |= more == 0;
        }
        if (!in->inside && !in->over) begin_member(in);
        if (!in->inside || in->over) continue;
        size_t given = go_on(in, to, bytes);
        if (given > 0) return (int64_t)given;
    }
    return 0;
}

bool inflate_damaged(const struct inflate *in, char *out, size_t bytes)
{
    if (in->damage == NULL) return false;
    snprintf(out, bytes, "the %s data %s at byte %lld%s%s%s", names[in->kind],
             in->damage, (long long)in->offset, in->detail ? " (" : "",
             in->detail ? in->detail : "", in->detail ? ")" : "");
    return true;
}

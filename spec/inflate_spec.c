/* inflate_spec.c - compressed files as what they hold: whole, in members, cut
 * short, damaged, and from a disk that gives little at a time. */
#include "actors/connectors/inflate.h"
#include "core/alloc.h"
#include "core/disk.h"
#include "core/random.h"
#include "core/sim_disk.h"
#include "spec/fault.h"
#include "spec/pack.h"
#include "spec/spec.h"
#include <errno.h>
#include <stdio.h>

enum { TEXT_BYTES = 150000, RARE_PIECE = 70000 };

static void pack(enum inflate_kind kind, struct buffer *out, const void *bytes,
                 size_t count)
{
    if (kind == INFLATE_GZIP)
        pack_gzip(out, bytes, count);
    else
        pack_zstd(out, bytes, count);
}

static void fill(struct rng *rng, uint8_t *text)
{
    for (size_t i = 0; i < TEXT_BYTES; i++)
        text[i] = (uint8_t)rng_below(rng, 256);
}

/* A file on a disk of its own, and its reader. */
struct unpacking {
    struct sim_disk *disk;
    const struct disk *calls;
    int file;
    struct inflate *in;
    struct buffer out;
};

static void begin(struct unpacking *u, const struct buffer *packed)
{
    char why[200];
    *u = (struct unpacking){.disk = sim_disk_new(spec_seed)};
    CHECK_EQ(sim_disk_put(u->disk, "packed", packed->data, packed->used), OK);
    u->calls = sim_disk_calls(u->disk);
    u->file = u->calls->open(u->calls->context, "packed", DISK_READ);
    CHECK(u->file >= 0);
    enum inflate_kind kind = inflate_recognise(packed->data, packed->used);
    CHECK(kind != INFLATE_NONE);
    u->in = inflate_new(kind, u->calls, u->file, why, sizeof why);
    CHECK(u->in != NULL);
}

/* All that comes, in pieces of up to `most` bytes. Errors of the disk pass. */
static void unpack(struct unpacking *u, size_t most)
{
    uint8_t *piece = mem_alloc(most);
    int64_t got;
    while ((got = inflate_read(u->in, piece, most)) != 0) {
        if (got == -EIO) continue;
        CHECK(got > 0 && got <= (int64_t)most);
        CHECK_EQ(buffer_append(&u->out, piece, (size_t)got), OK);
    }
    mem_free(piece);
}

static void end(struct unpacking *u)
{
    inflate_free(u->in);
    buffer_fini(&u->out);
    sim_disk_free(u->disk);
}

SPEC(inflate, recognises_what_is_packed_by_its_first_bytes)
{
    static const uint8_t gzip[] = {0x1f, 0x8b, 8, 0};
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    CHECK_EQ(inflate_recognise(gzip, 4), INFLATE_GZIP);
    CHECK_EQ(inflate_recognise(gzip, 2), INFLATE_NONE);
    CHECK_EQ(inflate_recognise(zstd, 4), INFLATE_ZSTD);
    CHECK_EQ(inflate_recognise(zstd, 3), INFLATE_NONE);
    CHECK_EQ(inflate_recognise((const uint8_t *)"text", 4), INFLATE_NONE);
    CHECK_EQ(inflate_recognise(NULL, 0), INFLATE_NONE);
}

static void check_members(enum inflate_kind kind)
{
    FOR_SEEDS(30)
    {
        struct rng rng = {spec_seed};
        uint8_t *text = mem_alloc(TEXT_BYTES);
        struct buffer packed = {0};
        size_t at = 0;
        fill(&rng, text);
        pack(kind, &packed, text, 0); /* an empty member is one, too */
        while (at < TEXT_BYTES) {
            size_t some = rng_below(&rng, RARE_PIECE);
            if (some > TEXT_BYTES - at) some = TEXT_BYTES - at;
            pack(kind, &packed, text + at, some);
            at += some;
        }
        struct unpacking u;
        begin(&u, &packed);
        sim_disk_set_faults(u.disk, &(struct sim_faults){.reads_short = 300,
                                                         .read_fails = 100});
        unpack(&u, 1 + rng_below(&rng, 100000));
        CHECK_EQ(u.out.used, TEXT_BYTES);
        CHECK(memcmp(u.out.data, text, TEXT_BYTES) == 0);
        char why[200];
        CHECK(!inflate_damaged(u.in, why, sizeof why));
        end(&u);
        buffer_fini(&packed);
        mem_free(text);
    }
}

SPEC(inflate, reads_members_of_gzip_one_behind_another)
{
    check_members(INFLATE_GZIP);
}

SPEC(inflate, reads_frames_of_zstd_one_behind_another)
{
    check_members(INFLATE_ZSTD);
}

/* Wherever it is cut: what came is the beginning of the text, and it is said
 * unless a member has just ended. */
static void check_cut(enum inflate_kind kind, const char *said)
{
    static const char text[] = "the cow jumped\nover the moon\n";
    struct buffer whole = {0};
    char why[200];
    pack(kind, &whole, text, 15);
    size_t border = whole.used;
    pack(kind, &whole, text + 15, sizeof text - 16);
    for (size_t cut = INFLATE_MAGIC_BYTES; cut < whole.used; cut++) {
        struct buffer packed = {.data = whole.data, .used = cut};
        struct unpacking u;
        begin(&u, &packed);
        unpack(&u, 7);
        CHECK(u.out.used <= sizeof text - 1);
        CHECK(u.out.used == 0 || memcmp(u.out.data, text, u.out.used) == 0);
        CHECK_EQ(inflate_damaged(u.in, why, sizeof why), cut != border);
        if (cut != border) {
            char wanted[100];
            snprintf(wanted, sizeof wanted, "%s at byte %zu", said, cut);
            CHECK_TEXT(why, wanted);
        }
        CHECK_EQ(inflate_read(u.in, why, sizeof why), 0); /* it stays so */
        end(&u);
    }
    buffer_fini(&whole);
}

SPEC(inflate, gives_what_stands_before_a_cut_and_says_where_it_is)
{
    check_cut(INFLATE_GZIP, "the gzip data are cut short");
    check_cut(INFLATE_ZSTD, "the zstd data are cut short");
}

static void check_damage(enum inflate_kind kind, size_t place, const char *said)
{
    static const char text[] = "the cow jumped\nover the moon\n";
    struct buffer packed = {0};
    char why[200] = "";
    pack(kind, &packed, text, sizeof text - 1);
    pack(kind, &packed, text, sizeof text - 1);
    packed.data[place] ^= 0xff;
    struct unpacking u;
    begin(&u, &packed);
    unpack(&u, 4096);
    CHECK(inflate_damaged(u.in, why, sizeof why));
    CHECK_HAS(why, said);
    end(&u);
    buffer_fini(&packed);
}

SPEC(inflate, says_how_data_are_damaged)
{
    /* gzip: the block's length, the sum, the second member's magic. */
    check_damage(INFLATE_GZIP, 11, "the gzip data are damaged at byte 1");
    check_damage(INFLATE_GZIP, 44, "(incorrect data check)");
    check_damage(INFLATE_GZIP, 52, "are followed by something else at byte 52");
    check_damage(INFLATE_ZSTD, 6, "the zstd data are damaged at byte ");
    check_damage(INFLATE_ZSTD, 38, "the zstd data are damaged at byte ");
}

SPEC(inflate, takes_no_offence_at_zeroes_behind_the_last_member)
{
    struct buffer packed = {0};
    static const uint8_t zeroes[600];
    char why[200];
    pack_gzip(&packed, "a\n", 2);
    CHECK_EQ(buffer_append(&packed, zeroes, sizeof zeroes), OK);
    struct unpacking u;
    begin(&u, &packed);
    unpack(&u, 10);
    CHECK_EQ(u.out.used, 2);
    CHECK(!inflate_damaged(u.in, why, sizeof why));
    end(&u);
    buffer_fini(&packed);
}

SPEC(inflate, without_memory_is_none)
{
    char why[200] = "x";
    fault_arm(FAULT_HEAP, 1, 1);
    CHECK(inflate_new(INFLATE_GZIP, NULL, 3, why, sizeof why) == NULL);
    fault_disarm();
    CHECK_TEXT(why, "");
}

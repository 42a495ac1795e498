/* A definition's files as they are read from disk, and its parameters. */
#define _GNU_SOURCE /* mkdtemp */
#include "core/alloc.h"
#include "lua/bundle.h"
#include "spec/fault.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEGABYTE = 1 << 20 };

static void write_file(const char *path, const char *text, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(text, 1, bytes, file), bytes);
    CHECK_EQ(fclose(file), 0);
}

/* Reads a file of these bytes; `path` is where it was. */
static err read_bytes(struct bundle *b, const char *text, size_t bytes,
                      char *path, char *why, size_t why_bytes)
{
    strcpy(path, "/tmp/bundle_spec.XXXXXX");
    int file = mkstemp(path);
    CHECK(file >= 0);
    close(file);
    write_file(path, text, bytes);
    err e = bundle_read(b, "m", path, why, why_bytes);
    unlink(path);
    return e;
}

SPEC(bundle, holds_what_its_files_were_when_they_were_read)
{
    struct bundle *b = bundle_new();
    char path[64], why[256] = "";
    static const char text[] = "return 1 -- \0 and on";
    CHECK_EQ(read_bytes(b, text, sizeof text - 1, path, why, sizeof why), OK);
    const struct bundle_file *f = bundle_find(b, "m");
    CHECK(f != NULL);
    CHECK_EQ(f->bytes, sizeof text - 1);
    CHECK(memcmp(f->text, text, sizeof text) == 0); /* with a 0 behind it */
    CHECK_TEXT(f->path, path);
    CHECK(bundle_find(b, "") == NULL);
    ref_drop(NULL, &b->ref);
}

SPEC(bundle, finds_each_of_many_files_by_its_name)
{
    struct bundle *b = bundle_new();
    char name[16], why[64];
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "m%d", i);
        CHECK_EQ(
            bundle_add(b, name, "p.lua", name, strlen(name), why, sizeof why),
            OK);
    }
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "m%d", i);
        CHECK_TEXT(bundle_find(b, name)->text, name);
    }
    ref_drop(NULL, &b->ref);
}

SPEC(bundle, says_why_a_file_can_not_be_read)
{
    struct bundle *b = bundle_new();
    char why[256] = "", path[] = "/tmp/bundle_spec.XXXXXX";
    CHECK_EQ(bundle_read(b, "", "/no/such.lua", why, sizeof why), ERR_NOTFOUND);
    CHECK_TEXT(why, "/no/such.lua: No such file or directory; check the path");
    CHECK(mkdtemp(path) != NULL);
    CHECK_EQ(bundle_read(b, "", path, why, sizeof why), ERR_IO);
    CHECK_HAS(why, "Is a directory; check the path");
    rmdir(path);
    CHECK_EQ(b->count, 0);
    ref_drop(NULL, &b->ref);
}

SPEC(bundle, refuses_files_that_are_no_lua_text)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "the file is empty; a definition ends with return topology"},
        {" \t\r\n\f\v", "the file is empty"},
        {"\033Lua and so on", "the file is compiled Lua; give the source"},
    };
    struct bundle *b = bundle_new();
    char path[64], why[256];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(read_bytes(b, cases[i].text, strlen(cases[i].text), path, why,
                            sizeof why),
                 ERR_CONFIG);
        CHECK_HAS(why, cases[i].why);
        CHECK_HAS(why, path);
    }
    CHECK_EQ(b->count, 0);
    ref_drop(NULL, &b->ref);
}

SPEC(bundle, takes_a_megabyte_of_text_and_not_a_byte_more)
{
    struct bundle *b = bundle_new();
    char path[64], why[256] = "";
    char *text = mem_alloc(MEGABYTE + 1);
    CHECK(text != NULL);
    memset(text, '-', MEGABYTE + 1);
    CHECK_EQ(read_bytes(b, text, MEGABYTE, path, why, sizeof why), OK);
    CHECK_EQ(bundle_find(b, "m")->bytes, MEGABYTE);
    CHECK_EQ(read_bytes(b, text, MEGABYTE + 1, path, why, sizeof why),
             ERR_CONFIG);
    CHECK_HAS(why, "larger than 1 MB; move code to modules");
    CHECK_EQ(b->count, 1);
    mem_free(text);
    ref_drop(NULL, &b->ref);
}

/* The text at hand need not end with a 0: nothing looks behind it. */
SPEC(bundle, looks_at_no_byte_behind_the_text_it_is_given)
{
    struct bundle *b = bundle_new();
    char why[256] = "";
    char *blank = mem_alloc(3), *text = mem_alloc(3);
    CHECK(blank && text);
    memcpy(blank, " \n ", 3);
    memcpy(text, "a=1", 3);
    CHECK_EQ(bundle_add(b, "", "p", blank, 3, why, sizeof why), ERR_CONFIG);
    CHECK_EQ(bundle_add(b, "", "p", text, 3, why, sizeof why), OK);
    CHECK_TEXT(bundle_find(b, "")->text, "a=1");
    mem_free(blank);
    mem_free(text);
    ref_drop(NULL, &b->ref);
}

SPEC(bundle, splits_an_assignment_at_the_first_equals_sign)
{
    struct bundle *b = bundle_new();
    CHECK_EQ(bundle_set(b, "input=a=b"), OK);
    CHECK_EQ(bundle_set(b, "empty="), OK);
    CHECK_EQ(bundle_set(b, "name"), ERR_USAGE);
    CHECK_EQ(bundle_set(b, "=text"), ERR_USAGE);
    CHECK_EQ(bundle_set(b, ""), ERR_USAGE);
    CHECK_EQ(b->param_count, 2);
    CHECK_TEXT(b->params[0].name, "input");
    CHECK_TEXT(b->params[0].text, "a=b");
    CHECK_TEXT(b->params[1].name, "empty");
    CHECK_TEXT(b->params[1].text, "");
    ref_drop(NULL, &b->ref);
}

static struct bundle *bundle_at(const char *path)
{
    struct bundle *b = bundle_new();
    char why[64];
    CHECK_EQ(bundle_add(b, "", path, "x", 1, why, sizeof why), OK);
    return b;
}

SPEC(bundle, looks_for_modules_beside_the_definition)
{
    char path[64];
    struct bundle *b = bundle_at("topologies/v1.2/count.lua");
    CHECK_EQ(bundle_module_path(b, "words", path, sizeof path), OK);
    CHECK_TEXT(path, "topologies/v1.2/words.lua");
    CHECK_EQ(bundle_module_path(b, "text.en-gb.words_2", path, sizeof path),
             OK);
    CHECK_TEXT(path, "topologies/v1.2/text/en-gb/words_2.lua");
    ref_drop(NULL, &b->ref);
    b = bundle_at("count.lua");
    CHECK_EQ(bundle_module_path(b, "a.b", path, sizeof path), OK);
    CHECK_TEXT(path, "a/b.lua");
    ref_drop(NULL, &b->ref);
}

SPEC(bundle, lets_no_module_lead_out_of_its_folder)
{
    static const char *const names[] = {
        "",     ".",   "..",          "a.",   ".a", "a..b",
        "../a", "a/b", "/etc/passwd", "a\\b", "-a", "a.-b",
        "a b",  "a\n", "\xc3\xa4",    "a.b.",
    };
    struct bundle *b = bundle_at("dir/count.lua");
    char path[64];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (bundle_module_path(b, names[i], path, sizeof path) != ERR_CONFIG)
            spec_fail(__FILE__, __LINE__, "'%s' gives %s", names[i], path);
    ref_drop(NULL, &b->ref);
}

SPEC(bundle, says_when_a_modules_path_is_too_long)
{
    struct bundle *b = bundle_at("dir/count.lua");
    char path[13];
    CHECK_EQ(bundle_module_path(b, "word", path, sizeof path), OK);
    CHECK_TEXT(path, "dir/word.lua");
    CHECK_EQ(bundle_module_path(b, "words", path, sizeof path), ERR_LIMIT);
    ref_drop(NULL, &b->ref);
}

SPEC(bundle, lives_as_long_as_someone_holds_it)
{
    struct bundle *b = bundle_at("a.lua");
    ref_take(&b->ref);
    ref_drop(NULL, &b->ref);
    CHECK_TEXT(bundle_find(b, "")->path, "a.lua");
    ref_drop(NULL, &b->ref); /* a leak would be told */
}

/* Every allocation fails once. */
SPEC(bundle, takes_nothing_when_memory_runs_out)
{
    static const char *const steps[] = {"file", "parameter"};
    for (int step = 0; step < 2; step++) {
        err e = ERR_NOMEM;
        for (uint64_t n = 1; e != OK; n++) {
            struct bundle *b = bundle_at("a.lua");
            char why[64] = "";
            fault_arm(FAULT_HEAP, n, 1);
            e = step == 0 ? bundle_add(b, "m", "m.lua", "x", 1, why, sizeof why)
                          : bundle_set(b, "name=text");
            fault_disarm();
            if (e != OK) CHECK_EQ(e, ERR_NOMEM);
            if (e != OK && step == 0) CHECK_EQ(b->count, 1);
            if (e != OK && step == 0) CHECK_TEXT(why, "m.lua: out of memory");
            if (n == 1 && e == OK)
                spec_fail(__FILE__, __LINE__, "no memory for a %s is asked",
                          steps[step]);
            ref_drop(NULL, &b->ref);
        }
    }
}

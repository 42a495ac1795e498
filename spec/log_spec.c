/* log_spec.c - what a person and a machine read, and that nothing is lost
 * uncounted. */
#include "core/alloc.h"
#include "core/log.h"
#include "core/random.h"
#include "spec/log_world.h"
#include "spec/spec.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- a strict reader of our JSON ---- */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, c);
    return c != '\0' && at ? (int)(at - digits) : -1;
}

static size_t utf8_encode(char *out, uint32_t rune)
{
    if (rune < 0x80) {
        out[0] = (char)rune;
        return 1;
    }
    size_t n = rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; rune >>= 6)
        out[i] = (char)(0x80 | (rune & 0x3f));
    out[0] = (char)(marks[n] | rune);
    return n;
}

static const char *escape_read(const char *at, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *simple = strchr(from, *at);
    CHECK(*at != '\0');
    if (simple != NULL) {
        *(*out)++ = to[simple - from];
        return at + 1;
    }
    CHECK(*at == 'u');
    uint32_t rune = 0;
    for (int i = 1; i <= 4; i++) {
        CHECK(hex_digit(at[i]) >= 0);
        rune = rune * 16 + (uint32_t)hex_digit(at[i]);
    }
    *out += utf8_encode(*out, rune);
    return at + 5;
}

/* Decodes the string at `at` into out; returns what is behind it. */
static const char *string_read(const char *at, char *out)
{
    CHECK(*at++ == '"');
    while (*at != '"') {
        CHECK((unsigned char)*at >= 0x20); /* neither a control nor the end */
        if (*at == '\\') {
            at = escape_read(at + 1, &out);
        } else {
            *out++ = *at++;
        }
    }
    *out = '\0';
    return at + 1;
}

struct fields {
    char time[64], level[16], component[1024];
    char message[LOG_LINE_BYTES], detail[LOG_LINE_BYTES];
    long task;
    unsigned long long repeated;
};

static char *field_text(struct fields *f, const char *name)
{
    if (strcmp(name, "time") == 0) return f->time;
    if (strcmp(name, "level") == 0) return f->level;
    if (strcmp(name, "component") == 0) return f->component;
    if (strcmp(name, "message") == 0) return f->message;
    if (strcmp(name, "detail") == 0) return f->detail;
    return NULL;
}

static const char *field_read(const char *at, struct fields *f)
{
    char name[LOG_LINE_BYTES], *end;
    at = string_read(at, name);
    CHECK(*at++ == ':');
    if (field_text(f, name)) return string_read(at, field_text(f, name));
    CHECK(*at >= '0' && *at <= '9');
    if (strcmp(name, "task") == 0) {
        f->task = strtol(at, &end, 10);
    } else {
        CHECK_TEXT(name, "repeated");
        f->repeated = strtoull(at, &end, 10);
    }
    return end;
}

/* Reads one line strictly; returns the line behind it. */
static const char *json_read(const char *at, struct fields *f)
{
    *f = (struct fields){.task = -1};
    CHECK(*at == '{');
    do {
        at = field_read(at + 1, f);
    } while (*at == ',');
    CHECK(at[0] == '}');
    CHECK(at[1] == '\n');
    return at + 2;
}

static void check_utf8(const char *text)
{
    size_t n = strlen(text);
    for (size_t at = 0; at < n;) {
        bool valid;
        at += log_utf8_step(text + at, n - at, &valid);
        CHECK(valid);
    }
}

/* ---- lines ---- */

SPEC(log, a_line_for_a_person)
{
    struct world *w = world_new(LOG_TEXT);
    log_write(w->log, "split", 1, LOG_WARN, "no word in line %d", 7);
    CHECK_TEXT(world_read(w),
               "12:04:31.204 warn  split[1]  no word in line 7\n");
    log_write(w->log, "count", -1, LOG_ERROR, "gone\n");
    CHECK_TEXT(world_read(w), "12:04:31.204 error count  gone\n");
    log_write(w->log, NULL, -1, LOG_INFO, "ready");
    CHECK_TEXT(world_read(w), "12:04:31.204 info  ready\n");
    world_free(w);
}

SPEC(log, a_detail_is_indented_below_its_line)
{
    struct world *w = world_new(LOG_TEXT);
    log_write_detail(w->log, "split", 0, LOG_ERROR, "at a.lua:1\nat b.lua:2\n",
                     "it %s", "failed");
    CHECK_TEXT(world_read(w), "12:04:31.204 error split[0]  it failed\n"
                              "    at a.lua:1\n    at b.lua:2\n");
    log_write(w->log, "split", 0, LOG_ERROR, "first\n12:00:00.000 forged");
    CHECK_TEXT(world_read(w), "12:04:31.204 error split[0]  first\n"
                              "    12:00:00.000 forged\n");
    world_free(w);
}

SPEC(log, a_line_for_a_machine)
{
    struct world *w = world_new(LOG_JSON);
    w->now_ms = 1714565071204;
    log_write(w->log, "split", 1, LOG_WARN, "%d%% \"done\"", 7);
    CHECK_TEXT(world_read(w),
               "{\"time\":\"2024-05-01T12:04:31.204Z\",\"level\":\"warn\","
               "\"component\":\"split\",\"task\":1,"
               "\"message\":\"7% \\\"done\\\"\"}\n");
    log_write_detail(w->log, NULL, -1, LOG_INFO, "a\n\tb", "x");
    CHECK_TEXT(world_read(w),
               "{\"time\":\"2024-05-01T12:04:31.204Z\",\"level\":\"info\","
               "\"message\":\"x\",\"detail\":\"a\\n\\tb\"}\n");
    world_free(w);
}

SPEC(log, a_line_tells_whose_log_it_is_if_it_has_a_name)
{
    struct world *w = world_new(LOG_TEXT);
    w->now_ms = 1714565071204;
    struct log_config config = world_config(w, LOG_TEXT);
    config.topology = "words";
    struct log *log = log_new(&config);
    log_write(log, "split", 1, LOG_WARN, "x");
    CHECK_TEXT(world_read(w), "12:04:31.204 warn  words/split[1]  x\n");
    log_write(log, NULL, -1, LOG_INFO, "x");
    CHECK_TEXT(world_read(w), "12:04:31.204 info  words  x\n");
    log_free(log);
    config.format = LOG_JSON;
    config.topology = "\"w\"";
    log = log_new(&config);
    log_write(log, "split", -1, LOG_WARN, "x");
    CHECK_TEXT(world_read(w),
               "{\"time\":\"2024-05-01T12:04:31.204Z\",\"level\":\"warn\","
               "\"topology\":\"\\\"w\\\"\",\"component\":\"split\","
               "\"message\":\"x\"}\n");
    log_free(log);
    world_free(w);
}
SPEC(log, colour_is_for_the_level_and_only_on_request)
{
    struct world *w = world_new(LOG_TEXT);
    struct log_config config = world_config(w, LOG_TEXT);
    config.color = true;
    struct log *log = log_new(&config);
    log_write(log, "split", 1, LOG_WARN, "x");
    CHECK_TEXT(world_read(w),
               "12:04:31.204 \x1b[33mwarn \x1b[0m split[1]  x\n");
    log_free(log);
    world_free(w);
}

SPEC(log, a_person_reads_local_time_if_the_caller_wants)
{
    struct world *w = world_new(LOG_TEXT);
    struct log_config config = world_config(w, LOG_TEXT);
    config.local_time = true;
    const char *old = getenv("TZ");
    char *kept = old ? mem_text(old, strlen(old)) : NULL;
    setenv("TZ", "XYZ-2", 1);
    tzset();
    struct log *log = log_new(&config);
    log_write(log, NULL, -1, LOG_INFO, "x");
    CHECK_TEXT(world_read(w), "14:04:31.204 info  x\n");
    if (kept) setenv("TZ", kept, 1);
    if (!kept) unsetenv("TZ");
    tzset();
    mem_free(kept);
    log_free(log);
    world_free(w);
}

SPEC(log, keeps_errno_and_a_missing_log_is_silent)
{
    struct world *w = world_new(LOG_TEXT);
    errno = EDOM;
    log_write(w->log, "a", 1, LOG_INFO, "x");
    CHECK_EQ(errno, EDOM);
    CHECK(!log_on(NULL, "a", LOG_ERROR));
    log_write(NULL, "a", 1, LOG_INFO, "x");
    world_free(w);
}

/* ---- levels ---- */

SPEC(log, a_component_may_have_a_level_of_its_own)
{
    struct world *w = world_new(LOG_TEXT);
    CHECK_EQ(log_set_level(w->log, NULL, LOG_WARN), OK);
    CHECK(!log_on(w->log, "split", LOG_INFO));
    CHECK(log_on(w->log, "split", LOG_WARN));
    CHECK_EQ(log_set_level(w->log, "split", LOG_DEBUG), OK);
    CHECK_EQ(log_set_level(w->log, "count", LOG_OFF), OK);
    CHECK(log_on(w->log, "split", LOG_DEBUG));
    CHECK(!log_on(w->log, "split", LOG_TRACE));
    CHECK(!log_on(w->log, "count", LOG_ERROR));
    CHECK(!log_on(w->log, "other", LOG_INFO));
    CHECK(!log_on(w->log, NULL, LOG_INFO));
    log_write(w->log, "other", 1, LOG_INFO, "no");
    log_write(w->log, "count", 1, LOG_ERROR, "no");
    CHECK_EQ(w->lines, 0);
    log_write(w->log, "split", 1, LOG_DEBUG, "yes");
    log_text(w->log, "count", 1, LOG_ERROR, 0, "no", 2, NULL);
    CHECK_EQ(w->lines, 1);
    log_clear_level(w->log, "split");
    log_clear_level(w->log, "never set");
    CHECK(!log_on(w->log, "split", LOG_INFO));
    log_set_level(w->log, NULL, LOG_TRACE);
    CHECK(log_on(w->log, "split", LOG_TRACE));
    world_free(w);
}

SPEC(log, levels_of_many_components_are_told_apart_up_to_a_limit)
{
    struct world *w = world_new(LOG_TEXT);
    char name[32];
    for (int i = 0; i < LOG_COMPONENTS; i++) {
        snprintf(name, sizeof name, "component-%d", i);
        CHECK_EQ(log_set_level(w->log, name, (enum log_level)(i % 6)), OK);
    }
    CHECK_EQ(log_set_level(w->log, "one more", LOG_INFO), ERR_LIMIT);
    CHECK_EQ(log_set_level(w->log, "component-6", LOG_ERROR), OK);
    for (int i = 0; i < LOG_COMPONENTS; i++) {
        int level = i == 6 ? LOG_ERROR : i % 6;
        snprintf(name, sizeof name, "component-%d", i);
        for (int l = LOG_TRACE; l < LOG_OFF; l++)
            CHECK_EQ(log_on(w->log, name, (enum log_level)l), l >= level);
    }
    world_free(w);
}

SPEC(log, levels_have_names)
{
    enum log_level level;
    for (int i = LOG_TRACE; i <= LOG_OFF; i++) {
        const char *name = log_level_name((enum log_level)i);
        CHECK_EQ(log_level_named(name, &level), OK);
        CHECK_EQ(level, i);
    }
    CHECK_TEXT(log_level_name(LOG_WARN), "warn");
    CHECK_EQ(log_level_named("warning", &level), ERR_NOTFOUND);
    CHECK_EQ(level, LOG_OFF);
}

/* ---- repeats ---- */

static void say_hello(struct world *w, int times)
{
    for (int i = 0; i < times; i++)
        log_write(w->log, "split", i, LOG_INFO, "hello %d", i);
}

SPEC(log, repeats_are_counted_and_told_when_the_window_has_ended)
{
    struct world *w = world_new(LOG_TEXT);
    say_hello(w, 417);
    CHECK_EQ(w->lines, LOG_REPEATS);
    world_clear(w);
    w->now_ms += LOG_WINDOW_MS - 1;
    say_hello(w, 1);
    CHECK_EQ(w->lines, 0);
    w->now_ms += 1;
    say_hello(w, 1);
    CHECK_TEXT(world_read(w), "12:04:41.204 info  split  hello 4 … "
                              "(413 more like this in 10 s)\n"
                              "12:04:41.204 info  split[0]  hello 0\n");
    say_hello(w, LOG_REPEATS + 1);
    CHECK_EQ(w->lines, LOG_REPEATS - 1);
    world_free(w);
}

SPEC(log, exactly_the_shown_number_of_repeats_says_nothing_more)
{
    struct world *w = world_new(LOG_TEXT);
    say_hello(w, LOG_REPEATS);
    w->now_ms += LOG_WINDOW_MS;
    log_flush_repeats(w->log);
    say_hello(w, LOG_REPEATS);
    CHECK_EQ(w->lines, 2 * LOG_REPEATS);
    world_free(w);
}

SPEC(log, a_timer_tells_ended_windows_and_only_these)
{
    struct world *w = world_new(LOG_JSON);
    struct fields f;
    say_hello(w, LOG_REPEATS + 3);
    w->now_ms += 4000;
    for (int i = 0; i < LOG_REPEATS + 2; i++)
        log_write(w->log, "count", 1, LOG_WARN, "late");
    world_clear(w);
    w->now_ms += 6000;
    log_flush_repeats(w->log);
    log_flush_repeats(w->log);
    CHECK_EQ(w->lines, 1);
    json_read(world_read(w), &f);
    CHECK_TEXT(f.component, "split");
    CHECK_EQ(f.repeated, 3);
    CHECK_EQ(f.task, -1);
    CHECK_TEXT(f.message, "hello 4 … (3 more like this in 10 s)");
    world_clear(w);
    log_free(w->log); /* the end of the log ends every window */
    json_read(world_read(w), &f);
    CHECK_TEXT(f.message, "late … (2 more like this in 6 s)");
    mem_free(w);
}

SPEC(log, a_place_is_component_and_level_and_format)
{
    struct world *w = world_new(LOG_TEXT);
    char same_name[] = "split";
    say_hello(w, LOG_REPEATS);
    world_clear(w);
    log_write(w->log, "split2", 0, LOG_INFO, "hello %d", 1);
    log_write(w->log, "split", 0, LOG_INFO, "other");
    CHECK_EQ(w->lines, 2);
    for (int level = LOG_TRACE; level < LOG_OFF; level++)
        for (int i = 0; i < 2 * LOG_REPEATS; i++)
            log_write(w->log, "by level", 0, (enum log_level)level, "x");
    CHECK_EQ(w->lines, 2 + LOG_OFF * LOG_REPEATS);
    world_clear(w);
    for (int i = 0; i < 2 * LOG_REPEATS; i++)
        log_write(w->log, i % 2 ? same_name : "split", 0, LOG_INFO, "one");
    CHECK_EQ(w->lines, LOG_REPEATS);
    world_free(w);
}

SPEC(log, texts_of_a_guest_are_places_by_themselves)
{
    struct world *w = world_new(LOG_TEXT);
    for (int i = 0; i < 3 * LOG_REPEATS; i++) {
        log_text(w->log, "lua", 1, LOG_INFO, 0, i % 2 ? "odd" : "even",
                 i % 2 ? 3 : 4, NULL);
    }
    CHECK_EQ(w->lines, 2 * LOG_REPEATS);
    for (int i = 0; i < 3 * LOG_REPEATS; i++)
        log_text(w->log, "lua", 1, LOG_INFO, 77, i % 2 ? "a" : "b", 1, NULL);
    CHECK_EQ(w->lines, 3 * LOG_REPEATS);
    world_free(w);
}

SPEC(log, a_repeated_message_is_told_by_its_beginning)
{
    char text[600];
    FOR_SEEDS(8)
    {
        struct world *w = world_new(LOG_TEXT);
        size_t n = spec_seed % 4; /* so that a cut falls anywhere */
        memset(text, 'x', n);
        text[n] = '\0';
        while (strlen(text) < 500)
            strcat(text, spec_seed % 2 ? "漢" : "🙂");
        for (int i = 0; i <= LOG_REPEATS; i++)
            log_write(w->log, "a", 1, LOG_INFO, "%s\nmore", text);
        world_clear(w);
        log_free(w->log);
        check_utf8(w->page);
        CHECK(strstr(w->page, "\uFFFD") == NULL);
        CHECK_HAS(w->page,
                  spec_seed % 2 ? "漢漢 … (1 more" : "🙂🙂 … (1 more");
        CHECK_EQ(w->lines, 1);
        mem_free(w);
    }
}

SPEC(log, a_repeated_message_of_several_lines_is_told_by_the_first)
{
    struct world *w = world_new(LOG_TEXT);
    for (int i = 0; i < LOG_REPEATS + 2; i++)
        log_write(w->log, NULL, -1, LOG_INFO, "one\ntwo");
    world_clear(w);
    w->now_ms += LOG_WINDOW_MS;
    log_flush_repeats(w->log);
    CHECK_TEXT(world_read(w),
               "12:04:41.204 info  one … (2 more like this in 10 s)\n");
    world_free(w);
}

SPEC(log, a_clock_set_back_silences_nobody)
{
    struct world *w = world_new(LOG_TEXT);
    say_hello(w, LOG_REPEATS + 1);
    world_clear(w);
    w->now_ms -= 3600 * 1000;
    say_hello(w, 1);
    CHECK_EQ(w->lines, 2);
    CHECK_HAS(w->page, "(1 more like this in 10 s)");
    world_free(w);
}

/* Ordinary lines plus those told as repeated. */
static unsigned long long lines_told(const char *page)
{
    unsigned long long told = 0;
    struct fields f;
    while (*page != '\0') {
        page = json_read(page, &f);
        told += f.repeated > 0 ? f.repeated : 1;
    }
    return told;
}

SPEC(log, no_repeat_is_lost_from_the_count_when_places_are_evicted)
{
    FOR_SEEDS(20)
    {
        struct rng chance = {spec_seed};
        struct world *w = world_new(LOG_JSON);
        unsigned places = 1 + (unsigned)rng_below(&chance, 3 * LOG_PLACES);
        unsigned calls = 1 + (unsigned)rng_below(&chance, 3000);
        uint64_t pause_ms = 1 + rng_below(&chance, spec_seed % 2 ? 3000 : 30);
        for (unsigned i = 0; i < calls; i++) {
            uint64_t site = 1 + rng_below(&chance, places);
            if (rng_below(&chance, 2)) site = 1 + site % 7;
            log_text(w->log, site % 3 ? "a" : "b", 1, LOG_INFO, site, "x", 1,
                     NULL);
            if (rng_below(&chance, 20) == 0)
                w->now_ms += rng_below(&chance, pause_ms);
            if (rng_below(&chance, 500) == 0)
                w->now_ms -= rng_below(&chance, 60000);
            if (rng_below(&chance, 100) == 0) log_flush_repeats(w->log);
        }
        log_free(w->log);
        CHECK_EQ(lines_told(w->page), calls);
        mem_free(w);
    }
}

/* ---- awkward text ---- */

SPEC(log, utf8_is_every_character_and_nothing_else)
{
    char b[4];
    bool valid;
    for (uint32_t rune = 0; rune < 0x120000; rune += rune < 0x3000 ? 1 : 37) {
        size_t n = utf8_encode(b, rune);
        bool surrogate = rune >= 0xd800 && rune <= 0xdfff;
        size_t step = log_utf8_step(b, n, &valid);
        CHECK_EQ(valid, rune < 0x110000 && !surrogate);
        CHECK_EQ(step, valid ? n : 1);
        if (n == 1) continue;
        bool sound = valid; /* without its last byte it is one U+FFFD */
        CHECK_EQ(log_utf8_step(b, n - 1, &valid), sound ? n - 1 : 1);
        CHECK(!valid);
    }
    log_utf8_step("\xc0\x80", 2, &valid); /* overlong forms */
    CHECK(!valid);
    log_utf8_step("\xe0\x80\x80", 3, &valid);
    CHECK(!valid);
    log_utf8_step("\xf0\x80\x80\x80", 4, &valid);
    CHECK(!valid);
}

static void check_told_as(struct world *w, const char *text, size_t bytes,
                          const char *expected)
{
    struct fields f;
    log_text(w->log, "a", 1, LOG_INFO, 0, text, bytes, NULL);
    CHECK_EQ(w->lines, 1);
    json_read(world_read(w), &f);
    CHECK_TEXT(f.message, expected);
}

SPEC(log, json_tells_awkward_text_exactly)
{
    struct world *w = world_new(LOG_JSON);
    const char *exact[] = {"",
                           "\"quoted\"",
                           "back\\slash\\",
                           "a\tb\nc\rd",
                           "\x1b[m",
                           "\x7f",
                           "\b\f\v",
                           "a/b</script>",
                           "häß 漢 🙂",
                           "\xc2\x85\u2028",
                           "{\"a\":[1]}",
                           "%s %n"};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        check_told_as(w, exact[i], strlen(exact[i]), exact[i]);
    CHECK_EQ(world_read(w)[0], '{');
    /* the example of Unicode's table 3-8, and an end within a character */
    check_told_as(w, "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", 9,
                  "\uFFFD\uFFFD\uFFFD\uFFFDA");
    check_told_as(w, "x\xe6\xbc", 3, "x\uFFFD");
    check_told_as(w, "\xed\xa0\x80", 3, "\uFFFD\uFFFD\uFFFD");
    check_told_as(w, "\xff", 1, "\uFFFD");
    log_text(w->log, "a", 1, LOG_INFO, 0, "a\0b", 3, NULL);
    CHECK_HAS(world_read(w), "\"message\":\"a\\u0000b\"}");
    world_free(w);
}

SPEC(log, text_shows_what_a_terminal_would_obey)
{
    struct world *w = world_new(LOG_TEXT);
    log_write(w->log, NULL, -1, LOG_INFO, "%s",
              "a\x1b[2J\r\x7f\tb\xc2\x9b"
              "c\xfe");
    CHECK_TEXT(world_read(w), "12:04:31.204 info  a\\x1b[2J\\x0d\\x7f\tb\\x9b"
                              "c"
                              "\uFFFD\n");
    world_free(w);
}

/* Bytes that hit the edges of UTF-8 and of JSON often. */
static size_t awkward_text(struct rng *chance, char *out, size_t most)
{
    static const char odd[] =
        "\"\\\n\t\x1b\x7f\x80\xbf\xc2\xe0\xed\xf0\xf4\xff";
    size_t n = rng_below(chance, most), at = 0;
    while (at + 4 < n) {
        switch (rng_below(chance, 4)) {
        case 0: out[at++] = odd[rng_below(chance, sizeof odd - 1)]; break;
        case 1: out[at++] = (char)(1 + rng_below(chance, 255)); break;
        case 2:
            at += utf8_encode(out + at,
                              1 + (uint32_t)rng_below(chance, 0x10ffff));
            break;
        default: out[at++] = (char)('a' + rng_below(chance, 26));
        }
    }
    out[at] = '\0';
    return at;
}

SPEC(log, any_bytes_make_valid_json_and_visible_text)
{
    char text[3000], detail[12000], name[200];
    FOR_SEEDS(60)
    {
        struct rng chance = {spec_seed};
        struct world *w = world_new(LOG_JSON), *v = world_new(LOG_TEXT);
        for (int i = 0; i < 10; i++) {
            struct fields f;
            size_t n = awkward_text(&chance, text, sizeof text);
            awkward_text(&chance, detail, sizeof detail);
            awkward_text(&chance, name, sizeof name);
            const char *more = i % 2 ? detail : NULL;
            log_text(w->log, name, 1, LOG_INFO, 0, text, n, more);
            log_text(v->log, name, 1, LOG_INFO, 0, text, n, more);
            CHECK_EQ(w->lines, 1);
            const char *line = world_read(w);
            CHECK_EQ(*json_read(line, &f), '\0');
            check_utf8(line);
            check_utf8(v->page);
            for (const char *at = world_read(v); *at != '\0'; at++)
                CHECK((unsigned char)*at >= 0x20 || *at == '\n' || *at == '\t');
        }
        world_free(w);
        world_free(v);
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* `times` of a character of `unit`, as message or as detail. */
static void log_long(struct world *w, const char *unit, size_t times,
                     bool as_detail)
{
    static const size_t most = 20000;
    char *text = mem_alloc(most + 1);
    size_t n = strlen(unit), at = 0;
    CHECK(text != NULL && n * times <= most);
    for (size_t i = 0; i < times; i++, at += n)
        memcpy(text + at, unit, n);
    text[at] = '\0';
    w->now_ms += LOG_WINDOW_MS;
    if (as_detail) {
        log_write_detail(w->log, "split", 1, LOG_INFO, text, "x");
    } else {
        log_write(w->log, "split", 1, LOG_INFO, "%s", text);
    }
    mem_free(text);
}

SPEC(log, a_long_line_is_cut_between_characters_and_marked)
{
    static const char *const units[] = {"a", "ä", "漢", "\"", "b\n", "\xff"};
    struct fields f;
    for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
        struct world *w = world_new((enum log_format)format);
        for (unsigned u = 0; u < 6; u++) {
            for (size_t extra = 0; extra < 4; extra++) {
                log_long(w, units[u], 10000 / strlen(units[u]) + extra, u % 2);
                CHECK_EQ(w->lines, 1);
                CHECK(w->used > LOG_LINE_BYTES - 80);
                const char *line = world_read(w);
                check_utf8(line);
                CHECK(ends_with(line, format == LOG_TEXT ? "…[cut]\n"
                                                         : "…[cut]\"}\n"));
                if (format == LOG_JSON) json_read(line, &f);
            }
        }
        world_free(w);
    }
}

SPEC(log, a_line_is_not_cut_before_it_must_be)
{
    struct world *w = world_new(LOG_JSON);
    struct fields f;
    for (size_t n = 7900; n < 8192; n++) {
        log_long(w, "a", n, n % 2);
        json_read(world_read(w), &f);
        const char *told = n % 2 ? f.detail : f.message;
        CHECK(strlen(told) == n || ends_with(told, "a…[cut]"));
        if (n < 8000) CHECK_EQ(strlen(told), n);
    }
    world_free(w);
}

SPEC(log, a_message_that_fills_the_line_leaves_the_detail_out)
{
    struct world *w = world_new(LOG_JSON);
    struct fields f;
    char text[8200];
    for (size_t n = 7950; n < sizeof text; n++) {
        memset(text, 'm', n);
        log_text(w->log, "a", 1, LOG_INFO, 0, text, n, "detail");
        CHECK_EQ(w->lines, 1);
        json_read(world_read(w), &f);
        bool whole = strcmp(f.detail, "detail") == 0;
        CHECK(whole || ends_with(f.detail, "…[cut]") ||
              ends_with(f.message, "…[cut]"));
    }
    world_free(w);
}

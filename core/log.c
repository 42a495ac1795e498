#include "core/log.h"
#include "core/alloc.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CUT_MARK "…[cut]"
#define INDENT   "\n    "

enum {
    NAMED_SLOTS = 2 * LOG_COMPONENTS, /* half empty: probes stay short */
    INHERIT = -1,                     /* a cleared level */
    PLACE_BUCKETS = LOG_PLACES,
    EXCERPT_BYTES = 96,
    CLOSING_BYTES = 64, /* kept free for the mark, quotes and the newline */
    CLOSE_WAIT_MS = 100
};

/* A component with a level of its own. Never freed before the log, so readers
 * need no lock. */
struct named_level {
    atomic_int level;
    char *name; /* owned */
};

/* A place in the code that logs. The hash is of all of it, and of the whole
 * name where that is longer than what is kept. */
struct place_key {
    uint64_t hash;
    uint64_t site; /* the format string's address */
    enum log_level level;
    char component[LOG_COMPONENT_BYTES + 1];
};

struct place {
    struct place_key key;
    uint64_t since_ms; /* its window began */
    uint64_t shown, suppressed;
    char excerpt[EXCERPT_BYTES]; /* of the last line shown in the window */
    struct place *chain;         /* next in its bucket */
    struct place *older, *newer; /* by the beginning of the window */
};

struct line {
    size_t used;
    bool cut; /* something did not fit: from here on all is left out */
    char bytes[LOG_LINE_BYTES];
};

struct log {
    struct log_gate gate; /* must be first: log_on() looks there */
    atomic_int common;    /* level of components without their own */
    struct named_level *_Atomic named[NAMED_SLOTS];
    struct log_config config;

    pthread_mutex_t lock; /* all below */
    unsigned named_count;
    struct place places[LOG_PLACES];
    unsigned places_used;
    struct place *buckets[PLACE_BUCKETS];
    struct place *oldest, *newest;
    char message[LOG_LINE_BYTES];
    struct line line;
    char tail[LOG_LINE_BYTES]; /* of a line the fd took in part */
    size_t tail_at, tail_bytes;
    uint64_t dropped;
};

/* What one line is made of; all borrowed. */
struct entry {
    uint64_t now_ms;
    const char *component; /* or NULL */
    int task;              /* or -1 */
    enum log_level level;
    uint64_t repeated; /* 0: an ordinary line */
    const char *text;
    size_t bytes;
    const char *detail; /* or NULL */
};

#define HASH_START 14695981039346656037u

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *b = bytes; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ b[i]) * 1099511628211u;
    return hash;
}

/* ---- levels ---- */

#define X(level, name) name,
static const char *const level_names[] = {LOG_LEVELS(X)};
#undef X

const char *log_level_name(enum log_level level)
{
    assert(level >= LOG_TRACE && level <= LOG_OFF);
    return level_names[level];
}

err log_level_named(const char *name, enum log_level *level)
{
    for (int i = LOG_TRACE; i <= LOG_OFF; i++) {
        if (strcmp(name, level_names[i]) != 0) continue;
        *level = (enum log_level)i;
        return OK;
    }
    return ERR_NOTFOUND;
}

/* The slot of `component`, or the empty one where it would go. Half of the
 * slots are always empty, so the probe ends. */
static struct named_level *_Atomic *named_slot(struct log *log,
                                               const char *component)
{
    for (uint64_t i = hash_bytes(HASH_START, component, strlen(component));;
         i++) {
        struct named_level *_Atomic *slot = &log->named[i % NAMED_SLOTS];
        struct named_level *n = at_load(slot, ACQUIRE);
        if (n == NULL || strcmp(n->name, component) == 0) return slot;
    }
}

bool log_on_component(struct log *log, const char *component,
                      enum log_level level)
{
    int threshold = INHERIT;
    if (component != NULL) {
        struct named_level *n = at_load(named_slot(log, component), ACQUIRE);
        if (n != NULL) threshold = at_load(&n->level, RELAXED);
    }
    if (threshold == INHERIT) threshold = at_load(&log->common, RELAXED);
    return (int)level >= threshold;
}

/* Under the lock. A reader between the two stores may judge one line by the
 * old level: changing a level promises no more. */
static void set_gate(struct log *log)
{
    int lowest = at_load(&log->common, RELAXED), highest = lowest;
    for (int i = 0; i < NAMED_SLOTS; i++) {
        struct named_level *n = at_load(&log->named[i], RELAXED);
        int level = n ? at_load(&n->level, RELAXED) : INHERIT;
        if (level == INHERIT) continue;
        if (level < lowest) lowest = level;
        if (level > highest) highest = level;
    }
    at_store(&log->gate.lowest, lowest, RELAXED);
    at_store(&log->gate.highest, highest, RELAXED);
}

static err named_add(struct log *log, struct named_level *_Atomic *slot,
                     const char *component, int level)
{
    if (log->named_count == LOG_COMPONENTS) return ERR_LIMIT;
    struct named_level *n = mem_zero(1, sizeof *n);
    if (n == NULL) return ERR_NOMEM;
    n->name = mem_text(component, strlen(component));
    if (n->name == NULL) {
        mem_free(n);
        return ERR_NOMEM;
    }
    at_store(&n->level, level, RELAXED);
    at_store(slot, n, RELEASE); /* its name is complete before it is seen */
    log->named_count++;
    return OK;
}

static err set_named(struct log *log, const char *component, int level)
{
    struct named_level *_Atomic *slot = named_slot(log, component);
    struct named_level *n = at_load(slot, RELAXED);
    if (n == NULL) return named_add(log, slot, component, level);
    at_store(&n->level, level, RELAXED);
    return OK;
}

err log_set_level(struct log *log, const char *component, enum log_level level)
{
    assert(level >= LOG_TRACE && level <= LOG_OFF);
    err e = OK;
    pthread_mutex_lock(&log->lock);
    if (component == NULL) {
        at_store(&log->common, (int)level, RELAXED);
    } else {
        e = set_named(log, component, level);
    }
    set_gate(log);
    pthread_mutex_unlock(&log->lock);
    return e;
}

void log_clear_level(struct log *log, const char *component)
{
    pthread_mutex_lock(&log->lock);
    struct named_level *n = at_load(named_slot(log, component), RELAXED);
    if (n != NULL) at_store(&n->level, INHERIT, RELAXED);
    set_gate(log);
    pthread_mutex_unlock(&log->lock);
}

/* ---- characters ---- */

/* How many bytes follow a lead byte, and between what the first of them lies:
 * that excludes overlong forms, surrogates and all beyond U+10FFFF. */
static size_t utf8_lead(unsigned char lead, unsigned char *low,
                        unsigned char *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) return 1;
    if (lead == 0xe0) *low = 0xa0;
    if (lead == 0xed) *high = 0x9f;
    if (lead >= 0xe0 && lead <= 0xef) return 2;
    if (lead == 0xf0) *low = 0x90;
    if (lead == 0xf4) *high = 0x8f;
    return lead >= 0xf0 && lead <= 0xf4 ? 3 : 0;
}

size_t log_utf8_step(const char *bytes, size_t n, bool *valid)
{
    const unsigned char *b = (const unsigned char *)bytes;
    unsigned char low, high;
    size_t follow = utf8_lead(b[0], &low, &high), at = 1;
    *valid = b[0] < 0x80;
    for (; at <= follow; at++) {
        if (at == n || b[at] < low || b[at] > high) return at;
        low = 0x80;
        high = 0xbf;
    }
    if (follow > 0) *valid = true;
    return at;
}

/* ---- a line ---- */

/* All of it or nothing: an escape or a character is never cut in two. */
static void put(struct line *l, const char *bytes, size_t n)
{
    if (l->cut || l->used + n > LOG_LINE_BYTES - CLOSING_BYTES) {
        l->cut = true;
        return;
    }
    memcpy(l->bytes + l->used, bytes, n);
    l->used += n;
}

/* Text of our own that needs no escape. */
static void put_own(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

/* ASCII, which may be cut anywhere. */
static void put_plain(struct line *l, const char *bytes, size_t n)
{
    size_t room = LOG_LINE_BYTES - CLOSING_BYTES - l->used;
    put(l, bytes, n < room ? n : room);
    if (n > room) l->cut = true;
}

/* Into what put() and put_plain() leave free. */
static void put_closing(struct line *l, const char *text)
{
    size_t n = strlen(text);
    assert(l->used + n <= LOG_LINE_BYTES);
    memcpy(l->bytes + l->used, text, n);
    l->used += n;
}

static bool is_plain(unsigned char c, bool json)
{
    if (json) return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
    return c >= 0x20 && c < 0x7f;
}

static void put_control(struct line *l, unsigned char c, bool json)
{
    char escape[8];
    if (c == '\n') {
        put_own(l, json ? "\\n" : INDENT);
    } else if (c == '\t') {
        put_own(l, json ? "\\t" : "\t");
    } else if (c == '"' || c == '\\') {
        put(l, (char[]){'\\', (char)c}, 2);
    } else {
        snprintf(escape, sizeof escape, json ? "\\u%04x" : "\\x%02x", c);
        put_own(l, escape);
    }
}

/* A terminal may obey U+0080..U+009F as it obeys ESC. */
static bool is_c1(const char *bytes, size_t n)
{
    return n == 2 && (unsigned char)bytes[0] == 0xc2 &&
           (unsigned char)bytes[1] < 0xa0;
}

/* One character that is not plain; returns its length. */
static size_t put_special(struct line *l, const char *at, size_t n, bool json)
{
    bool valid;
    size_t step = log_utf8_step(at, n, &valid);
    if (!valid) {
        put_own(l, "\uFFFD");
    } else if (step == 1) {
        put_control(l, (unsigned char)*at, json);
    } else if (!json && is_c1(at, step)) {
        put_control(l, (unsigned char)at[1], json);
    } else {
        put(l, at, step);
    }
    return step;
}

static void put_text(struct line *l, const char *text, size_t n, bool json)
{
    const char *end = text + n;
    while (text < end && !l->cut) {
        const char *run = text;
        while (text < end && is_plain((unsigned char)*text, json))
            text++;
        if (text > run) put_plain(l, run, (size_t)(text - run));
        if (text < end)
            text += put_special(l, text, (size_t)(end - text), json);
    }
}

/* Bytes of `text`, at most `most`, without half a character at the end. */
static size_t whole_bytes(const char *text, size_t bytes, size_t most)
{
    if (bytes <= most) return bytes;
    size_t n = most;
    while (n > 0 && most - n < 3 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static size_t without_last_newlines(const char *text, size_t bytes)
{
    while (bytes > 0 && text[bytes - 1] == '\n')
        bytes--;
    return bytes;
}

static void put_component(struct line *l, const struct entry *in, bool json)
{
    size_t n = strlen(in->component);
    put_text(l, in->component,
             whole_bytes(in->component, n, LOG_COMPONENT_BYTES), json);
}

static void put_topology(struct log *log, bool json)
{
    const char *name = log->config.topology;
    put_text(&log->line, name,
             whole_bytes(name, strlen(name), LOG_COMPONENT_BYTES), json);
}

static void put_detail(struct line *l, const char *detail, bool json)
{
    put_text(l, detail, without_last_newlines(detail, strlen(detail)), json);
}

/* ---- text and JSON ---- */

static struct tm split_time(uint64_t now_ms, bool local)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    struct tm *got =
        local ? localtime_r(&seconds, &tm) : gmtime_r(&seconds, &tm);
    if (got == NULL) memset(&tm, 0, sizeof tm); /* beyond all calendars */
    return tm;
}

static const char *level_color(enum log_level level)
{
    switch (level) {
    case LOG_ERROR: return "\x1b[31m"; /* red */
    case LOG_WARN: return "\x1b[33m";  /* yellow */
    case LOG_INFO: return "\x1b[32m";  /* green */
    default: return "\x1b[2m";         /* faint */
    }
}

static void make_text(struct log *log, const struct entry *in)
{
    struct line *l = &log->line;
    bool color = log->config.color;
    char head[64];
    struct tm t = split_time(in->now_ms, log->config.local_time);
    if (log->config.erase) put_own(l, log->config.erase);
    snprintf(head, sizeof head, "%02d:%02d:%02d.%03u %s%-5s%s ", t.tm_hour,
             t.tm_min, t.tm_sec, (unsigned)(in->now_ms % 1000),
             color ? level_color(in->level) : "", level_names[in->level],
             color ? "\x1b[0m" : "");
    put_own(l, head);
    if (log->config.topology) {
        put_topology(log, false);
        put_own(l, in->component ? "/" : "  ");
    }
    if (in->component != NULL) {
        put_component(l, in, false);
        snprintf(head, sizeof head, "[%d]  ", in->task);
        put_own(l, in->task < 0 ? "  " : head);
    }
    put_text(l, in->text, in->bytes, false);
    if (in->detail != NULL) {
        put_own(l, INDENT);
        put_detail(l, in->detail, false);
    }
    if (l->cut) put_closing(l, CUT_MARK);
    put_closing(l, "\n");
}

/* A string is open from "message" on, and what opens the next one is put as a
 * whole: wherever the line is cut, the same closing makes it valid. */
static void make_json(struct log *log, const struct entry *in)
{
    struct line *l = &log->line;
    char head[160];
    struct tm t = split_time(in->now_ms, false);
    snprintf(head, sizeof head,
             "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03uZ\","
             "\"level\":\"%s\"",
             t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min,
             t.tm_sec, (unsigned)(in->now_ms % 1000), level_names[in->level]);
    put_own(l, head);
    if (log->config.topology) {
        put_own(l, ",\"topology\":\"");
        put_topology(log, true);
        put_own(l, "\"");
    }
    if (in->component != NULL) {
        put_own(l, ",\"component\":\"");
        put_component(l, in, true);
        put_own(l, "\"");
    }
    snprintf(head, sizeof head, ",\"task\":%d", in->task);
    if (in->task >= 0) put_own(l, head);
    snprintf(head, sizeof head, ",\"repeated\":%" PRIu64, in->repeated);
    if (in->repeated > 0) put_own(l, head);
    put_own(l, ",\"message\":\"");
    put_text(l, in->text, in->bytes, true);
    if (in->detail != NULL) {
        put_own(l, "\",\"detail\":\"");
        put_detail(l, in->detail, true);
    }
    if (l->cut) put_closing(l, CUT_MARK);
    put_closing(l, "\"}\n");
}

/* ---- out ---- */

/* How much of it the fd took. A full pipe, a closed fd, a full disk: the rest
 * is for the caller. */
static size_t write_some(int fd, const char *bytes, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t wrote = write(fd, bytes + done, n - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) break;
        done += (size_t)wrote;
    }
    return done;
}

/* false: the fd still doesn't take the end of an earlier line. */
static bool write_tail(struct log *log)
{
    size_t left = log->tail_bytes - log->tail_at;
    size_t done = write_some(log->config.fd, log->tail + log->tail_at, left);
    log->tail_at += done;
    return done == left;
}

/* Never waits for an fd that is non-blocking: a slow reader of the log would
 * stop every actor. A line of which a part is out is finished first, before
 * anything else is written, so that no line is ever torn. */
static void write_line(struct log *log, const char *bytes, size_t n)
{
    size_t done = write_tail(log) ? write_some(log->config.fd, bytes, n) : 0;
    if (done == 0) {
        log->dropped++;
        return;
    }
    if (done == n) return;
    memcpy(log->tail, bytes + done, n - done);
    log->tail_at = 0;
    log->tail_bytes = n - done;
}

static void say(struct log *log, const struct entry *in)
{
    struct line *l = &log->line;
    l->used = 0;
    l->cut = false;
    if (log->config.format == LOG_JSON) {
        make_json(log, in);
    } else {
        make_text(log, in);
    }
    if (log->config.sink != NULL) {
        log->config.sink(log->config.sink_context, in->level, l->bytes,
                         l->used);
    } else {
        write_line(log, l->bytes, l->used);
    }
}

/* ---- repeats ---- */

static void place_unlink(struct log *log, struct place *p)
{
    if (p->older) p->older->newer = p->newer;
    if (p->newer) p->newer->older = p->older;
    if (log->oldest == p) log->oldest = p->newer;
    if (log->newest == p) log->newest = p->older;
}

/* A window begins. The list stays in the order of their beginnings. */
static void place_begin(struct log *log, struct place *p, uint64_t now_ms)
{
    p->since_ms = now_ms;
    p->shown = p->suppressed = 0;
    p->excerpt[0] = '\0';
    p->newer = NULL;
    p->older = log->newest;
    if (log->newest) log->newest->newer = p;
    log->newest = p;
    if (log->oldest == NULL) log->oldest = p;
}

/* A wall clock that was set back ends the window too: otherwise a place could
 * be silent for as long as it was set back. */
static bool place_ended(const struct place *p, uint64_t now_ms)
{
    return now_ms < p->since_ms || now_ms - p->since_ms >= LOG_WINDOW_MS;
}

/* How long the window was open, for a person: at least 1 s, at most all. */
static unsigned window_s(const struct place *p, uint64_t now_ms)
{
    if (place_ended(p, now_ms)) return LOG_WINDOW_MS / 1000;
    uint64_t s = (now_ms - p->since_ms + 999) / 1000;
    return s > 0 ? (unsigned)s : 1;
}

/* Say what was suppressed, once. */
static void place_report(struct log *log, struct place *p, uint64_t now_ms)
{
    if (p->suppressed == 0) return;
    char text[EXCERPT_BYTES + 64];
    int n =
        snprintf(text, sizeof text, "%s … (%" PRIu64 " more like this in %u s)",
                 p->excerpt, p->suppressed, window_s(p, now_ms));
    struct entry in = {.now_ms = now_ms,
                       .component =
                           p->key.component[0] ? p->key.component : NULL,
                       .task = -1,
                       .level = p->key.level,
                       .repeated = p->suppressed,
                       .text = text,
                       .bytes = (size_t)n};
    p->suppressed = 0;
    say(log, &in);
}

static struct place **bucket_of(struct log *log, const struct place_key *key)
{
    return &log->buckets[key->hash % PLACE_BUCKETS];
}

static bool same_place(const struct place_key *a, const struct place_key *b)
{
    return a->hash == b->hash && a->site == b->site && a->level == b->level &&
           strcmp(a->component, b->component) == 0;
}

static struct place *place_find(struct log *log, const struct place_key *key)
{
    struct place *p = *bucket_of(log, key);
    while (p != NULL && !same_place(&p->key, key))
        p = p->chain;
    return p;
}

static void bucket_remove(struct log *log, struct place *p)
{
    struct place **at = bucket_of(log, &p->key);
    while (*at != p)
        at = &(*at)->chain;
    *at = p->chain;
}

/* A free place, or the one whose window is the oldest, its count said. */
static struct place *place_take(struct log *log, uint64_t now_ms)
{
    if (log->places_used < LOG_PLACES) return &log->places[log->places_used++];
    struct place *p = log->oldest;
    place_report(log, p, now_ms);
    place_unlink(log, p);
    bucket_remove(log, p);
    return p;
}

static struct place_key key_of(const struct entry *in, uint64_t site)
{
    const char *name = in->component ? in->component : "";
    size_t n = strlen(name);
    struct place_key key = {.site = site, .level = in->level};
    uint64_t hash = hash_bytes(HASH_START, name, n);
    hash = hash_bytes(hash, &site, sizeof site) + (uint64_t)in->level;
    key.hash = hash ^ hash >> 32; /* buckets are chosen by the low bits */
    n = whole_bytes(name, n, LOG_COMPONENT_BYTES);
    memcpy(key.component, name, n);
    return key;
}

/* The place of a line about to be logged, in a window that has not ended. */
static struct place *place_of(struct log *log, const struct place_key *key,
                              uint64_t now_ms)
{
    struct place *p = place_find(log, key);
    if (p != NULL && !place_ended(p, now_ms)) return p;
    if (p != NULL) {
        place_report(log, p, now_ms);
        place_unlink(log, p);
    } else {
        p = place_take(log, now_ms);
        p->key = *key;
        p->chain = *bucket_of(log, key);
        *bucket_of(log, key) = p;
    }
    place_begin(log, p, now_ms);
    return p;
}

/* The beginning of the message, its first line only. */
static void keep_excerpt(struct place *p, const char *text, size_t bytes)
{
    const char *line_end = memchr(text, '\n', bytes);
    size_t n = line_end ? (size_t)(line_end - text) : bytes;
    n = whole_bytes(text, n, EXCERPT_BYTES - 1);
    memcpy(p->excerpt, text, n);
    p->excerpt[n] = '\0';
}

/* ---- in ---- */

/* The place, if its line is to be shown; NULL: it was counted instead. */
static struct place *admit(struct log *log, const struct entry *in,
                           uint64_t site)
{
    struct place_key key = key_of(in, site);
    struct place *p = place_of(log, &key, in->now_ms);
    if (p->shown < LOG_REPEATS) {
        p->shown++;
        return p;
    }
    p->suppressed++;
    return NULL;
}

static uint64_t read_clock(struct log *log)
{
    return log->config.now_ms(log->config.clock_context);
}

static void show(struct log *log, struct entry *in, struct place *p)
{
    in->bytes = without_last_newlines(in->text, in->bytes);
    if (p->shown == LOG_REPEATS) keep_excerpt(p, in->text, in->bytes);
    say(log, in);
}

/* A message longer than the buffer needs no mark here: it is longer than the
 * line too, which cuts it. */
__attribute__((format(printf, 3, 0))) static void
format_message(struct log *log, struct entry *in, const char *format,
               va_list args)
{
    int n = vsnprintf(log->message, sizeof log->message, format, args);
    size_t most = sizeof log->message - 1;
    in->text = n < 0 ? format : log->message; /* %ls of no character */
    in->bytes = n < 0 ? strlen(format) : (size_t)n < most ? (size_t)n : most;
}

__attribute__((format(printf, 3, 0))) static void
write_args(struct log *log, struct entry *in, const char *format, va_list args)
{
    assert(in->level < LOG_OFF);
    if (!log_on(log, in->component, in->level)) return;
    int saved = errno;
    pthread_mutex_lock(&log->lock);
    in->now_ms = read_clock(log);
    struct place *p = admit(log, in, (uint64_t)(uintptr_t)format);
    if (p != NULL) {
        format_message(log, in, format, args);
        show(log, in, p);
    }
    pthread_mutex_unlock(&log->lock);
    errno = saved;
}

void log_write(struct log *log, const char *component, int task,
               enum log_level level, const char *format, ...)
{
    struct entry in = {.component = component, .task = task, .level = level};
    va_list args;
    va_start(args, format);
    write_args(log, &in, format, args);
    va_end(args);
}

void log_write_detail(struct log *log, const char *component, int task,
                      enum log_level level, const char *detail,
                      const char *format, ...)
{
    struct entry in = {
        .component = component, .task = task, .level = level, .detail = detail};
    va_list args;
    va_start(args, format);
    write_args(log, &in, format, args);
    va_end(args);
}

void log_text(struct log *log, const char *component, int task,
              enum log_level level, uint64_t site, const char *text,
              size_t bytes, const char *detail)
{
    assert(level < LOG_OFF);
    if (!log_on(log, component, level)) return;
    if (site == 0) site = hash_bytes(HASH_START, text, bytes);
    struct entry in = {.component = component,
                       .task = task,
                       .level = level,
                       .text = text,
                       .bytes = bytes,
                       .detail = detail};
    int saved = errno;
    pthread_mutex_lock(&log->lock);
    in.now_ms = read_clock(log);
    struct place *p = admit(log, &in, site);
    if (p != NULL) show(log, &in, p);
    pthread_mutex_unlock(&log->lock);
    errno = saved;
}

static void report_places(struct log *log, bool all)
{
    uint64_t now = read_clock(log);
    for (struct place *p = log->oldest; p != NULL; p = p->newer)
        if (all || place_ended(p, now)) place_report(log, p, now);
}

void log_flush_repeats(struct log *log)
{
    int saved = errno;
    pthread_mutex_lock(&log->lock);
    report_places(log, false);
    pthread_mutex_unlock(&log->lock);
    errno = saved;
}

uint64_t log_dropped(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t dropped = log->dropped;
    pthread_mutex_unlock(&log->lock);
    return dropped;
}

/* ---- life ---- */

struct log *log_new(const struct log_config *config)
{
    assert(config->now_ms != NULL);
    struct log *log = mem_zero(1, sizeof *log);
    if (log == NULL) return NULL;
    if (pthread_mutex_init(&log->lock, NULL) != 0) {
        mem_free(log);
        return NULL;
    }
    log->config = *config;
    at_store(&log->common, (int)config->level, RELAXED);
    set_gate(log);
    return log;
}

/* The reader gets a moment: the last line is often the one that matters. */
static void finish_tail(struct log *log)
{
    struct pollfd out = {.fd = log->config.fd, .events = POLLOUT};
    if (!write_tail(log) && poll(&out, 1, CLOSE_WAIT_MS) == 1) write_tail(log);
}

void log_free(struct log *log)
{
    if (log == NULL) return;
    report_places(log, true);
    if (log->config.sink == NULL) finish_tail(log);
    for (int i = 0; i < NAMED_SLOTS; i++) {
        struct named_level *n = at_load(&log->named[i], RELAXED);
        if (n == NULL) continue;
        mem_free(n->name);
        mem_free(n);
    }
    pthread_mutex_destroy(&log->lock);
    mem_free(log);
}

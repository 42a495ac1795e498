/* pattern.c - runs compiled patterns; see program.h. */
#define _GNU_SOURCE /* memmem: linear whatever the needle, unlike our own */
#include "lua/pattern.h"
#include "lua/programs.h"
#include "lua/recent.h"
#include "lua/vm.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    STEP_UNITS = 16, /* work is counted in units: an item tried is one, */
    RUN_BYTES = 8,   /* and so are so many bytes run over */
    TANK_STEPS = 4096,
    TANK_UNITS = TANK_STEPS * STEP_UNITS,
    FREE_SLOTS = 8, /* of LUA_MINSTACK, whatever else a function pushed */
    VAIN_MAX = 16,
};

/* The characters that make a pattern more than plain text: ^$*+?.([%- */
static const struct byteset specials = {
    {0x80006d3000000000, 0x0000000048000000}};

/* ---- Matching --------------------------------------------------------- */

enum { CAPTURE_OPEN = -1, CAPTURE_POSITION = -2 };

struct capture {
    const char *from;
    ptrdiff_t bytes; /* or one of the above */
};

/* One call of find, match or gsub, or one result of gmatch. */
struct match {
    lua_State *L;
    struct programs *cache;
    const struct program *program;
    const char *subject, *end; /* a 0 stands at the end, as behind any string */
    int64_t fuel;              /* units until the next charge */
    int64_t tank;              /* the fuel when last looked at */
    int64_t burnt;             /* units that this call took before that */
    unsigned capture_count;    /* the program's, which may be gone when results
                                * are pushed: a collection may run callbacks */
    struct capture captures[CAPTURES_MAX];
};

static inline void match_init(struct match *m, lua_State *L,
                              struct programs *cache,
                              const struct program *program,
                              const char *subject, size_t bytes)
{
    m->L = L;
    m->cache = cache;
    m->program = program;
    m->capture_count = program->captures;
    m->subject = subject;
    m->end = subject + bytes;
    m->fuel = m->tank = cache->fuel;
    m->burnt = 0;
}

/* Gives the rest of the tank back. Before any error too: what was burnt stays
 * burnt. */
static inline void match_end(struct match *m)
{
    m->cache->fuel = m->fuel;
}

/* The tank is empty: charge it, and look at the limit. */
__attribute__((noinline)) static void refuel(struct match *m)
{
    int64_t due = TANK_UNITS - m->fuel;
    m->burnt += m->tank - m->fuel;
    m->fuel = m->tank = TANK_UNITS;
    match_end(m);
    due /= STEP_UNITS;
    vm_charge(m->L, (size_t)due);
    if (m->burnt > (int64_t)PATTERN_STEPS_MAX * STEP_UNITS)
        luaL_error(m->L,
                   "pattern takes more than %d steps; make it simpler or "
                   "anchor it",
                   PATTERN_STEPS_MAX);
}

static inline void burn(struct match *m, int64_t units)
{
    m->fuel -= units;
    if (m->fuel < 0) refuel(m);
}

static inline void burn_run(struct match *m, const char *from, const char *to)
{
    burn(m, (to - from) / RUN_BYTES);
}

static void raise_mistake(struct match *m, const struct item *item)
{
    match_end(m);
    switch ((enum mistake)item->arg) {
    case MISTAKE_ENDS_WITH_ESCAPE:
        luaL_error(m->L, "malformed pattern (ends with '%%')");
        break;
    case MISTAKE_NO_BRACKET:
        luaL_error(m->L, "malformed pattern (missing ']')");
        break;
    case MISTAKE_NO_FRONTIER_SET:
        luaL_error(m->L, "missing '[' after '%%f' in pattern");
        break;
    case MISTAKE_NO_BALANCE:
        luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
        break;
    case MISTAKE_CAPTURES: luaL_error(m->L, "too many captures"); break;
    case MISTAKE_CLOSE: luaL_error(m->L, "invalid pattern capture"); break;
    case MISTAKE_BACK:
        luaL_error(m->L, "invalid capture index %%%d", item->arg2);
        break;
    }
}

/* A choice that may be taken back. */
struct choice {
    const struct item *at;
    const char *s;   /* where the rest of the pattern was tried last */
    const char *low; /* GREEDY: the shortest */
    unsigned depth;  /* of the walk that goes on from it */
};

struct walk {
    const struct item *at;
    const char *s;
    unsigned depth;     /* calls that stock Lua's match() would be in */
    struct choice *top; /* the first free choice; there are never more than
                         * `depth` below it */
};

static inline void go_deeper(struct match *m, struct walk *w)
{
    if (++w->depth < DEPTH_MAX) return;
    match_end(m);
    luaL_error(m->L, "pattern too complex");
}

static inline bool follows(const struct match *m, const struct item *at,
                           const char *s)
{
    if (at->u.follow == NULL) return true;
    return s == m->end ? at->follow_at_end : set_has(at->u.follow, *s);
}

static inline bool go_greedy(struct match *m, struct walk *w,
                             const struct item *at)
{
    const char *low = w->s + at->min;
    w->s = set_run_end(at->set, w->s, m->end);
    burn_run(m, low, w->s);
    if (w->s < low) return false;
    if (w->s == low && at->min == 0) return true;
    go_deeper(m, w);
    if (w->s > low) *w->top++ = (struct choice){at, w->s, low, w->depth};
    return true;
}

static inline bool go_lazy(struct match *m, struct walk *w,
                           const struct item *at)
{
    if (w->s == m->end || !set_has(at->set, *w->s)) return true;
    go_deeper(m, w);
    *w->top++ = (struct choice){at, w->s, NULL, w->depth};
    return follows(m, at, w->s);
}

static inline bool go_maybe(struct match *m, struct walk *w,
                            const struct item *at)
{
    if (w->s == m->end || !set_has(at->set, *w->s)) return true;
    *w->top = (struct choice){at, w->s, NULL, w->depth};
    go_deeper(m, w);
    w->top++;
    w->s++;
    return true;
}

static inline bool go_back_reference(struct match *m, struct walk *w,
                                     const struct item *at)
{
    const struct capture *c = &m->captures[at->arg];
    if (c->bytes < 0 || m->end - w->s < c->bytes) return false;
    burn(m, c->bytes / RUN_BYTES);
    if (memcmp(c->from, w->s, (size_t)c->bytes) != 0) return false;
    w->s += c->bytes;
    return true;
}

static bool go_balance(struct match *m, struct walk *w, const struct item *at)
{
    const char *s = w->s;
    if (s == m->end || (uint8_t)*s != at->arg) return false;
    size_t open = 1;
    while (++s < m->end) {
        if ((uint8_t)*s == at->arg2) {
            if (--open == 0) break;
        } else if ((uint8_t)*s == at->arg) {
            open++;
        }
    }
    burn(m, (s - w->s) / (RUN_BYTES / 2)); /* twice the work of a run */
    if (s == m->end) return false;
    w->s = s + 1;
    return true;
}

static inline bool go_text(struct match *m, struct walk *w,
                           const struct item *at)
{
    size_t bytes = at->u.text.bytes;
    if ((size_t)(m->end - w->s) < bytes) return false;
    burn(m, (int64_t)(bytes / RUN_BYTES));
    if (memcmp(w->s, at->u.text.at, bytes) != 0) return false;
    w->s += bytes;
    return true;
}

static inline bool go_span(struct match *m, struct walk *w,
                           const struct item *at)
{
    const char *from = w->s;
    w->s = set_run_end(at->set, from, m->end);
    burn_run(m, from, w->s);
    return w->s - from >= at->min;
}

static inline bool at_frontier(const struct match *m, const char *s,
                               const struct set *set)
{
    char before = s == m->subject ? 0 : s[-1];
    return !set_has(set, before) && set_has(set, *s);
}

/* Does the item and moves behind it; false if it doesn't match. */
static inline bool advance(struct match *m, struct walk *w)
{
    const struct item *at = w->at++;
    const char *s = w->s;
    switch ((enum op)at->op) {
    case OP_BYTE: w->s++; return s < m->end && (uint8_t)*s == at->arg;
    case OP_TEXT: return go_text(m, w, at);
    case OP_SET: w->s++; return s < m->end && set_has(at->set, *s);
    case OP_SPAN: return go_span(m, w, at);
    case OP_OPTION:
        if (s < m->end && set_has(at->set, *s)) w->s++;
        return true;
    case OP_GREEDY: return go_greedy(m, w, at);
    case OP_LAZY: return go_lazy(m, w, at);
    case OP_MAYBE: return go_maybe(m, w, at);
    case OP_OPEN:
        m->captures[at->arg] = (struct capture){s, CAPTURE_OPEN};
        go_deeper(m, w);
        return true;
    case OP_CLOSE:
        m->captures[at->arg].bytes = s - m->captures[at->arg].from;
        go_deeper(m, w);
        return true;
    case OP_POSITION:
        m->captures[at->arg] = (struct capture){s, CAPTURE_POSITION};
        go_deeper(m, w);
        return true;
    case OP_BACK: return go_back_reference(m, w, at);
    case OP_BALANCE: return go_balance(m, w, at);
    case OP_FRONTIER: return at_frontier(m, s, at->set);
    case OP_DOLLAR: return s == m->end;
    case OP_MISTAKE: raise_mistake(m, at); return false;
    case OP_END: break;
    }
    return true;
}

/* The next shorter one whose follower may match; false if there is none. */
static inline bool shorten(struct match *m, struct choice *c)
{
    const char *s = c->s, *from = s;
    bool found = false;
    while (!found && s > c->low)
        found = follows(m, c->at, --s);
    c->s = s;
    burn_run(m, s, from);
    return found;
}

/* The next longer one whose follower may match; false if there is none. */
static inline bool lengthen(struct match *m, struct choice *c)
{
    const char *s = c->s, *from = s;
    const struct item *at = c->at;
    bool found = false;
    if (at->set->kind == SET_ALL && at->u.follow && s < m->end) {
        s = set_first_in(at->u.follow, s + 1, m->end);
        found = s < m->end || at->follow_at_end;
    } else {
        while (!found && s < m->end && set_has(at->set, *s))
            found = follows(m, at, ++s);
    }
    c->s = s;
    burn_run(m, from, s);
    return found;
}

/* Takes the last choice back; false if it has nothing else to offer, and then
 * it is gone. */
static inline bool retry(struct match *m, struct walk *w)
{
    struct choice *c = w->top - 1;
    bool found = true, last = false;
    burn(m, STEP_UNITS);
    switch (c->at->op) {
    case OP_GREEDY:
        found = shorten(m, c);
        last = c->s == c->low;
        break;
    case OP_LAZY: found = lengthen(m, c); break;
    default: last = true; break;
    }
    if (!found || last) w->top--;
    w->at = c->at + 1;
    w->s = c->s;
    w->depth = c->depth;
    return found;
}

/* The end of a match that begins at s; NULL if there is none. */
static const char *walk(struct match *m, const char *s)
{
    struct choice choices[DEPTH_MAX];
    struct walk w = {m->program->items, s, 0, choices};
    while (w.at->op != OP_END) {
        burn(m, 1);
        if (advance(m, &w)) continue;
        do {
            if (w.top == choices) return NULL;
        } while (!retry(m, &w));
    }
    return w.s;
}

static const char *search_run(struct match *m, const char *s, const char **to)
{
    const struct set *set = m->program->run;
    const char *from = set_first_in(set, s, m->end);
    if (from == m->end) return burn_run(m, s, from), NULL;
    *to = set_run_end(set, from + 1, m->end);
    m->captures[0] = (struct capture){from, *to - from};
    burn_run(m, s, *to);
    burn(m, 1);
    return from;
}

/* memchr is several times faster where the first byte is rare or the text is
 * near; memmem is linear where someone made sure that it is neither. */
static const char *find_bytes(const char *s, size_t bytes, const char *text,
                              size_t text_bytes)
{
    if (text_bytes == 0) return s;
    for (int vain = 0; vain < VAIN_MAX && bytes >= text_bytes; vain++) {
        const char *at = memchr(s, text[0], bytes - text_bytes + 1);
        if (at == NULL) return NULL;
        if (memcmp(at + 1, text + 1, text_bytes - 1) == 0) return at;
        bytes -= (size_t)(at + 1 - s);
        s = at + 1;
    }
    return memmem(s, bytes, text, text_bytes);
}

static const char *search_text(struct match *m, const char *s, const char **to)
{
    const struct item *item = m->program->items;
    size_t left = (size_t)(m->end - s), bytes = item->u.text.bytes;
    const char *from = find_bytes(s, left, item->u.text.at, bytes);
    burn_run(m, s, from ? from : m->end);
    burn(m, 1);
    if (from != NULL) *to = from + bytes;
    return from;
}

/* The first match from s on but for an empty one at `last` (may be NULL);
 * `to` is its end. NULL if there is none. */
static const char *search(struct match *m, const char *s, const char *last,
                          const char **to)
{
    const struct program *p = m->program;
    if (!p->anchored && p->kind == PROGRAM_RUN) return search_run(m, s, to);
    if (!p->anchored && p->kind == PROGRAM_TEXT) return search_text(m, s, to);
    for (;;) {
        if (p->start != NULL) {
            const char *from = s;
            s = set_first_in(p->start, s, m->end);
            burn_run(m, from, s);
            if (s == m->end && !p->start_at_end) return NULL;
        }
        *to = walk(m, s);
        if (*to != NULL && *to != last) return s;
        if (s == m->end || p->anchored) return NULL;
        assert(s != NULL);
        if (*to == NULL && p->skips_run && set_has(p->run, *s))
            s = set_run_end(p->run, s, m->end);
        else
            s++;
    }
}

/* ---- Results ---------------------------------------------------------- */

/* What a capture stands for in a match from `from` to `to`: its bytes, or
 * CAPTURE_POSITION. Without captures the first one is the whole match. */
static struct capture capture_at(struct match *m, unsigned n, const char *from,
                                 const char *to)
{
    if (n >= m->capture_count) {
        if (n == 0) return (struct capture){from, to - from};
        match_end(m);
        luaL_error(m->L, "invalid capture index %%%d", (int)n + 1);
    }
    if (m->captures[n].bytes == CAPTURE_OPEN) {
        match_end(m);
        luaL_error(m->L, "unfinished capture");
    }
    return m->captures[n];
}

static void push_capture(struct match *m, unsigned n, const char *from,
                         const char *to)
{
    struct capture c = capture_at(m, n, from, to);
    if (c.bytes == CAPTURE_POSITION)
        lua_pushinteger(m->L, c.from - m->subject + 1);
    else
        lua_pushlstring(m->L, c.from, (size_t)c.bytes);
}

/* Pushes all captures, the whole match if there is none; their number.
 * [-0, +n, e] */
static int push_captures(struct match *m, const char *from, const char *to)
{
    unsigned count = m->capture_count;
    if (count == 0) count = 1;
    if (count > FREE_SLOTS)
        luaL_checkstack(m->L, (int)count, "too many captures");
    for (unsigned i = 0; i < count; i++)
        push_capture(m, i, from, to);
    return (int)count;
}

/* ---- The four functions ----------------------------------------------- */

/* The arguments of find, match and gmatch. */
struct arguments {
    const char *subject, *pattern;
    size_t subject_bytes, pattern_bytes;
    size_t init; /* from 0; may be beyond the end */
};

static size_t start_offset(lua_Integer init, size_t bytes)
{
    if (init > 0) return (size_t)init - 1;
    if (init == 0 || init < -(lua_Integer)bytes) return 0;
    return bytes + (size_t)init;
}

static inline void take_arguments(lua_State *L, struct arguments *a)
{
    a->subject = luaL_checklstring(L, 1, &a->subject_bytes);
    a->pattern = luaL_checklstring(L, 2, &a->pattern_bytes);
    a->init = start_offset(luaL_optinteger(L, 3, 1), a->subject_bytes);
}

/* find() looks for such a pattern as it is: nothing to compile. */
static inline bool is_plain(const char *pattern, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (byteset_in(&specials, (uint8_t)pattern[i])) return false;
    return true;
}

/* For work that needs no limit: it is linear. */
static inline void spend(lua_State *L, struct programs *cache, size_t units)
{
    cache->fuel -= (int64_t)units;
    if (cache->fuel >= 0) return;
    size_t due = (size_t)(TANK_UNITS - cache->fuel) / STEP_UNITS;
    cache->fuel = TANK_UNITS;
    vm_charge(L, due);
}

static int find_plain(lua_State *L, const struct arguments *a)
{
    const char *s = a->subject + a->init;
    size_t bytes = a->subject_bytes - a->init;
    const char *at = find_bytes(s, bytes, a->pattern, a->pattern_bytes);
    if (at != NULL) bytes = (size_t)(at - s);
    spend(L, lua_touserdata(L, PROGRAMS), 1 + bytes / RUN_BYTES);
    if (at == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lua_Integer first = at - a->subject + 1;
    lua_pushinteger(L, first);
    lua_pushinteger(L, first + (lua_Integer)a->pattern_bytes - 1);
    return 2;
}

/* The results of find() (`wants_place`) or match(). */
static int find_compiled(lua_State *L, const struct arguments *a,
                         bool wants_place)
{
    struct match m;
    struct programs *cache = lua_touserdata(L, PROGRAMS);
    const struct program *program =
        programs_at_2(L, cache, a->pattern, a->pattern_bytes);
    match_init(&m, L, cache, program, a->subject, a->subject_bytes);
    const char *to, *from = search(&m, a->subject + a->init, NULL, &to);
    match_end(&m);
    if (from == NULL) {
        lua_pushnil(L);
        return 1;
    }
    if (!wants_place) return push_captures(&m, from, to);
    lua_pushinteger(L, from - a->subject + 1);
    lua_pushinteger(L, to - a->subject);
    return 2 + (m.capture_count ? push_captures(&m, from, to) : 0);
}

static int find(lua_State *L)
{
    struct arguments a;
    take_arguments(L, &a);
    if (a.init > a.subject_bytes) {
        lua_pushnil(L);
        return 1;
    }
    if (is_plain(a.pattern, a.pattern_bytes) || lua_toboolean(L, 4))
        return find_plain(L, &a);
    return find_compiled(L, &a, true);
}

static int match(lua_State *L)
{
    struct arguments a;
    take_arguments(L, &a);
    if (a.init <= a.subject_bytes) return find_compiled(L, &a, false);
    lua_pushnil(L);
    return 1;
}

/* An iterator's upvalues: the subject, this, the program, the cache, recent
 * strings. The others keep what it points to. */
enum { GMATCH = lua_upvalueindex(2), STRINGS = lua_upvalueindex(5) };

struct gmatch {
    struct programs *cache;
    const struct program *program;
    struct recent *recent;
    const char *subject;
    size_t subject_bytes;
    const char *at;   /* where to go on; NULL: nowhere */
    const char *last; /* the end of the last match, or NULL */
    uint64_t members; /* words: of the block at `at`, those still to come */
};

static int gmatch_next(lua_State *L)
{
    struct gmatch *g = lua_touserdata(L, GMATCH);
    struct match m;
    if (g->at == NULL) return 0;
    match_init(&m, L, g->cache, g->program, g->subject, g->subject_bytes);
    const char *to, *from = search(&m, g->at, g->last, &to);
    match_end(&m);
    if (from == NULL) return 0;
    g->at = g->last = to;
    return push_captures(&m, from, to);
}

/* Goes on to the block at `at`, which is not before the one in hand. */
static void take_block(lua_State *L, struct gmatch *g, const char *at)
{
    const char *end = g->subject + g->subject_bytes;
    size_t bytes = (size_t)(at - g->at) + SET_BLOCK;
    g->members = set_members(g->program->run, at, end);
    g->at = at;
    spend(L, g->cache, bytes / RUN_BYTES);
}

/* The iterator over runs of one set, words above all. */
static int gmatch_next_run(lua_State *L)
{
    struct gmatch *g = lua_touserdata(L, GMATCH);
    const char *end = g->subject + g->subject_bytes;
    while (g->members == 0) {
        if (end - g->at <= SET_BLOCK) return 0;
        take_block(L, g, g->at + SET_BLOCK);
    }
    unsigned first = (unsigned)__builtin_ctzll(g->members);
    uint64_t others = ~(g->members >> first);
    unsigned length = others ? (unsigned)__builtin_ctzll(others) : SET_BLOCK;
    const char *from = g->at + first, *to = from + length;
    if (first + length < SET_BLOCK) {
        g->members &= ~(uint64_t)0 << (first + length);
    } else { /* it may go on behind the block */
        to = set_run_end(g->program->run, g->at + SET_BLOCK, end);
        take_block(L, g, to);
    }
    recent_push(L, g->recent, STRINGS, from, (size_t)(to - from));
    return 1;
}

static int gmatch(lua_State *L)
{
    struct arguments a;
    take_arguments(L, &a);
    struct programs *cache = lua_touserdata(L, PROGRAMS);
    lua_settop(L, 2);
    const struct program *program =
        programs_push(L, cache, a.pattern, a.pattern_bytes, *a.pattern != '^');
    struct gmatch *g = lua_newuserdatauv(L, sizeof *g, 0);
    bool any = a.init <= a.subject_bytes;
    *g = (struct gmatch){
        .cache = cache,
        .program = program,
        .subject = a.subject,
        .subject_bytes = a.subject_bytes,
        .at = any ? a.subject + a.init : NULL,
    };
    bool runs = any && program->kind == PROGRAM_RUN && !program->anchored;
    if (runs) take_block(L, g, g->at);
    lua_replace(L, 2); /* the pattern is not needed any more */
    lua_pushvalue(L, PROGRAMS);
    g->recent = recent_begin(L);
    lua_pushcclosure(L, runs ? gmatch_next_run : gmatch_next, 5);
    return 1;
}

enum { REPLACEMENT = 3 };

/* A call of gsub. */
struct gsub {
    struct match m;
    luaL_Buffer out;  /* Lua owns what it allocates */
    const char *kept; /* from here to the match the subject stays as it is */
    int type;         /* of the replacement */
    bool is_plain;    /* it is a string without '%' */
    const char *text; /* of a string replacement */
    size_t text_bytes;
};

static void add_kept(struct gsub *g, const char *to)
{
    luaL_addlstring(&g->out, g->kept, (size_t)(to - g->kept));
    g->kept = to;
}

/* What "%c" in a replacement stands for. */
static void add_escape(struct gsub *g, char c, const char *from, const char *to)
{
    if (c == '%') {
        luaL_addchar(&g->out, '%');
    } else if (c == '0') {
        luaL_addlstring(&g->out, from, (size_t)(to - from));
    } else if (c >= '1' && c <= '9') {
        struct capture capture =
            capture_at(&g->m, (unsigned)(c - '1'), from, to);
        if (capture.bytes == CAPTURE_POSITION) {
            lua_pushinteger(g->m.L, capture.from - g->m.subject + 1);
            luaL_addvalue(&g->out);
        } else {
            luaL_addlstring(&g->out, capture.from, (size_t)capture.bytes);
        }
    } else {
        match_end(&g->m);
        luaL_error(g->m.L, "invalid use of '%%' in replacement string");
    }
}

static void add_template(struct gsub *g, const char *from, const char *to)
{
    const char *s = g->text, *end = s + g->text_bytes, *escape;
    while ((escape = memchr(s, '%', (size_t)(end - s))) != NULL) {
        luaL_addlstring(&g->out, s, (size_t)(escape - s));
        add_escape(g, escape[1], from, to);
        s = escape + 2;
    }
    luaL_addlstring(&g->out, s, (size_t)(end - s));
}

/* The value that a function or a table gives for the match; false if that is
 * to stay as it is. */
static bool add_looked_up(struct gsub *g, const char *from, const char *to)
{
    lua_State *L = g->m.L;
    match_end(&g->m); /* the callback may match too */
    if (g->type == LUA_TFUNCTION) {
        lua_pushvalue(L, REPLACEMENT);
        lua_call(L, push_captures(&g->m, from, to), 1);
    } else {
        push_capture(&g->m, 0, from, to);
        lua_gettable(L, REPLACEMENT);
    }
    g->m.burnt += g->m.tank - g->m.fuel;
    g->m.fuel = g->m.tank = g->m.cache->fuel;
    if (!lua_toboolean(L, -1)) return lua_pop(L, 1), false;
    if (!lua_isstring(L, -1))
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(&g->out);
    return true;
}

/* Replaces the match, or leaves it: false. */
static bool replace(struct gsub *g, const char *from, const char *to)
{
    bool replaced = true;
    add_kept(g, from);
    if (g->is_plain)
        luaL_addlstring(&g->out, g->text, g->text_bytes);
    else if (g->text != NULL)
        add_template(g, from, to);
    else
        replaced = add_looked_up(g, from, to);
    if (replaced) g->kept = to;
    return replaced;
}

static void take_replacement(lua_State *L, struct gsub *g)
{
    g->type = lua_type(L, REPLACEMENT);
    g->text = NULL;
    g->is_plain = false;
    if (g->type != LUA_TSTRING && g->type != LUA_TNUMBER) return;
    g->text = lua_tolstring(L, REPLACEMENT, &g->text_bytes);
    g->is_plain = memchr(g->text, '%', g->text_bytes) == NULL;
}

static int gsub(lua_State *L)
{
    struct gsub g;
    size_t subject_bytes, bytes;
    const char *subject = luaL_checklstring(L, 1, &subject_bytes);
    const char *pattern = luaL_checklstring(L, 2, &bytes);
    int type = lua_type(L, REPLACEMENT);
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)subject_bytes + 1);
    luaL_argexpected(L,
                     type == LUA_TNUMBER || type == LUA_TSTRING ||
                         type == LUA_TFUNCTION || type == LUA_TTABLE,
                     REPLACEMENT, "string/function/table");
    lua_settop(L, REPLACEMENT);
    take_replacement(L, &g);
    struct programs *cache = lua_touserdata(L, PROGRAMS);
    const struct program *program =
        programs_push(L, cache, pattern, bytes, true);
    match_init(&g.m, L, cache, program, subject, subject_bytes);
    g.kept = subject;
    luaL_buffinit(L, &g.out);
    const char *s = subject, *last = NULL, *from, *to;
    lua_Integer count = 0;
    bool changed = false;
    while (count < most && (from = search(&g.m, s, last, &to)) != NULL) {
        count++;
        if (replace(&g, from, to)) changed = true;
        s = last = to;
        if (program->anchored) break;
    }
    match_end(&g.m);
    if (changed) {
        add_kept(&g, g.m.end);
        luaL_pushresult(&g.out);
    } else {
        lua_pushvalue(L, 1);
    }
    lua_pushinteger(L, count);
    return 2;
}

void pattern_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"find", find}, {"match", match}, {"gmatch", gmatch},
        {"gsub", gsub}, {NULL, NULL},
    };
    luaL_checkstack(L, 2, NULL);
    programs_new(L)->fuel = TANK_UNITS;
    luaL_setfuncs(L, functions, 1);
}

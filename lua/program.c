#include "lua/program.h"
#include <string.h>

/* Compiling is done twice: with `out` NULL it only counts. */
struct build {
    lua_State *L;
    const char *pattern, *end;
    void *scratch;       /* borrowed; NULL, or to be used if it is enough */
    struct program *out; /* in it, or owned by Lua, on its stack */
    struct item *items;
    struct set *sets;
    uint8_t *tables;
    char *text;
    size_t item_count, set_count, text_bytes;
    bool in_text; /* the last item is a text that may grow */
    struct item unused;
    unsigned level;
    bool open[CAPTURES_MAX];
    bool has_back;
};

/* Short enough that stock Lua's depth can't be reached: only such a pattern
 * may be made faster, so that "pattern too complex" comes when it should. */
static bool is_small(const struct build *b)
{
    return b->item_count < DEPTH_MAX;
}

static struct item *add(struct build *b, enum op op)
{
    struct item *item = b->out ? &b->items[b->item_count] : &b->unused;
    b->item_count++;
    b->in_text = false;
    *item = (struct item){.op = (uint8_t)op};
    return item;
}

/* The set with these bytes: of the last few, or a new one. */
static const struct set *add_set(struct build *b, const struct byteset *bytes)
{
    size_t n = b->set_count;
    if (b->out) {
        size_t first = n > SETS_PER_TABLE ? n - SETS_PER_TABLE : 0;
        for (size_t i = first; i < n; i++)
            if (byteset_same(&b->sets[i].bytes, bytes)) return &b->sets[i];
        uint8_t *table = b->tables + n / SETS_PER_TABLE * SET_TABLE_BYTES;
        set_make(&b->sets[n], bytes, table,
                 (uint8_t)(1u << n % SETS_PER_TABLE));
    }
    b->set_count++;
    return b->out ? &b->sets[n] : NULL;
}

static void add_mistake(struct build *b, enum mistake mistake)
{
    add(b, OP_MISTAKE)->arg = (uint8_t)mistake;
}

static void add_text(struct build *b, char c)
{
    if (!b->in_text) {
        struct item *item = add(b, OP_TEXT);
        item->u.text.at = b->out ? b->text + b->text_bytes : NULL;
        b->in_text = true;
    }
    if (b->out) {
        b->text[b->text_bytes] = c;
        b->items[b->item_count - 1].u.text.bytes++;
    }
    b->text_bytes++;
}

/* The end of the single-character item at p; NULL when it has none, `why` says
 * what is wrong with it. */
static const char *single_end(const struct build *b, const char *p,
                              enum mistake *why)
{
    if (*p == '%') {
        *why = MISTAKE_ENDS_WITH_ESCAPE;
        return p + 1 == b->end ? NULL : p + 2;
    }
    if (*p++ != '[') return p;
    *why = MISTAKE_NO_BRACKET;
    if (p < b->end && *p == '^') p++;
    do { /* a ']' that comes first stands for itself */
        if (p == b->end) return NULL;
        if (*p++ == '%' && p < b->end) p++;
    } while (p == b->end || *p != ']');
    return p + 1;
}

/* What the single-character item from p to end matches. */
static struct byteset single_set(const char *p, const char *end)
{
    struct byteset s = byteset_nothing;
    switch (*p) {
    case '.': return byteset_everything;
    case '[': return byteset_bracket(p, end - 1);
    case '%': byteset_put_escape(&s, (uint8_t)p[1]); break;
    default: byteset_put(&s, (uint8_t)*p); break;
    }
    return s;
}

static bool is_literal(const char *p)
{
    struct byteset unused;
    if (*p == '%') return !byteset_class((uint8_t)p[1], &unused);
    return *p != '.' && *p != '[';
}

static void add_repeat(struct build *b, enum op op, uint8_t min,
                       const struct byteset *bytes)
{
    struct item *item = add(b, op);
    item->min = min;
    item->set = add_set(b, bytes);
    if (!b->out) b->set_count++; /* there may be a `follow` */
}

/* Each of these adds what begins at p and returns where the next item begins;
 * NULL after a mistake: what follows it is never reached. */
static const char *add_single(struct build *b, const char *p)
{
    enum mistake why;
    const char *end = single_end(b, p, &why);
    if (end == NULL) return add_mistake(b, why), NULL;
    char repeat = end < b->end ? *end : 0;
    if (is_literal(p) && !memchr("*+?-", repeat, 4)) {
        add_text(b, *p == '%' ? p[1] : *p);
        return end;
    }
    struct byteset bytes = single_set(p, end);
    switch (repeat) {
    case '*': add_repeat(b, OP_GREEDY, 0, &bytes); break;
    case '+': add_repeat(b, OP_GREEDY, 1, &bytes); break;
    case '-': add_repeat(b, OP_LAZY, 0, &bytes); break;
    case '?': add_repeat(b, OP_MAYBE, 0, &bytes); break;
    default: add(b, OP_SET)->set = add_set(b, &bytes); return end;
    }
    return end + 1;
}

static const char *add_open(struct build *b, const char *p)
{
    if (b->level == CAPTURES_MAX) return add_mistake(b, MISTAKE_CAPTURES), NULL;
    bool position = p + 1 < b->end && p[1] == ')';
    b->open[b->level] = !position;
    add(b, position ? OP_POSITION : OP_OPEN)->arg = (uint8_t)b->level++;
    return p + (position ? 2 : 1);
}

static const char *add_close(struct build *b, const char *p)
{
    unsigned level = b->level;
    while (level > 0 && !b->open[level - 1])
        level--;
    if (level == 0) return add_mistake(b, MISTAKE_CLOSE), NULL;
    b->open[level - 1] = false;
    add(b, OP_CLOSE)->arg = (uint8_t)(level - 1);
    return p + 1;
}

static const char *add_balance(struct build *b, const char *p)
{
    if (b->end - p < 4) return add_mistake(b, MISTAKE_NO_BALANCE), NULL;
    struct item *item = add(b, OP_BALANCE);
    item->arg = (uint8_t)p[2];
    item->arg2 = (uint8_t)p[3];
    return p + 4;
}

static const char *add_frontier(struct build *b, const char *p)
{
    enum mistake why = MISTAKE_NO_FRONTIER_SET;
    const char *end = NULL;
    if (b->end - p > 2 && p[2] == '[') end = single_end(b, p + 2, &why);
    if (end == NULL) return add_mistake(b, why), NULL;
    struct byteset bytes = byteset_bracket(p + 2, end - 1);
    add(b, OP_FRONTIER)->set = add_set(b, &bytes);
    return end;
}

static const char *add_back(struct build *b, const char *p)
{
    unsigned capture = (unsigned)(p[1] - '1'); /* "%0" is huge: a mistake */
    if (capture >= b->level || b->open[capture]) {
        add_mistake(b, MISTAKE_BACK);
        if (b->out) b->items[b->item_count - 1].arg2 = (uint8_t)(p[1] - '0');
        return NULL;
    }
    add(b, OP_BACK)->arg = (uint8_t)capture;
    b->has_back = true;
    return p + 2;
}

static const char *add_next(struct build *b, const char *p)
{
    char second = p + 1 < b->end ? p[1] : 0;
    if (*p == '(') return add_open(b, p);
    if (*p == ')') return add_close(b, p);
    if (*p == '$' && p + 1 == b->end) return add(b, OP_DOLLAR), p + 1;
    if (*p == '%' && second == 'b') return add_balance(b, p);
    if (*p == '%' && second == 'f') return add_frontier(b, p);
    if (*p == '%' && second >= '0' && second <= '9') return add_back(b, p);
    return add_single(b, p);
}

static void parse(struct build *b)
{
    const char *p = b->pattern;
    while (p != NULL && p < b->end)
        p = add_next(b, p);
    add(b, OP_END);
    if (!b->out) b->set_count++; /* there may be a `start` */
}

/* What is known of the pattern from an item on. */
struct ahead {
    struct byteset first; /* before another byte it fails, and raises nothing */
    bool at_end;          /* so it does at the subject's end if this is false */
    bool sure;            /* it matches anywhere */
};

static void set_follow(struct build *b, struct item *item,
                       const struct ahead *a)
{
    bool anything = a->at_end && byteset_same(&a->first, &byteset_everything);
    item->u.follow = anything ? NULL : add_set(b, &a->first);
    item->follow_at_end = a->at_end;
}

/* A choice that could never be taken back with success is none: bytes given
 * back are in the item's set, and the rest can't begin with such a byte. */
static void settle(struct build *b, struct item *item, const struct ahead *a)
{
    bool settled = a->sure || byteset_apart(&item->set->bytes, &a->first);
    switch (item->op) {
    case OP_MAYBE:
        if (settled) item->op = OP_OPTION;
        return;
    case OP_LAZY:
        if (settled && !a->sure) item->op = OP_SPAN;
        break;
    default:
        if (settled) item->op = OP_SPAN;
        break;
    }
    if (item->op != OP_SPAN) set_follow(b, item, a);
}

static void look_back(struct build *b, struct item *item, struct ahead *a)
{
    switch (item->op) {
    case OP_OPEN:
    case OP_CLOSE:
    case OP_POSITION: return;
    case OP_END:
        *a = (struct ahead){byteset_everything, .at_end = true, .sure = true};
        return;
    case OP_MISTAKE:
    case OP_BACK:
        *a = (struct ahead){byteset_everything, .at_end = true};
        return;
    case OP_DOLLAR:
        *a = (struct ahead){byteset_nothing, .at_end = true};
        return;
    case OP_BYTE:
    case OP_TEXT:
        *a = (struct ahead){.at_end = false};
        byteset_put(&a->first, (uint8_t)item->u.text.at[0]);
        return;
    case OP_BALANCE:
        *a = (struct ahead){.at_end = false};
        byteset_put(&a->first, item->arg);
        return;
    case OP_SET: *a = (struct ahead){.first = item->set->bytes}; return;
    case OP_FRONTIER:
        byteset_cut(&a->first, &item->set->bytes);
        a->at_end = a->at_end && byteset_in(&item->set->bytes, 0);
        a->sure = false;
        return;
    default: break;
    }
    settle(b, item, a);
    if (item->min > 0)
        *a = (struct ahead){.first = item->set->bytes};
    else
        byteset_join(&a->first, &item->set->bytes);
}

/* The leading SPAN: a walk that begins later in its run ends it at the same
 * place, so it fails as well, unless it asks what was captured. */
static void set_skip(const struct build *b, struct program *program)
{
    const struct item *item = program->items;
    while (item->op == OP_OPEN || item->op == OP_POSITION)
        item++;
    if (item->op != OP_SPAN) return;
    program->run = item->set;
    program->skips_run = !b->has_back;
}

static void set_kind(struct program *program)
{
    const struct item *item = program->items;
    bool captures = item->op == OP_OPEN;
    if (captures) item++;
    if (item->op == OP_TEXT && item[1].op == OP_END && !captures)
        program->kind = PROGRAM_TEXT;
    if (item->op != OP_SPAN || item->min == 0) return;
    if (captures && (++item)->op != OP_CLOSE) return;
    if (item[1].op == OP_END) program->kind = PROGRAM_RUN;
}

static void optimise(struct build *b)
{
    struct program *program = b->out;
    struct ahead a = {.at_end = false};
    for (size_t i = b->item_count; i-- > 0;)
        look_back(b, &b->items[i], &a);
    program->start_at_end = a.at_end;
    if (!program->anchored && !byteset_same(&a.first, &byteset_everything))
        program->start = add_set(b, &a.first);
    set_skip(b, program);
    set_kind(program);
    for (size_t i = 0; i < b->item_count; i++) {
        struct item *item = &b->items[i];
        if (item->op != OP_TEXT || item->u.text.bytes > 1) continue;
        if (program->kind == PROGRAM_TEXT) continue;
        item->op = OP_BYTE;
        item->arg = (uint8_t)item->u.text.at[0];
    }
}

/* The block of a counted build; its parts follow each other. [-0, +(0|1), m] */
static void place(struct build *b)
{
    size_t items = sizeof *b->out;
    size_t sets = items + b->item_count * sizeof *b->items;
    size_t tables = sets + b->set_count * sizeof *b->sets;
    size_t table_count = (b->set_count + SETS_PER_TABLE - 1) / SETS_PER_TABLE;
    size_t text = tables + table_count * SET_TABLE_BYTES;
    size_t bytes = text + b->text_bytes;
    char *block = b->scratch;
    if (block == NULL || bytes > PROGRAM_SCRATCH_BYTES)
        block = lua_newuserdatauv(b->L, bytes, 0);
    memset(block + tables, 0, text - tables);
    b->out = (struct program *)block;
    b->items = (struct item *)(block + items);
    b->sets = (struct set *)(block + sets);
    b->tables = (uint8_t *)block + tables;
    b->text = block + text;
    *b->out = (struct program){.bytes = bytes, .items = b->items};
}

const struct program *program_compile(lua_State *L, const char *pattern,
                                      size_t bytes, bool anchored,
                                      void *scratch)
{
    struct build b = {
        .L = L,
        .pattern = pattern + anchored,
        .end = pattern + bytes,
        .scratch = scratch,
    };
    parse(&b);
    place(&b);
    bool small = is_small(&b);
    b.item_count = b.set_count = b.text_bytes = b.level = 0;
    parse(&b);
    b.out->anchored = anchored;
    b.out->captures = (uint8_t)b.level;
    b.out->start_at_end = true;
    if (small) optimise(&b);
    return b.out;
}

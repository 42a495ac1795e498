#include "lua/vm.h"
#include "core/alloc.h"
#include "lua/hint.h"
#include "lua/sandbox.h"
#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

enum {
    COUNT_STEPS = 1000,  /* a hook that is always on: between two looks */
    BYTES_PER_STEP = 64, /* what is copied in the time of a step */
    TRACE_LEVELS = 20,   /* lines of a traceback */
    SPARE_BYTES = 64 << 10,
    /* Each nested close has a C stack of its own of up to 200 calls. */
    CLOSES_MAX = 6,
};

/* What the budget knows of the call in hand. Unit: ns, or steps when counting.
 */
struct meter {
    uint64_t tuples; /* moves with each call */
    uint64_t judged; /* `tuples` at the last look: moved means a new call */
    uint64_t used;   /* of the budget, at the last look */
    uint64_t mark;   /* when the last look was, or the slice began */
    uint64_t budget;
    bool doomed; /* over: nothing of this call may run on */
};

struct vm {
    lua_State *main;
    lua_State *co; /* the executor's; anchored in the registry under &co. NULL
                      when it was lost: the next run makes another */
    struct heap *heap;
    struct vm_config config;
    struct watchdog_seat *seat; /* the running thread's, else &alone */
    struct watchdog_seat alone; /* a seat that nobody watches */
    struct meter meter;
    bool ordered;         /* pairs and next go in the order of the keys */
    bool ticking;         /* the hook is always on: counting, or no signals */
    uint64_t steps;       /* counting: instructions so far */
    uint64_t slice_steps; /* counting: `steps` when the slice began */
    uint64_t large_bytes; /* counting: of the heap, so far */
    /* How many frames between here and the host can't yield: calls of
     * coroutine.resume in such frames, and closings. */
    uint32_t pinned;
    uint32_t closing;
    uint64_t pinned_call;  /* found over its slice where it can't yield, */
    uint32_t pinned_looks; /* so many times */
    bool passing; /* a suspension by the engine is on its way to the host */
    enum vm_outcome verdict; /* why */
    /* Where a call that is dropped stood; NULL: none is. */
    lua_State *stopped;
    int stopped_line;
    uint64_t sleep_ns;
    bool suspended;
    char *error; /* owned; NULL: none, or no memory for it */
    int64_t born_ns;
    uint32_t refs;
    int coroutines;
};

static const char no_memory[] = "not enough memory";

/* --- which VM, which coroutine --- */

/* A coroutine's extra space holds the VM's address; the lowest bit marks a
 * condemned coroutine. Lua copies the main state's into each new one. */
static uintptr_t *tag_of(lua_State *L)
{
    return (uintptr_t *)lua_getextraspace(L);
}

struct vm *vm_of(lua_State *L)
{
    return (struct vm *)(*tag_of(L) & ~(uintptr_t)1);
}

bool vm_is_condemned(lua_State *co)
{
    return *tag_of(co) & 1;
}

static void condemn(lua_State *co)
{
    *tag_of(co) |= 1;
}

bool vm_is_own(lua_State *co)
{
    const struct vm *vm = vm_of(co);
    return co == vm->co || co == vm->main;
}

void *vm_host(lua_State *L)
{
    return vm_of(L)->config.host;
}

const struct vm_config *vm_config_of(const struct vm *vm)
{
    return &vm->config;
}

struct heap *vm_heap(struct vm *vm)
{
    return vm->heap;
}

lua_State *vm_main(struct vm *vm)
{
    return vm->main;
}

uint64_t vm_steps(const struct vm *vm)
{
    return vm->steps;
}

int64_t *vm_born_ns(lua_State *L)
{
    return &vm_of(L)->born_ns;
}

bool vm_is_ordered(lua_State *L)
{
    return vm_of(L)->ordered;
}

void vm_set_ordered(struct vm *vm, bool ordered)
{
    vm->ordered = ordered || vm->config.counting;
}

void vm_count_refs(lua_State *L, int change)
{
    vm_of(L)->refs += (uint32_t)change;
}

int *vm_coroutines(lua_State *L)
{
    return &vm_of(L)->coroutines;
}

/* --- slice and budget --- */

static bool is_metered(const struct vm *vm)
{
    return vm->config.counting || vm->seat->watchdog != NULL;
}

static uint64_t now(const struct vm *vm)
{
    return vm->config.counting ? vm->steps : watchdog_now_ns();
}

static uint64_t full_budget(const struct vm *vm)
{
    return vm->config.counting ? vm->config.budget_steps : vm->config.budget_ns;
}

static void meter_start(struct vm *vm, uint64_t budget)
{
    struct meter *m = &vm->meter;
    m->judged = ++m->tuples;
    m->used = 0;
    m->mark = now(vm);
    m->budget = budget;
    m->doomed = false;
}

/* Adds the time since the last look. A call that began since then starts from
 * zero here: when exactly it began nobody has noted, that would cost a clock
 * read per tuple. */
static bool is_over_budget(struct vm *vm)
{
    struct meter *m = &vm->meter;
    if (!is_metered(vm)) return false;
    uint64_t t = now(vm);
    if (m->judged == m->tuples)
        m->used += t - m->mark;
    else
        m->used = 0;
    m->judged = m->tuples;
    m->mark = t;
    if (m->used > m->budget) m->doomed = true;
    return m->doomed;
}

static bool is_slice_over(struct vm *vm)
{
    if (vm->config.counting)
        return vm->steps - vm->slice_steps >= vm->config.slice_steps;
    return watchdog_is_over(vm->seat);
}

static void on_count(lua_State *L, lua_Debug *ar);

/* Fire at each instruction: pcall can't swallow the end of a call. */
static void arm(lua_State *L)
{
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
}

/* Back to normal running. */
static void calm(struct vm *vm, lua_State *L)
{
    if (vm->ticking)
        lua_sethook(L, on_count, LUA_MASKCOUNT, COUNT_STEPS);
    else
        lua_sethook(L, NULL, 0, 0);
}

/* Fills in what `fields` asks for of a frame. Where a call was dropped, Lua has
 * taken the instruction back: it would name the line of the one before. */
static void look_at(lua_State *of, int level, const char *fields, lua_Debug *ar)
{
    const struct vm *vm = vm_of(of);
    lua_getinfo(of, fields, ar);
    if (level == 0 && of == vm->stopped) ar->currentline = vm->stopped_line;
}

/* Pushes "file:line: " of the innermost Lua function of `of`, or "". */
static void push_place(lua_State *L, lua_State *of)
{
    lua_Debug ar;
    for (int level = 0; level < 3 && lua_getstack(of, level, &ar); level++) {
        look_at(of, level, "Sl", &ar);
        if (ar.currentline > 0) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

/* Pushes what a call over its budget is told; it stands still in `of`. */
static void push_doom(struct vm *vm, lua_State *L, lua_State *of)
{
    push_place(L, of);
    if (vm->config.counting)
        lua_pushfstring(L,
                        "the call was over its budget of %I instructions; do "
                        "less in one call",
                        (LUAI_UACINT)vm->config.budget_steps);
    else
        lua_pushfstring(L,
                        "the call was over its budget of %f s; do less in one "
                        "call, or give it a larger budget",
                        (LUAI_UACNUMBER)vm->config.budget_ns / 1e9);
    lua_concat(L, 2);
}

/* Ends a doomed call where its frame can't yield. */
static int raise_doom(struct vm *vm, lua_State *L)
{
    arm(L);
    luaL_checkstack(L, 4, NULL);
    push_doom(vm, L, L);
    return lua_error(L);
}

static void suspend(struct vm *vm, enum vm_outcome verdict)
{
    vm->passing = true;
    vm->verdict = verdict;
}

/* In the hook, which still knows the line. */
static void suspend_dropped(struct vm *vm, lua_State *L, lua_Debug *ar)
{
    lua_getinfo(L, "l", ar);
    vm->stopped = L;
    vm->stopped_line = ar->currentline;
    suspend(vm, VM_DROPPED);
}

bool vm_can_yield(lua_State *L)
{
    return vm_of(L)->pinned == 0 && lua_isyieldable(L);
}

/* The slice is over where nothing can yield. When it is seen again, half a
 * slice later, the call has neither ended nor come to where it can. */
static void hold_up(struct vm *vm)
{
    if (vm->pinned_call != vm->meter.tuples) vm->pinned_looks = 0;
    vm->pinned_call = vm->meter.tuples;
    if (++vm->pinned_looks == 2 && vm->config.held_up)
        vm->config.held_up(vm->config.host);
}

/* Instructions since the hook before, and what took large blocks meanwhile: a
 * text that grows by a byte is copied whole. */
static uint64_t steps_since(struct vm *vm, lua_State *L)
{
    uint64_t large_bytes = heap_counted(vm->heap).large_bytes;
    uint64_t more = large_bytes - vm->large_bytes;
    vm->large_bytes = large_bytes;
    return (uint64_t)lua_gethookcount(L) + more / BYTES_PER_STEP;
}

/* The count hook: fires once after the watchdog's signal, at every instruction
 * of a doomed call, and when counting every COUNT_STEPS. */
static void on_count(lua_State *L, lua_Debug *ar)
{
    struct vm *vm = vm_of(L);
    if (vm->config.counting) vm->steps += steps_since(vm, L);
    /* The signal repeats; and another coroutine's hook may be left over from a
     * slice long ago. */
    if (!vm->ticking || lua_gethookcount(L) != COUNT_STEPS) calm(vm, L);
    if (!vm->config.counting && !vm->meter.doomed && !is_slice_over(vm)) return;
    bool over = is_over_budget(vm);
    if (!over && !is_slice_over(vm)) return;
    if (vm_can_yield(L)) {
        if (over)
            suspend_dropped(vm, L, ar);
        else
            suspend(vm, VM_YIELDED);
        lua_yield(L, 0);
    } else if (over && lua_isyieldable(L)) {
        /* This coroutine can yield, one below it can't: it is left as it is,
         * and its resumer raises (vm_pass). An error out of a hook would leave
         * hooks off in this coroutine if nobody caught it. */
        suspend_dropped(vm, L, ar);
        lua_yield(L, 0);
    } else if (over) {
        raise_doom(vm, L);
    } else {
        hold_up(vm);
    }
}

void vm_next_tuple(lua_State *L)
{
    struct vm *vm = vm_of(L);
    vm->meter.tuples++;
    if (!vm->meter.doomed) return;
    vm->meter.doomed = false;
    /* Else a batch of such calls would go on and on in its slice. */
    if (is_slice_over(vm))
        arm(L);
    else
        calm(vm, L);
}

void vm_charge(lua_State *L, size_t steps)
{
    struct vm *vm = vm_of(L);
    if (vm == NULL) return;
    if (vm->config.counting)
        vm->steps += steps;
    else if (!watchdog_landed(vm->seat) && !vm->meter.doomed)
        return;
    if (is_over_budget(vm))
        raise_doom(vm, L);
    else if (is_slice_over(vm))
        hold_up(vm); /* the loop in C is what can't */
}

/* --- suspensions that C functions ask for --- */

static int after_sleep(lua_State *L, int status, lua_KContext ctx)
{
    return 0;
}

int vm_sleep(lua_State *L, uint64_t ns)
{
    struct vm *vm = vm_of(L);
    if (!vm_can_yield(L))
        return luaL_error(L, "sleep can't be called inside a comparator, a "
                             "callback of the library or a metamethod");
    if (is_over_budget(vm)) return raise_doom(vm, L);
    suspend(vm, VM_SLEEPING);
    vm->sleep_ns = ns;
    return lua_yieldk(L, 0, 0, after_sleep);
}

/* --- coroutines --- */

int vm_enter(lua_State *L, lua_State *co, int nargs, int *nres, bool *engine)
{
    struct vm *vm = vm_of(L);
    uint32_t pin = !lua_isyieldable(L);
    vm->pinned += pin;
    if (vm->meter.doomed) arm(co);
    watchdog_switch(vm->seat, co);
    int status = lua_resume(co, L, nargs, nres);
    watchdog_switch(vm->seat, L);
    vm->pinned -= pin;
    *engine = status == LUA_YIELD && vm->passing;
    if (vm->meter.doomed && !vm->passing) arm(L); /* sticky */
    /* It may have died inside the hook, with hooks off for good: its pending
     * __close would be out of reach. */
    if (vm->meter.doomed && status > LUA_YIELD) condemn(co);
    return status;
}

int vm_pass(lua_State *L, lua_State *co, lua_KContext ctx, lua_KFunction k)
{
    struct vm *vm = vm_of(L);
    /* A dropped call goes on nowhere: later calls must not find its coroutines
     * to be resumed in the middle of it. */
    if (vm->verdict == VM_DROPPED) condemn(co);
    if (vm_can_yield(L)) return lua_yieldk(L, 0, ctx, k);
    assert(vm->meter.doomed);
    vm->passing = false;
    condemn(co);
    return raise_doom(vm, L);
}

int vm_close_coroutine(lua_State *L, lua_State *co)
{
    struct vm *vm = vm_of(L);
    if (vm->closing >= CLOSES_MAX)
        return luaL_error(L, "coroutine.close is nested too deep");
    vm->closing++;
    vm->pinned++;
    if (vm->meter.doomed) arm(co);
    watchdog_switch(vm->seat, co);
    int status = lua_resetthread(co);
    watchdog_switch(vm->seat, L);
    vm->pinned--;
    vm->closing--;
    if (vm->meter.doomed) arm(L);
    return status;
}

/* --- error text --- */

static int call_tostring(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

const char *vm_text(lua_State *L, int index)
{
    luaL_checkstack(L, 4, NULL);
    index = lua_absindex(L, index);
    int type = lua_type(L, index);
    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        lua_pushvalue(L, index);
        return lua_tostring(L, -1);
    }
    if (luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushcfunction(L, call_tostring);
        lua_pushvalue(L, index);
        if (lua_pcall(L, 1, 1, 0) == LUA_OK) return lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    return lua_pushfstring(L,
                           "(error object is a %s value); give error() a text",
                           lua_typename(L, type));
}

/* Pushes where one frame is, in Lua's own words. */
static void push_frame(lua_State *L, const lua_Debug *ar)
{
    if (ar->currentline > 0)
        lua_pushfstring(L, "\n\t%s:%d: in ", ar->short_src, ar->currentline);
    else
        lua_pushfstring(L, "\n\t%s: in ", ar->short_src);
    if (*ar->namewhat != '\0')
        lua_pushfstring(L, "%s '%s'", ar->namewhat, ar->name);
    else if (*ar->what == 'm')
        lua_pushliteral(L, "main chunk");
    else
        lua_pushfstring(L, "function <%s:%d>", ar->short_src, ar->linedefined);
    lua_pushstring(L, ar->istailcall ? "\n\t(...tail calls...)" : "");
    lua_concat(L, 3);
}

/* Appends the frames of `of` to the string at the top of L. C functions
 * without a name are the engine's own. [-1, +1, m] */
static void append_traceback(lua_State *L, lua_State *of, int level)
{
    lua_Debug ar;
    lua_pushliteral(L, "\nstack traceback:");
    int parts = 2;
    for (int n = 0; lua_getstack(of, level, &ar); level++) {
        look_at(of, level, "Slnt", &ar);
        if (*ar.what == 'C' && *ar.namewhat == '\0') continue;
        if (n++ == TRACE_LEVELS) {
            lua_pushliteral(L, "\n\t...");
            parts++;
            break;
        }
        push_frame(L, &ar);
        parts++;
    }
    lua_concat(L, parts);
}

static int on_error(lua_State *L)
{
    luaL_checkstack(L, TRACE_LEVELS + 10, NULL);
    vm_text(L, 1);
    hint_add(L);
    append_traceback(L, L, 1);
    return 1;
}

void vm_handler(lua_State *L)
{
    lua_pushcfunction(L, on_error);
}

static void keep_error(struct vm *vm, const char *text)
{
    mem_free(vm->error);
    vm->error = text ? mem_text(text, strlen(text)) : NULL;
}

const char *vm_error(const struct vm *vm)
{
    return vm->error ? vm->error : no_memory;
}

uint64_t vm_sleep_ns(const struct vm *vm)
{
    return vm->sleep_ns;
}

bool vm_is_suspended(const struct vm *vm)
{
    return vm->suspended;
}

/* --- the door: protected on the main state, so that whatever is thrown lands
 * here. In it the executor's coroutine is resumed. --- */

struct door {
    struct vm *vm;
    lua_CFunction body; /* NULL: resume, or abandon */
    void *ctx;
    bool abandon;
    enum vm_outcome outcome;
};

static void make_coroutine(struct vm *vm, lua_State *L)
{
    vm->co = lua_newthread(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &vm->co);
    calm(vm, vm->co);
}

static void lose_coroutine(struct vm *vm)
{
    vm->co = NULL; /* its anchor goes when the next one is made */
}

/* What closers may take, in all: a tenth of a call's budget. */
static uint64_t closing_budget(const struct vm *vm)
{
    return full_budget(vm) / 10 + 1;
}

/* Makes the coroutine ready for the next run; pending __close are called. */
static void reset_coroutine(struct vm *vm)
{
    meter_start(vm, closing_budget(vm));
    calm(vm, vm->co);
    vm->pinned++;
    vm->closing++;
    watchdog_switch(vm->seat, vm->co);
    lua_resetthread(vm->co);
    vm->pinned--;
    vm->closing--;
    /* A closer that died inside the hook, uncaught, died in a protected call:
     * hooks are on again. */
    vm->meter.doomed = false;
    lua_settop(vm->co, 0);
    calm(vm, vm->co);
}

static enum vm_outcome dropped(struct vm *vm, lua_State *L)
{
    luaL_checkstack(L, TRACE_LEVELS + 10, NULL);
    /* Nothing is pushed on the coroutine itself: it stopped within an
     * instruction, and what lies above its top may be a pending __close. */
    push_doom(vm, L, vm->stopped);
    append_traceback(L, vm->co, 0);
    keep_error(vm, lua_tostring(L, -1));
    vm->stopped = NULL;
    reset_coroutine(vm);
    return VM_DROPPED;
}

static enum vm_outcome failed(struct vm *vm, lua_State *L)
{
    luaL_checkstack(L, TRACE_LEVELS + 10, NULL);
    lua_xmove(vm->co, L, 1);
    watchdog_switch(vm->seat, L); /* a __tostring may loop */
    vm_text(L, -1);
    hint_add(L);
    append_traceback(L, vm->co, 0);
    keep_error(vm, lua_tostring(L, -1));
    /* Died in the hook: hooks are off in it, so it can't be closed. */
    if (vm->meter.doomed)
        lose_coroutine(vm);
    else
        reset_coroutine(vm);
    return VM_FAILED;
}

static enum vm_outcome suspended(struct vm *vm, lua_State *L)
{
    assert(vm->passing); /* coroutine.yield refuses the executor's coroutine */
    vm->passing = false;
    if (vm->verdict == VM_DROPPED) return dropped(vm, L);
    vm->suspended = true;
    return vm->verdict;
}

static int go_through(lua_State *L)
{
    struct door *d = lua_touserdata(L, 1);
    struct vm *vm = d->vm;
    if (vm->co == NULL) make_coroutine(vm, L);
    watchdog_switch(vm->seat, vm->co);
    if (d->abandon) {
        reset_coroutine(vm);
        return 0;
    }
    int nargs = 0, nres = 0;
    if (d->body) {
        lua_pushcfunction(vm->co, d->body);
        lua_pushlightuserdata(vm->co, d->ctx);
        nargs = 1;
    }
    int status = lua_resume(vm->co, L, nargs, &nres);
    if (status == LUA_OK) {
        lua_settop(vm->co, 0);
        d->outcome = VM_DONE;
    } else {
        d->outcome = status == LUA_YIELD ? suspended(vm, L) : failed(vm, L);
    }
    return 0;
}

static enum vm_outcome through_door(struct vm *vm, struct watchdog_seat *seat,
                                    struct door *d)
{
    vm->seat = seat ? seat : &vm->alone;
    vm->suspended = false;
    vm->passing = false;
    vm->stopped = NULL;
    vm->pinned = 0;
    vm->closing = 0;
    vm->pinned_call = 0;
    vm->slice_steps = vm->steps;
    uint64_t t = watchdog_begin(vm->seat, vm->co, on_count);
    vm->meter.mark = vm->config.counting ? vm->steps : t;
    if (d->body) {
        struct meter *m = &vm->meter;
        m->judged = ++m->tuples;
        m->used = 0;
        m->budget = full_budget(vm);
        if (m->doomed && vm->co) calm(vm, vm->co);
        m->doomed = false;
    }
    lua_pushcfunction(vm->main, go_through);
    lua_pushlightuserdata(vm->main, d);
    int status = lua_pcall(vm->main, 1, 0, 0);
    watchdog_end(vm->seat);
    vm->seat = &vm->alone;
    if (status == LUA_OK) return d->outcome;
    /* Memory ran out in the host's own steps; how far they got is unknown. */
    keep_error(vm, lua_type(vm->main, -1) == LUA_TSTRING
                       ? lua_tostring(vm->main, -1)
                       : NULL);
    lua_settop(vm->main, 0);
    lose_coroutine(vm);
    vm->suspended = false;
    return VM_FAILED;
}

enum vm_outcome vm_run(struct vm *vm, struct watchdog_seat *seat,
                       lua_CFunction body, void *ctx)
{
    assert(!vm->suspended && vm->seat == &vm->alone);
    struct door d = {.vm = vm, .body = body, .ctx = ctx};
    return through_door(vm, seat, &d);
}

enum vm_outcome vm_resume(struct vm *vm, struct watchdog_seat *seat)
{
    assert(vm->suspended);
    struct door d = {.vm = vm};
    return through_door(vm, seat, &d);
}

void vm_abandon(struct vm *vm, struct watchdog_seat *seat)
{
    if (!vm->suspended) return;
    struct door d = {.vm = vm, .abandon = true, .outcome = VM_DONE};
    through_door(vm, seat, &d);
}

err vm_protect(struct vm *vm, lua_CFunction fn, void *ctx)
{
    lua_State *L = vm->main;
    meter_start(vm, full_budget(vm));
    vm_handler(L);
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, ctx);
    int status = lua_pcall(L, 1, 0, 1);
    if (status != LUA_OK) keep_error(vm, lua_tostring(L, -1));
    lua_settop(L, 0);
    if (status == LUA_OK) return OK;
    return status == LUA_ERRMEM ? ERR_NOMEM : ERR_CRASHED;
}

err vm_protect_spare(struct vm *vm, lua_CFunction fn, void *ctx)
{
    heap_set_limit(vm->heap, vm->config.memory_bytes + SPARE_BYTES);
    err e = vm_protect(vm, fn, ctx);
    heap_set_limit(vm->heap, vm->config.memory_bytes);
    return e;
}

/* --- birth and death --- */

static int on_panic(lua_State *L)
{
    fprintf(stderr, "engine: Lua error outside any door: %s\n",
            lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?");
    return 0; /* Lua aborts */
}

static int open_all(lua_State *L)
{
    struct vm *vm = lua_touserdata(L, 1);
    make_coroutine(vm, L);
    sandbox_open(L);
    return 0;
}

static void set_defaults(struct vm_config *c)
{
    if (c->memory_bytes == 0) c->memory_bytes = (size_t)64 << 20;
    if (c->budget_ns == 0) c->budget_ns = 5000000000u;
    if (c->slice_steps == 0) c->slice_steps = 200000;
    if (c->budget_steps == 0) c->budget_steps = 100000000;
    if (c->counting) c->heap_plain = false; /* ranks stand for addresses */
}

err vm_new(struct vm **out, const struct vm_config *config)
{
    struct vm *vm = mem_zero(1, sizeof *vm);
    if (vm == NULL) return ERR_NOMEM;
    vm->config = *config;
    set_defaults(&vm->config);
    vm->ordered = config->counting;
    vm->ticking = config->counting || !watchdog_interrupts();
    vm->seat = &vm->alone;
    vm->meter.budget = full_budget(vm);
    vm->heap = heap_new(vm->config.memory_bytes, vm->config.heap_plain,
                        vm->config.pages);
    if (vm->heap == NULL) goto no_heap;
    vm->main = lua_newstate(heap_realloc, vm->heap);
    if (vm->main == NULL) goto no_state;
    lua_atpanic(vm->main, on_panic);
    *tag_of(vm->main) = (uintptr_t)vm;
    calm(vm, vm->main);
    if (vm_protect(vm, open_all, vm) != OK) goto no_sandbox;
    *out = vm;
    return OK;
no_sandbox:
    lua_close(vm->main);
no_state:
    heap_free(vm->heap);
no_heap:
    mem_free(vm->error);
    mem_free(vm);
    return ERR_NOMEM;
}

void vm_free(struct vm *vm)
{
    if (vm == NULL) return;
    assert(vm->seat == &vm->alone); /* nobody is inside */
    lua_close(vm->main);
    assert(vm->refs == 0);
    heap_free(vm->heap);
    mem_free(vm->error);
    mem_free(vm);
}

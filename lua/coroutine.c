#include "lua/coroutine.h"
#include "lua/vm.h"
#include <lauxlib.h>
#include <stdbool.h>

enum { RESUME_STEPS = 20 }; /* what entering a coroutine is charged */

/* Where the coroutine of a function stands: wrap's are upvalues. */
enum { RESUME, WRAP };

static lua_State *coroutine_at(lua_State *L, int index)
{
    lua_State *co = lua_tothread(L, index);
    luaL_argexpected(L, co, index, "coroutine");
    return co;
}

static const char *status_of(lua_State *L, lua_State *co)
{
    lua_Debug ar;
    if (L == co) return "running";
    if (vm_is_own(co)) return "normal";
    if (vm_is_condemned(co)) return "dead";
    if (lua_status(co) == LUA_YIELD) return "suspended";
    if (lua_status(co) != LUA_OK) return "dead";
    if (lua_getstack(co, 0, &ar)) return "normal"; /* it has resumed another */
    return lua_gettop(co) == 0 ? "dead" : "suspended";
}

static bool is_suspended(lua_State *L, lua_State *co)
{
    return *status_of(L, co) == 's';
}

/* Pushes the weak set of the coroutines that have not ended. */
static void push_living(lua_State *L)
{
    static const char key = 0; /* its address is a key nobody else has */
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

static int count_living(lua_State *L)
{
    int n = 0;
    push_living(L);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        n++;
    lua_pop(L, 1);
    return n;
}

/* The upper bound of the living is exact enough until it reaches the limit;
 * then what nobody holds any more is collected and the rest is counted. */
static void make_room(lua_State *L)
{
    int *bound = vm_coroutines(L);
    if (*bound < COROUTINES_MAX) return;
    lua_gc(L, LUA_GCCOLLECT);
    *bound = count_living(L);
    if (*bound >= COROUTINES_MAX)
        luaL_error(L,
                   "more than %d coroutines; let old ones end, or close "
                   "them",
                   COROUTINES_MAX);
}

static void note_ended(lua_State *L, lua_State *co)
{
    push_living(L);
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    --*vm_coroutines(L);
}

static int create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    vm_charge(L, RESUME_STEPS);
    make_room(L);
    push_living(L);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushvalue(L, -1);
    lua_pushboolean(L, true);
    lua_rawset(L, -4);
    ++*vm_coroutines(L);
    return 1;
}

/* How many values co has left on top of L, or -1 with the error there. */
static int take_results(lua_State *L, lua_State *co, int status, int nres)
{
    if (status > LUA_YIELD) {
        lua_xmove(co, L, 1);
        return -1;
    }
    if (!lua_checkstack(L, nres + 1)) {
        lua_pop(co, nres);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(co, L, nres);
    return nres;
}

static int resume_returns(lua_State *L, int n)
{
    lua_pushboolean(L, n >= 0);
    lua_insert(L, n >= 0 ? -(n + 1) : -2);
    return n >= 0 ? n + 1 : 2;
}

/* An error inside a wrapped coroutine closes it and goes on up. */
static int wrap_returns(lua_State *L, lua_State *co, int n)
{
    if (n >= 0) return n;
    int status = lua_status(co);
    if (status > LUA_YIELD && !vm_is_condemned(co)) {
        lua_pushvalue(L, -1);
        lua_xmove(L, co, 1); /* the __close functions get the error */
        if (vm_close_coroutine(L, co) != LUA_OK) {
            lua_pop(L, 1);
            lua_xmove(co, L, 1);
        }
    }
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int go_on(lua_State *L, int status, lua_KContext how);

/* Runs co with the nargs values that lie on top of it. */
static int enter(lua_State *L, lua_State *co, int nargs, lua_KContext how)
{
    bool engine;
    int nres = 0;
    int status = vm_enter(L, co, nargs, &nres, &engine);
    if (engine) return vm_pass(L, co, how, go_on);
    int n = take_results(L, co, status, nres);
    if (!is_suspended(L, co)) note_ended(L, co);
    return how == RESUME ? resume_returns(L, n) : wrap_returns(L, co, n);
}

/* The engine had suspended the VM inside the coroutine. */
static int go_on(lua_State *L, int status, lua_KContext how)
{
    int index = how == RESUME ? 1 : lua_upvalueindex(1);
    return enter(L, lua_tothread(L, index), 0, how);
}

/* Moves the arguments and enters; `how` says what becomes of an error. */
static int start(lua_State *L, lua_State *co, int nargs, lua_KContext how)
{
    vm_charge(L, RESUME_STEPS);
    const char *problem = NULL;
    if (!is_suspended(L, co))
        problem = *status_of(L, co) == 'd'
                      ? "cannot resume dead coroutine"
                      : "cannot resume non-suspended coroutine";
    else if (!lua_checkstack(co, nargs))
        problem = "too many arguments to resume";
    if (problem) {
        lua_pushstring(L, problem);
        return how == RESUME ? resume_returns(L, -1) : wrap_returns(L, co, -1);
    }
    lua_xmove(L, co, nargs);
    return enter(L, co, nargs, how);
}

static int resume(lua_State *L)
{
    lua_State *co = coroutine_at(L, 1);
    return start(L, co, lua_gettop(L) - 1, RESUME);
}

static int call_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    return start(L, co, lua_gettop(L), WRAP);
}

static int wrap(lua_State *L)
{
    create(L);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

static int yield(lua_State *L)
{
    if (vm_is_own(L))
        return luaL_error(L, "attempt to yield from outside a coroutine");
    return lua_yield(L, lua_gettop(L));
}

static int status(lua_State *L)
{
    lua_pushstring(L, status_of(L, coroutine_at(L, 1)));
    return 1;
}

static int running(lua_State *L)
{
    lua_pushthread(L);
    lua_pushboolean(L, vm_is_own(L));
    return 2;
}

static int isyieldable(lua_State *L)
{
    lua_State *co = lua_isnone(L, 1) ? L : coroutine_at(L, 1);
    lua_pushboolean(L, !vm_is_own(co) && lua_isyieldable(co));
    return 1;
}

static int close(lua_State *L)
{
    lua_State *co = coroutine_at(L, 1);
    const char *was = status_of(L, co);
    if (*was != 's' && *was != 'd')
        return luaL_error(L, "cannot close a %s coroutine", was);
    if (vm_is_condemned(co)) {
        lua_pushboolean(L, false);
        lua_pushliteral(L, "the coroutine was ended over its budget");
        return 2;
    }
    int closed = vm_close_coroutine(L, co);
    lua_pushboolean(L, closed == LUA_OK);
    if (closed != LUA_OK) lua_xmove(co, L, 1);
    if (*was == 's') note_ended(L, co);
    return closed == LUA_OK ? 1 : 2;
}

void coroutine_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"create", create}, {"resume", resume},           {"wrap", wrap},
        {"yield", yield},   {"status", status},           {"running", running},
        {"close", close},   {"isyieldable", isyieldable}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
}

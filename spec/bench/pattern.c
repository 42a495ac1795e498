/* pattern.c - the engine's pattern functions against Lua's own, in one state.
 * Prints ns per operation of both and their ratio; the best of five rounds. */
#include "lua/pattern.h"
#include "core/short.h"

#include <lauxlib.h>
#include <lualib.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_BYTES = 5000000, LINE_BYTES = 45, ROUNDS = 5, VOCABULARY = 13000 };

/* One operation: Lua that is given `find, match, gmatch, gsub` of either side,
 * the lines and the text, and returns how many operations it did. */
struct job {
    const char *name;
    const char *body;
};

static const struct job jobs[] = {
    {"for w in line:gmatch '%a+', a word",
     "for i = 1, #lines do for w in gmatch(lines[i], '%a+') do n = n + 1 end "
     "end"},
    {"for w in line:gmatch '(%a+)', a word",
     "for i = 1, #lines do for w in gmatch(lines[i], '(%a+)') do n = n + 1 "
     "end end"},
    {"for w in text:gmatch '%a+', a word",
     "for w in gmatch(text, '%a+') do n = n + 1 end"},
    {"for w in line:gmatch '%S+', a word",
     "for i = 1, #lines do for w in gmatch(lines[i], '%S+') do n = n + 1 end "
     "end"},
    {"for l in text:gmatch '[^\\n]+', a line",
     "for l in gmatch(text, '[^\\n]+') do n = n + 1 end"},
    {"for l in text:gmatch '(.-)\\n', a line",
     "for l in gmatch(text, '(.-)\\n') do n = n + 1 end"},
    {"gmatch(line, '%a+') alone, an iterator",
     "for i = 1, #lines do gmatch(lines[i], '%a+') n = n + 1 end"},
    {"line:find 'x=(%d+)', a line",
     "for i = 1, #lines do find(lines[i], 'x=(%d+)') n = n + 1 end"},
    {"line:find 'the', a line",
     "for i = 1, #lines do find(lines[i], 'the') n = n + 1 end"},
    {"line:match '^(%S+)%s+(%S+)', a line",
     "for i = 1, #lines do match(lines[i], '^(%S+)%s+(%S+)') n = n + 1 end"},
    {"line:match '^%s*(.-)%s*$', a line",
     "for i = 1, #lines do match(lines[i], '^%s*(.-)%s*$') n = n + 1 end"},
    {"line:gsub('%s+', ' '), a line",
     "for i = 1, #lines do gsub(lines[i], '%s+', ' ') n = n + 1 end"},
    {"line:gsub('%a+', '<%0>'), a line",
     "for i = 1, #lines do gsub(lines[i], '%a+', '<%0>') n = n + 1 end"},
    {"line:gsub('%a+', function), a line",
     "local f = function() end for i = 1, #lines do gsub(lines[i], '%a+', f) "
     "n = n + 1 end"},
    {"line:find(a new pattern each time)",
     "for i = 1, #lines do find(lines[i], '^a' .. i .. '%s') n = n + 1 end"},
    {"the same without find",
     "for i = 1, #lines do local p = '^a' .. i .. '%s' n = n + 1 end"},
};

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* Words as in a book: the r-th most common of VOCABULARY comes with a
 * probability near 1/r, and common words are short. */
static size_t add_word(char *out, uint64_t *x)
{
    uint64_t r = next_random(x);
    if (r % 61 == 0)
        return (size_t)sprintf(out, "x=%u", (unsigned)(r >> 40) % 1000);
    double u = (double)(r >> 11) / (double)(1ull << 53);
    uint64_t rank = (uint64_t)exp(u * log(VOCABULARY));
    uint64_t letters = rank * 0x9e3779b97f4a7c15ull;
    size_t bytes = 2 + (letters >> 60) % 3;
    for (uint64_t left = rank; left > 8; left /= 8)
        bytes++;
    for (size_t i = 0; i < bytes; i++)
        out[i] = (char)('a' + (letters >> 5 * i) % 26);
    return bytes;
}

static size_t write_text(char *text)
{
    uint64_t x = 88172645463325252ull;
    size_t n = 0, line = 0;
    while (n < TEXT_BYTES) {
        size_t bytes = add_word(text + n, &x);
        n += bytes;
        line += bytes + 1;
        text[n++] = line > LINE_BYTES - 4 ? '\n' : ' ';
        if (text[n - 1] == '\n') line = 0;
    }
    return n;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void check(lua_State *L, int status)
{
    if (status == LUA_OK) return;
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    exit(1);
}

static double time_once(lua_State *L, const char *body, const char *side)
{
    lua_pushfstring(L,
                    "local s = ...\n"
                    "local find, match, gmatch, gsub = s.find, s.match, "
                    "s.gmatch, s.gsub\n"
                    "local lines, text, n = lines, text, 0\n"
                    "%s\nreturn n",
                    body);
    check(L, luaL_loadstring(L, lua_tostring(L, -1)));
    lua_getglobal(L, side);
    lua_gc(L, LUA_GCCOLLECT);
    double begin = now_ns();
    check(L, lua_pcall(L, 1, 1, 0));
    double ns = (now_ns() - begin) / (double)lua_tointeger(L, -1);
    lua_pop(L, 2);
    return ns;
}

static double least(const double *ns)
{
    double best = ns[0];
    for (int i = 1; i < ROUNDS; i++)
        if (ns[i] < best) best = ns[i];
    return best;
}

static void run_job(lua_State *L, const struct job *job)
{
    double stock[ROUNDS], ours[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        stock[i] = time_once(L, job->body, "string");
        ours[i] = time_once(L, job->body, "ours");
    }
    double a = least(stock), b = least(ours);
    printf("%-40s %8.1f %8.1f %6.2f\n", job->name, a, b, b / a);
}

/* As lua/heap.h: a little may be read behind each block. */
static void *slack_alloc(void *ud, void *block, size_t old_bytes, size_t bytes)
{
    if (bytes > 0) return realloc(block, bytes + SHORT_SLACK);
    free(block);
    return NULL;
}

int main(int argc, char **argv)
{
    char *text = malloc(TEXT_BYTES + 64);
    lua_State *L = lua_newstate(slack_alloc, NULL);
    if (text == NULL || L == NULL) return 1;
    memset(lua_getextraspace(L), 0, LUA_EXTRASPACE);
    luaL_openlibs(L);
    lua_newtable(L);
    pattern_open(L);
    lua_setglobal(L, "ours");
    lua_pushlstring(L, text, write_text(text));
    lua_setglobal(L, "text");
    check(L, luaL_dostring(L, "lines = {} for l in text:gmatch '[^\\n]+' do "
                              "lines[#lines + 1] = l end"));
    printf("%-40s %8s %8s %6s\n", "ns of CPU", "stock", "engine", "ratio");
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        if (argc < 2 || strstr(jobs[i].name, argv[1])) run_job(L, &jobs[i]);
    lua_close(L);
    free(text);
    return 0;
}

/* vm.c - what the guest machine of a Lua executor costs before any user's code
 * is in it: libraries opened, sandbox closed, watchdog and limits on.
 *   bench-vm N
 * makes N of them that live side by side and prints `vm N cpu_ns wall_ns check
 * bytes B`, for one. The answer is right when each then runs Lua's own code. */
#define _GNU_SOURCE
#include "lua/vm.h"
#include "core/alloc.h"
#include "core/real.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static double cpu_ns(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return ((double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec) * 1e9 +
           ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) * 1e3;
}

static double resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld %ld", &pages, &resident) != 2) resident = 0;
    if (f) fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* ("work"):upper() through the sandbox's string table. */
static int body(lua_State *L)
{
    bool *right = lua_touserdata(L, 1);
    lua_pushliteral(L, "work");
    lua_getfield(L, -1, "upper");
    lua_pushvalue(L, -2);
    lua_call(L, 1, 1);
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    *right = length == 4 && text[0] == 'W';
    return 0;
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    if (n == 0) {
        fputs("usage: bench-vm N\n", stderr);
        return 2;
    }
    struct vm **all = mem_zero(n, sizeof *all);
    struct pages *pages = pages_new();
    struct vm_config config = {.seed = 1, .pages = pages};
    if (all == NULL || pages == NULL) return 1;

    double bytes = resident_bytes(), cpu = cpu_ns();
    int64_t wall = real_now_ns(NULL);
    bool right = true;
    for (size_t i = 0; i < n && right; i++)
        right = vm_new(&all[i], &config) == OK;
    wall = real_now_ns(NULL) - wall;
    cpu = cpu_ns() - cpu;
    bytes = resident_bytes() - bytes;

    for (size_t i = 0; i < n && right; i++) {
        bool worked = false;
        right = vm_run(all[i], NULL, body, &worked) == VM_DONE && worked;
    }
    printf("vm %zu %.1f %.1f %s bytes %.0f\n", n, cpu / (double)n,
           (double)wall / (double)n, right ? "ok" : "WRONG", bytes / (double)n);
    for (size_t i = 0; i < n; i++)
        vm_free(all[i]);
    pages_free(pages);
    mem_free(all);
    return right ? 0 : 1;
}

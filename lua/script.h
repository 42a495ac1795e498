/* script.h - a definition loaded into a VM: its vocabulary and its record.
 * The file runs once in each VM: in the loader's, which makes the plan, and in
 * each executor's, which keeps one component's functions. What the file
 * returns is a record: plain tables that say what was written where.
 *   topology "n" { … } → { kind = "topology", name, line, body }
 *   spout "n" { … }, bolt, sink → { kind, name, line, body }
 *   shuffle "c:s", fields("c", …), global → { grouping, from, keys, line }
 *   file { … } → { connector = "file", options, line }
 *   words "line", map(fn) → { operator = "words", args, count, line }
 *   sliding { … }, tumbling, session → { window = "sliding", options, line } */
#ifndef LUA_SCRIPT_H
#define LUA_SCRIPT_H

#include "lua/bundle.h"
#include "lua/ref.h"
#include "lua/vm.h"

/* One loading of the files. */
struct edition {
    struct bundle *bundle; /* a reference; NULL: nothing is loaded */
    struct vref record;    /* what the file returned */
    struct vref modules;   /* what its modules returned, by name */
    struct vref params;    /* the loader: declared ones, name → true */
    struct vref vocabulary;
};

struct script {
    struct vm *vm;       /* owned */
    struct edition now;  /* that runs */
    struct edition next; /* loaded beside it: script_take() or script_drop() */
    struct edition *loading; /* NULL: none is */
    bool reads_disk;         /* the loader: modules are added to the bundle */
    /* What was wrong with the command line; "": nothing. The file may have
     * caught it. */
    char usage[256];
    /* Sets other words than a definition's in the table at the top, while it is
     * loaded: a spec file's. NULL: those of definitions. */
    void (*add_words)(lua_State *L);
    /* A line of print() or log.*; level is enum log_level. */
    void (*say)(struct script *script, int level, const char *text,
                size_t bytes);
    bool (*may_sleep)(struct script *script); /* NULL: never */
    int64_t (*wall_ns)(struct script *script);
    char error[2048];
};

/* Makes the VM and runs the bundle's definition file in it. `config` gives
 * limits; host, print, clock and require are set here. On an error
 * script->error says what: ERR_CONFIG, ERR_USAGE, ERR_NOMEM. script_fini() is
 * due in any case. */
err script_load(struct script *script, struct bundle *bundle,
                struct vm_config config, struct watchdog_seat *seat);
/* Loads a newer bundle into the living VM as script->next. The VM may not be
 * suspended. On an error the next one is empty. */
err script_load_next(struct script *script, struct bundle *bundle,
                     struct watchdog_seat *seat);
/* next becomes now; what is defined in now stays alive where it is used. */
void script_take(struct script *script);
void script_drop(struct script *script);
void script_fini(struct script *script);

/* Sets the words for running code that all files have in the table at the top:
 * log, null, array, now, sorted, random. [-0, +0, m] */
void script_add_words(lua_State *L);

/* Pushes a field of what should be a table, as it stands there: no metamethod
 * is asked, which would be code of the user's. Gives its type. [-0, +1, m] */
int script_field(lua_State *L, int index, const char *name);
/* Pushes the record of a component; false: there is none of that name, and
 * nothing is pushed. Inside a run. [-0, +(0|1), m] */
bool script_component(lua_State *L, const struct vref *record,
                      const char *name);

/* A digest of what the graph of the record at the top of the stack is: kinds,
 * names, groupings, connectors. [-0, +0, m] */
uint64_t script_digest(lua_State *L);

/* Runs body to its end, slice after slice (loading is nobody's turn). */
err script_run(struct script *script, struct watchdog_seat *seat,
               lua_CFunction body, void *ctx);

#endif

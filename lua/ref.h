/* ref.h - a Lua value that C holds ("vref"). The only user of luaL_ref.
 * The VM counts them; vm_free() asserts that none is left. A ref belongs to
 * one VM and is used by the thread that is inside it. */
#ifndef LUA_REF_H
#define LUA_REF_H

#include <lua.h>
#include <stdbool.h>

struct vref {
    lua_State *L; /* the VM's main state; NULL: holds nothing */
    int slot;     /* owned: exactly one vref_drop() */
};

/* Pops the top into r and drops what r held. A zeroed struct vref holds
 * nothing. On an error (memory) r is unchanged. [-1, +0, m] */
void vref_take(lua_State *L, struct vref *r);
/* Pushes the value; nil when r holds nothing. [-0, +1, -] */
void vref_push(lua_State *L, const struct vref *r);
/* Twice is harmless. [-0, +0, -] */
void vref_drop(struct vref *r);

#endif

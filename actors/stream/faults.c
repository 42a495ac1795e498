#include "actors/stream/faults.h"
#include "core/alloc.h"
#include <pthread.h>
#include <string.h>

struct faults {
    pthread_mutex_t lock;
    unsigned count;
    unsigned order[FAULTS_KEPT]; /* places of list, the last one first */
    struct fault list[FAULTS_KEPT];
};

struct faults *faults_new(void)
{
    struct faults *f = mem_zero(1, sizeof *f);
    if (f) pthread_mutex_init(&f->lock, NULL);
    return f;
}

void faults_free(struct faults *f)
{
    if (f == NULL) return;
    pthread_mutex_destroy(&f->lock);
    mem_free(f);
}

static bool is_same(const struct fault *f, const char *component,
                    unsigned index, uint64_t kind, const char *text)
{
    if (f->index != index || f->component != component || f->kind != kind)
        return false;
    return kind != 0 || strncmp(f->text, text, FAULT_TEXT_BYTES - 1) == 0;
}

/* How far back the same fault is; FAULTS_KEPT: it isn't among them. */
static unsigned find(const struct faults *f, const char *component,
                     unsigned index, uint64_t kind, const char *text)
{
    for (unsigned i = 0; i < f->count; i++)
        if (is_same(&f->list[f->order[i]], component, index, kind, text))
            return i;
    return FAULTS_KEPT;
}

/* The place for a new one: a free one, or that of the oldest. */
static unsigned take_place(struct faults *f)
{
    if (f->count < FAULTS_KEPT) {
        f->order[f->count] = f->count;
        f->count++;
    }
    return f->count - 1;
}

static void keep_text(struct fault *fault, const char *text)
{
    size_t bytes = strlen(text);
    if (bytes >= FAULT_TEXT_BYTES) bytes = FAULT_TEXT_BYTES - 1;
    memcpy(fault->text, text, bytes);
    fault->text[bytes] = '\0';
}

void faults_note(struct faults *f, const char *component, unsigned index,
                 int64_t now_ms, uint64_t kind, const char *text)
{
    pthread_mutex_lock(&f->lock);
    unsigned back = find(f, component, index, kind, text);
    bool known = back != FAULTS_KEPT;
    if (!known) back = take_place(f);
    unsigned place = f->order[back];
    memmove(&f->order[1], &f->order[0], back * sizeof f->order[0]);
    f->order[0] = place;
    struct fault *fault = &f->list[place];
    if (!known)
        *fault = (struct fault){.component = component,
                                .index = index,
                                .first_ms = now_ms,
                                .kind = kind};
    keep_text(fault, text);
    fault->last_ms = now_ms;
    fault->times++;
    pthread_mutex_unlock(&f->lock);
}

bool faults_read(struct faults *f, unsigned back, struct fault *out)
{
    pthread_mutex_lock(&f->lock);
    bool found = back < f->count;
    if (found) *out = f->list[f->order[back]];
    pthread_mutex_unlock(&f->lock);
    return found;
}

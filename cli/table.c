#include "cli/table.h"
#include "core/alloc.h"
#include "core/buffer.h"
#include <stdarg.h>
#include <stdbool.h>

enum { COLUMNS_MAX = 16, GAP = 2, CELL_BYTES = 512 };

struct table {
    const char *layout;
    const char *const *titles;
    unsigned columns, next;
    size_t widths[COLUMNS_MAX]; /* characters */
    struct buffer cells;        /* owned: texts, each with its 0 */
    bool failed;
};

/* Characters, not bytes. */
static size_t width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void widen(struct table *t, unsigned column, const char *text)
{
    size_t n = width(text);
    if (n > t->widths[column]) t->widths[column] = n;
}

struct table *table_new(const char *layout, const char *const *titles)
{
    struct table *t = mem_zero(1, sizeof *t);
    if (t == NULL) return NULL;
    t->layout = layout;
    t->titles = titles;
    t->columns = (unsigned)strlen(layout);
    for (unsigned i = 0; i < t->columns; i++)
        widen(t, i, titles[i]);
    return t;
}

void table_free(struct table *t)
{
    if (t == NULL) return;
    buffer_fini(&t->cells);
    mem_free(t);
}

void table_cell(struct table *t, const char *format, ...)
{
    char text[CELL_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (buffer_append(&t->cells, text, strlen(text) + 1) != OK)
        t->failed = true;
    widen(t, t->next, text);
    if (++t->next == t->columns) t->next = 0;
}

static void print_cell(const struct table *t, unsigned column, const char *text,
                       FILE *to)
{
    bool last = column + 1 == t->columns;
    int blanks = (int)(t->widths[column] - width(text));
    if (t->layout[column] == 'r')
        fprintf(to, "%*s%s", blanks, "", text);
    else
        fprintf(to, "%s%*s", text, last ? 0 : blanks, "");
    fprintf(to, "%*s", last ? 0 : GAP, "");
    if (last) fputc('\n', to);
}

err table_print(const struct table *t, FILE *to)
{
    if (t->failed) return ERR_NOMEM;
    for (unsigned i = 0; i < t->columns; i++)
        print_cell(t, i, t->titles[i], to);
    const char *at = (const char *)t->cells.data;
    const char *end = at + t->cells.used;
    for (unsigned i = 0; at < end; at += strlen(at) + 1) {
        print_cell(t, i, at, to);
        if (++i == t->columns) i = 0;
    }
    return OK;
}

/* table.h - rows under titles, as wide as what stands in them. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdio.h>

#include "core/err.h"

struct table;

/* One letter of `layout` a column: 'l' stands at the left, 'r' at the right.
 * Titles are borrowed until table_free(). NULL: out of memory. */
struct table *table_new(const char *layout, const char *const *titles);
void table_free(struct table *table);
/* The next cell; behind the last column a row begins. Copied. What there was
 * no memory for is left out, table_print() says so. */
void table_cell(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* ERR_NOMEM: cells are missing, nothing was printed. */
err table_print(const struct table *table, FILE *to);

#endif

/* table_spec.c - columns are as wide as what stands in them. */
#include "cli/statistics.h"
#include "cli/table.h"
#include "spec/spec.h"
#include <stdlib.h>

static const char *printed(const struct table *t)
{
    static char page[4096];
    memset(page, 0, sizeof page);
    FILE *to = fmemopen(page, sizeof page - 1, "w");
    CHECK(to != NULL);
    CHECK_EQ(table_print(t, to), OK);
    fclose(to);
    return page;
}

SPEC(table, titles_and_cells_stand_in_columns)
{
    static const char *const titles[] = {"name", "n", "what"};
    struct table *t = table_new("lrl", titles);
    table_cell(t, "a");
    table_cell(t, "%d", 12345);
    table_cell(t, "x");
    table_cell(t, "longer");
    table_cell(t, "%d", 7);
    table_cell(t, "%s", "no blanks behind");
    CHECK_TEXT(printed(t), "name        n  what\n"
                           "a       12345  x\n"
                           "longer      7  no blanks behind\n");
    table_free(t);
}

SPEC(table, letters_are_counted_not_bytes)
{
    static const char *const titles[] = {"n", "m"};
    struct table *t = table_new("lr", titles);
    table_cell(t, "\xc3\xa4\xe2\x82\xac");
    table_cell(t, "1");
    table_cell(t, "abc");
    table_cell(t, "2");
    CHECK_TEXT(printed(t), "n    m\n\xc3\xa4\xe2\x82\xac   1\nabc  2\n");
    table_free(t);
}

SPEC(table, without_rows_there_are_titles)
{
    static const char *const titles[] = {"one", "two"};
    struct table *t = table_new("lr", titles);
    CHECK_TEXT(printed(t), "one  two\n");
    table_free(t);
}

/* As a run's end and engine stats show it. */
SPEC(table, statistics_are_a_row_for_each_component)
{
    char page[4096] = "";
    json_t *json = json_loads(
        "{\"components\":["
        "{\"name\":\"lines\",\"kind\":\"spout\",\"in\":0,\"out\":73811,"
        "\"acked\":73800,"
        "\"failed\":11,\"replayed\":9,\"per_second\":433348.4,"
        "\"p50_ms\":30.72,\"p99_ms\":1500.0},"
        "{\"name\":\"split\",\"kind\":\"bolt\",\"in\":73811,\"out\":5,"
        "\"errors\":4,\"per_second\":0.2,\"p50_ms\":0.00123,"
        "\"p99_ms\":null}]}",
        0, NULL);
    CHECK(json != NULL);
    FILE *to = fmemopen(page, sizeof page - 1, "w");
    CHECK(statistics_print(json, to));
    fclose(to);
    CHECK_TEXT(page,
               "component     in    out  acked  failed  replayed  per second  "
               "latency p50    p99\n"
               "lines          0  73811  73800      11         9      433348  "
               "    30.7 ms  1.5 s\n"
               "split      73811      5      -       4         -           0  "
               "    1.23 us      -\n");
    json_decref(json);
}

SPEC(table, what_are_no_statistics_are_not_printed)
{
    json_t *json = json_pack("{s:s}", "components", "none");
    CHECK(!statistics_print(json, stdout));
    CHECK(!statistics_print(NULL, stdout));
    json_decref(json);
}

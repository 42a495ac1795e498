#include "cli/json.h"
#include "core/log.h"
#include <string.h>

/* Nine digits of a number are more than any of them means. */
#define JSON_STYLE (JSON_COMPACT | JSON_REAL_PRECISION(9))

json_t *json_text(const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    struct buffer b = {0};
    size_t bytes = strlen(text);
    err e = OK;
    for (size_t at = 0; e == OK && at < bytes;) {
        bool valid;
        size_t step = log_utf8_step(text + at, bytes - at, &valid);
        e = valid ? buffer_append(&b, text + at, step)
                  : buffer_append(&b, replacement, sizeof replacement - 1);
        at += step;
    }
    json_t *json = NULL;
    if (e == OK) json = json_stringn(b.used ? (char *)b.data : "", b.used);
    buffer_fini(&b);
    return json;
}

static int append(const char *bytes, size_t count, void *context)
{
    return buffer_append(context, bytes, count) == OK ? 0 : -1;
}

err json_append(const json_t *json, struct buffer *out)
{
    return json && json_dump_callback(json, append, out, JSON_STYLE) == 0
               ? OK
               : ERR_NOMEM;
}

bool json_line(const json_t *json, FILE *to)
{
    /* In one write: other threads write lines to stderr, too. */
    struct buffer line = {0};
    bool whole = json_append(json, &line) == OK &&
                 buffer_append(&line, "\n", 1) == OK &&
                 fwrite(line.data, 1, line.used, to) == line.used;
    buffer_fini(&line);
    return whole;
}

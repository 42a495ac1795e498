#include "cli/argument.h"
#include "core/units.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool level_named(const char *text, size_t bytes, enum log_level *level)
{
    for (int i = LOG_TRACE; i <= LOG_OFF; i++) {
        const char *name = log_level_name((enum log_level)i);
        if (strlen(name) != bytes || strncasecmp(name, text, bytes) != 0)
            continue;
        *level = (enum log_level)i;
        return true;
    }
    return false;
}

bool argument_level(const char *text, struct argument_level *out, char *why,
                    size_t why_bytes)
{
    const char *equals = strchr(text, '=');
    size_t name = equals ? (size_t)(equals - text) : 0;
    if (name == 0) {
        snprintf(why, why_bytes,
                 "'%s' names no component; give COMPONENT=LEVEL, for a while "
                 "COMPONENT=LEVEL:TIME",
                 text);
        return false;
    }
    if (name > LOG_COMPONENT_BYTES) name = LOG_COMPONENT_BYTES;
    memcpy(out->component, text, name);
    out->component[name] = '\0';
    const char *level = equals + 1;
    size_t bytes = strcspn(level, ":");
    if (!level_named(level, bytes, &out->level)) {
        snprintf(why, why_bytes,
                 "'%s': '%.*s' is no level; give trace, debug, info, warn, "
                 "error or off",
                 text, (int)bytes, level);
        return false;
    }
    out->limit_ns = 0;
    if (level[bytes] == '\0') return true;
    if (units_duration(level + bytes + 1, &out->limit_ns) && out->limit_ns > 0)
        return true;
    snprintf(why, why_bytes, "'%s': '%s' is no time; give one like 10s or 5m",
             text, level + bytes + 1);
    return false;
}

void argument_time_text(double seconds, char text[ARGUMENT_TIME_BYTES])
{
    const size_t room = ARGUMENT_TIME_BYTES;
    long s = seconds < 1e12 ? (long)seconds : 0;
    if (seconds < 9.95)
        snprintf(text, room, "%.1fs", seconds);
    else if (s < 60)
        snprintf(text, room, "%lds", s);
    else if (s < 3600)
        snprintf(text, room, "%ldm%02lds", s / 60, s % 60);
    else if (s < 86400)
        snprintf(text, room, "%ldh%02ldm", s / 3600, s % 3600 / 60);
    else
        snprintf(text, room, "%ldd%02ldh", s / 86400, s % 86400 / 3600);
}

/* file.c - the source and the sink `file { path = "data.txt" }`.
 *
 * The source brings each line of the file in the field "line", without its
 * "\n" or "\r\n"; a last line without an end counts. `path` may be a pattern
 * ("logs/2026-*.txt", see paths.h); `paths = { … }` names several files or
 * patterns: those that are there when the run begins. They are read one after
 * another, a pattern's in the order of their names. A file (no pipe) that is
 * compressed by gzip or zstd is recognised by its first bytes, not by its name.
 * With several tasks a single plain file is shared, each line read by one;
 * several files are dealt out; what can be read in order only (compressed
 * files, CSV, pipes and devices, what is followed) is read by one. A line that
 * fails is read again, as long as the file isn't changed in place.
 *
 * `format = "json"` brings the object in each line (see parse.h) in the field
 * "record", or its keys that the spout's `fields` names.
 * `format = "csv"` brings the values of records instead (see csv.h), each as a
 * string: the spout's `fields` name columns of the header, or, with
 * `header = false`, all columns by position.
 *
 * `follow = true` waits for more at the file's end, as `tail -F` does, until
 * the run is drained. When another file gets its name the old one is read to
 * its end and that one is read from its beginning, as is a file that was
 * truncated. A last line without an end is held back until it has one, or the
 * file ends in one of these ways, or the run is drained.
 *
 * A file that can't be read, data that are damaged, a line above 16 MB or
 * that is no object, a record with too many values: each is said once and
 * counted, the rest goes on, and the run ends with exit 1. Only a path or
 * pattern that names nothing ends it at once.
 *
 * The sink writes a line for each tuple: `format = "text" | "json" | "csv"`
 * (see format.h). The file is replaced when the run begins; `append = true`
 * continues it, without a second CSV header. Several tasks write a file each:
 * path.0, path.1, … On a full disk it waits and tries again, nothing is lost.
 * `rotate = "64MB"` begins a new file before a tuple that would make it larger:
 * it becomes path.1, what that was path.2, up to path.5 (`keep = 5`).
 * `segments = "64MB"` writes a file for each so many bytes or minute (`every`),
 * which appears under its name when a checkpoint has it whole (see segment.h):
 * a reader never sees a line that is taken back.
 * Paths are relative to where the engine was started. */
#include "actors/connectors/connector.h"
#include "actors/connectors/reader.h"
#include "actors/connectors/writer.h"
#include <stdio.h>
#include <string.h>

enum {
    PATH,
    PATHS,
    FORMAT,
    HEADER,
    FOLLOW,
    APPEND,
    ROTATE,
    KEEP,
    SEGMENTS,
    EVERY,
};

enum { KEEP_DEFAULT = 5, KEEP_MAX = 1000 };
#define EVERY_DEFAULT_NS (INT64_C(60000) * 1000 * 1000)

static const struct option options[] = {
    [PATH] = {.name = "path",
              .type = OPTION_TEXT,
              .required = true,
              .instead = "paths",
              .doc = "of the file, relative to where engine was started; as a "
                     "source with * ? [ ] of several"},
    [PATHS] = {.name = "paths",
               .type = OPTION_TEXTS,
               .doc = "as a source: several, one after another"},
    [FORMAT] = {.name = "format",
                .type = OPTION_CHOICE,
                .choices = "text json csv",
                .doc = "of the lines; text if not given"},
    [HEADER] = {.name = "header",
                .type = OPTION_FLAG,
                .doc = "as a source of csv: the first line names the columns; "
                       "true if not given"},
    [FOLLOW] = {.name = "follow",
                .type = OPTION_FLAG,
                .doc = "as a source: wait for more at the end, as tail -F"},
    [APPEND] = {.name = "append",
                .type = OPTION_FLAG,
                .doc = "as a sink: continue the file instead of replacing it"},
    [ROTATE] = {.name = "rotate",
                .type = OPTION_SIZE,
                .doc = "as a sink: begin a new file before it is larger"},
    [KEEP] = {.name = "keep",
              .type = OPTION_COUNT,
              .doc = "as a sink: of the files before, path.1 and on; 5 if not "
                     "given"},
    [SEGMENTS] = {.name = "segments",
                  .type = OPTION_SIZE,
                  .doc = "as a sink: a file for each so many bytes, which "
                         "appears when a checkpoint has it whole"},
    [EVERY] = {.name = "every",
               .type = OPTION_DURATION,
               .doc = "as a sink: a segment that is as old is whole, too; "
                      "\"1min\" if not given"},
};

static bool is(const struct option_value *format, const char *name)
{
    return format->text && strcmp(format->text, name) == 0;
}

static err source_make(struct component_context *context, void *self)
{
    const struct option_value *path = connector_option(context, PATH);
    const struct option_value *paths = connector_option(context, PATHS);
    const struct option_value *format = connector_option(context, FORMAT);
    const struct option_value *header = connector_option(context, HEADER);
    const struct reader_plan plan = {
        .paths = path->set ? path->text : (const char *)paths->bytes,
        .count = path->set ? 1 : (unsigned)paths->rows,
        .follow = connector_option(context, FOLLOW)->flag,
        .json = is(format, "json"),
        .csv = is(format, "csv"),
        .header = !header->set || header->flag,
    };
    return reader_make(context, self, &plan);
}

static const struct component_class source = {
    .name = "file",
    .state_bytes = sizeof(struct reader),
    .stays = true,
    .rewinds = true,
    .change = connector_change,
    .make = source_make,
    .free = reader_free,
    .open = reader_open,
    .next = reader_next,
    .drain = reader_drain,
    .replay = reader_replay,
    .release = reader_release,
    .job_done = reader_job_done,
    .snapshot = reader_snapshot,
    .restore = reader_restore,
};

static err sink_make(struct component_context *context, void *self)
{
    const struct option_value *keep = connector_option(context, KEEP);
    const struct option_value *every = connector_option(context, EVERY);
    const struct writer_plan plan = {
        .path = connector_option(context, PATH)->text,
        .append = connector_option(context, APPEND)->flag,
        .format = connector_option(context, FORMAT)->text,
        .rotate_bytes = connector_option(context, ROTATE)->number,
        .keep = keep->set ? (unsigned)keep->number : KEEP_DEFAULT,
        .segment_bytes = connector_option(context, SEGMENTS)->number,
        .segment_ns = every->set ? every->number : EVERY_DEFAULT_NS,
    };
    return writer_make(context, self, &plan);
}

static const char *untransacted(const void *config)
{
    const struct connector_config *c = config;
    return c->values[ROTATE].set ? options[ROTATE].name : NULL;
}

static bool checkpointed(const void *config)
{
    const struct connector_config *c = config;
    return c->values[SEGMENTS].set;
}

static const struct component_class sink = {
    .name = "file",
    .state_bytes = sizeof(struct writer),
    .transacts = true,
    .change = connector_change,
    .make = sink_make,
    .free = writer_free,
    .open = writer_open,
    .execute = writer_execute,
    .settle = writer_settle,
    .finish = writer_finish,
    .resume = writer_resume,
    .job_done = writer_job_done,
    .prepare = writer_prepare,
    .untransacted = untransacted,
    .checkpointed = checkpointed,
    .snapshot = writer_snapshot,
    .reveal = writer_reveal,
    .restore = writer_restore,
};

/* Of the options of the other role: the first that is set. */
static const char *stray(const struct option_value *values, bool as_sink)
{
    static const unsigned sources[] = {PATHS, HEADER, FOLLOW};
    static const unsigned sinks[] = {APPEND, ROTATE, KEEP, SEGMENTS, EVERY};
    const unsigned *others = as_sink ? sources : sinks;
    unsigned count = as_sink ? sizeof sources / sizeof sources[0]
                             : sizeof sinks / sizeof sinks[0];
    for (unsigned i = 0; i < count; i++)
        if (values[others[i]].set) return options[others[i]].name;
    return NULL;
}

static const char *source_fault(const struct option_value *values)
{
    const struct option_value *path = &values[PATH];
    if (path->set && values[PATHS].set)
        return "path and paths are both given; keep one";
    if (values[HEADER].set && !is(&values[FORMAT], "csv"))
        return "header is an option of format = \"csv\"; add that";
    if (values[FOLLOW].flag && (!path->set || paths_is_pattern(path->text)))
        return "follow = true is for one file; give path without * ? [ ]";
    return NULL;
}

static const char *sink_fault(const struct option_value *values)
{
    bool segments = values[SEGMENTS].set;
    if (segments && (values[ROTATE].set || values[APPEND].flag))
        return "segments go on behind those that are there; remove append and "
               "rotate";
    if (values[EVERY].set && !segments)
        return "every is an option of segments; add segments = \"64MB\"";
    if (!values[KEEP].set) return NULL;
    if (!values[ROTATE].set)
        return "keep is an option of rotate; add rotate = \"64MB\"";
    if (values[KEEP].number < 1 || values[KEEP].number > KEEP_MAX)
        return "keep is the number of files before; give 1 to 1000";
    return NULL;
}

static bool check(const struct option_value *values, bool as_sink, char *why,
                  size_t why_bytes)
{
    const char *other = stray(values, as_sink);
    const char *fault = as_sink ? sink_fault(values) : source_fault(values);
    if (values[PATH].set && values[PATH].text[0] == '\0')
        fault = "path is empty: name a file";
    if (other)
        snprintf(why, why_bytes,
                 "%s is an option of file as a %s; as a %s it %s: remove it",
                 other, as_sink ? "source" : "sink",
                 as_sink ? "sink" : "source",
                 as_sink ? "writes one file" : "only reads");
    else if (fault)
        snprintf(why, why_bytes, "%s", fault);
    return other == NULL && fault == NULL;
}

static const struct record_format records[] = {
    {.format = "json", .whole = "record"},
    {.format = "csv"},
    {0},
};

const struct connector connector_file = {
    .name = "file",
    .doc = "the lines of files, or a file of lines",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .source = &source,
    .sink = &sink,
    .field = "line",
    .records = records,
    .check = check,
};

#define _GNU_SOURCE /* SOCK_CLOEXEC, SOCK_NONBLOCK */
#include "cli/visit.h"
#include "cli/verb.h"
#include "core/alloc.h"
#include "core/nearest.h"
#include "core/real.h"
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 20, STALE_S = 60, ANSWER_BYTES = 64 << 20 };

/* ---- one question ---- */

/* -1: errno says why; ECONNREFUSED, ENOENT: nobody listens. */
static int knock(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int bytes = snprintf(address.sun_path, sizeof address.sun_path,
                         "%s/" PLACE_DOOR, folder);
    if (bytes >= (int)sizeof address.sun_path) {
        errno = ENOENT;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static bool nobody_there(int why)
{
    return why == ECONNREFUSED || why == ENOENT;
}

/* False: not within the time that is left until `until_ns`. */
static bool await(int fd, short events, int64_t until_ns)
{
    int64_t left_ms = (until_ns - real_now_ns(NULL)) / 1000000;
    struct pollfd p = {.fd = fd, .events = events};
    return left_ms > 0 && poll(&p, 1, (int)left_ms) > 0;
}

/* The door may answer and close before all is sent: that isn't our fault to
 * report, its answer is. */
static void send_line(int fd, const char *line, size_t bytes, int64_t until_ns)
{
    for (size_t sent = 0; sent <= bytes;) {
        bool last = sent == bytes;
        ssize_t n = send(fd, last ? "\n" : line + sent, last ? 1 : bytes - sent,
                         MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        else if (errno == EINTR)
            continue;
        else if (errno != EAGAIN || !await(fd, POLLOUT, until_ns))
            return;
    }
}

/* *closed: the other side has gone without an answer. */
static err receive_line(int fd, struct buffer *answer, int64_t until_ns,
                        bool *closed)
{
    enum { SOME = 64 * 1024 };
    while (answer->used < ANSWER_BYTES) {
        if (buffer_reserve(answer, SOME) != OK) return ERR_NOMEM;
        ssize_t n = recv(fd, answer->data + answer->used, SOME, 0);
        if (n > 0) {
            uint8_t *end = memchr(answer->data + answer->used, '\n', (size_t)n);
            answer->used += (size_t)n;
            if (end == NULL) continue;
            answer->used = (size_t)(end - answer->data);
            return OK;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n == 0 || errno == ECONNRESET) {
            *closed = true;
            return ERR_IO;
        }
        if (errno != EAGAIN || !await(fd, POLLIN, until_ns)) return ERR_IO;
    }
    return ERR_IO;
}

static int64_t patience_ns(void)
{
    return real_now_ns(NULL) + VISIT_WAIT_MS * INT64_C(1000000);
}

static bool is_gone(const char *folder)
{
    int fd = knock(folder);
    bool gone = fd < 0 && nobody_there(errno);
    if (fd >= 0) close(fd);
    return gone;
}

/* Takes the descriptor. Who hangs up is ending, or has shown us out. */
static err await_answer(const char *folder, int fd, struct buffer *answer,
                        int64_t until_ns)
{
    bool closed = false;
    err e = receive_line(fd, answer, until_ns, &closed);
    close(fd);
    return closed && is_gone(folder) ? ERR_NOTFOUND : e;
}

err visit_ask(const char *folder, const char *line, size_t bytes,
              struct buffer *answer)
{
    int64_t until_ns = patience_ns();
    int fd = knock(folder);
    if (fd < 0) return nobody_there(errno) ? ERR_NOTFOUND : ERR_IO;
    send_line(fd, line, bytes, until_ns);
    return await_answer(folder, fd, answer, until_ns);
}

static err parse(const struct buffer *text, json_t **answer)
{
    *answer = json_loadb((const char *)text->data, text->used, 0, NULL);
    if (json_is_object(*answer)) return OK;
    json_decref(*answer);
    *answer = NULL;
    return ERR_IO;
}

static err ask_json(const char *folder, const json_t *request, json_t **answer)
{
    struct buffer line = {0}, text = {0};
    err e = json_append(request, &line);
    *answer = NULL;
    if (e == OK)
        e = visit_ask(folder, (const char *)line.data, line.used, &text);
    if (e == OK) e = parse(&text, answer);
    buffer_fini(&line);
    buffer_fini(&text);
    return e;
}

bool visit_wait_gone(const char *folder, int64_t limit_ns)
{
    int64_t until_ns = real_now_ns(NULL) + limit_ns;
    for (;;) {
        if (is_gone(folder)) return true;
        if (real_now_ns(NULL) >= until_ns) return false;
        struct timespec look = {0, LOOK_MS * 1000000L};
        nanosleep(&look, NULL);
    }
}

/* ---- all runs ---- */

const char *visited_topology(const struct visited *run)
{
    const char *name =
        json_string_value(json_object_get(run->status, "topology"));
    return name ? name : "";
}

/* Its name says that it was being made, and that was long ago. */
static bool is_abandoned(const char *folder)
{
    struct stat s;
    return stat(folder, &s) == 0 && time(NULL) - s.st_mtime > STALE_S;
}

static void remove_dead(const struct visited *run)
{
    struct place dead;
    memcpy(dead.id, run->id, sizeof dead.id);
    memcpy(dead.folder, run->folder, sizeof dead.folder);
    place_remove(&dead);
}

/* Asks, and doesn't wait for the answer. */
static err visit(struct visits *v, const char *base, const char *name,
                 int64_t until_ns)
{
    static const char request[] = "{\"verb\":\"status\"}";
    struct visited run = {.fd = -1};
    bool hidden = name[0] == '.';
    if (strlen(name) != PLACE_ID_BYTES - 1u + hidden) return OK; /* not ours */
    snprintf(run.id, sizeof run.id, "%s", name + hidden);
    snprintf(run.folder, sizeof run.folder, "%.93s/%.8s", base, name);
    if (!place_is_ours(run.folder)) return OK;
    if (!hidden) run.fd = knock(run.folder);
    if (hidden ? is_abandoned(run.folder) : run.fd < 0 && nobody_there(errno)) {
        remove_dead(&run);
        return OK;
    }
    if (hidden) return OK;
    if (run.fd >= 0) send_line(run.fd, request, sizeof request - 1, until_ns);
    struct visited *more =
        mem_resize(v->list, (v->count + 1) * sizeof *v->list);
    if (more == NULL) {
        if (run.fd >= 0) close(run.fd);
        return ERR_NOMEM;
    }
    v->list = more;
    v->list[v->count++] = run;
    return OK;
}

static err receive_status(struct visited *run, int64_t until_ns)
{
    struct buffer text = {0};
    int fd = run->fd;
    if (fd < 0) return ERR_IO;
    run->fd = -1;
    err e = await_answer(run->folder, fd, &text, until_ns);
    if (e == OK) e = parse(&text, &run->status);
    buffer_fini(&text);
    return e;
}

/* All have been asked: who hangs doesn't take the others' time. Those that
 * have ended meanwhile leave the list. */
static err receive_all(struct visits *v, int64_t until_ns)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < v->count; i++) {
        struct visited *run = &v->list[i];
        err e = receive_status(run, until_ns);
        if (e == ERR_NOMEM) return e;
        if (e == ERR_NOTFOUND) {
            remove_dead(run);
            continue;
        }
        struct visited one = *run;
        *run = (struct visited){.fd = -1};
        v->list[kept++] = one;
    }
    v->count = kept;
    return OK;
}

static int compare(const void *a, const void *b)
{
    const struct visited *x = a, *y = b;
    int order = strcmp(visited_topology(x), visited_topology(y));
    return order ? order : strcmp(x->id, y->id);
}

err visits_all(struct visits *out)
{
    err e = OK;
    int64_t until_ns = patience_ns();
    *out = (struct visits){0};
    for (unsigned i = 0; e == OK && i < PLACE_BASES; i++) {
        char base[PLACE_PATH_BYTES];
        if (!place_base(i, base) || !place_is_ours(base)) continue;
        DIR *folder = opendir(base);
        if (folder == NULL) continue;
        struct dirent *entry;
        while (e == OK && (entry = readdir(folder)) != NULL)
            e = visit(out, base, entry->d_name, until_ns);
        closedir(folder);
    }
    if (e == OK) e = receive_all(out, until_ns);
    if (e != OK) visits_free(out);
    if (out->count > 1)
        qsort(out->list, out->count, sizeof *out->list, compare);
    return e;
}

void visits_free(struct visits *v)
{
    for (unsigned i = 0; i < v->count; i++) {
        json_decref(v->list[i].status);
        if (v->list[i].fd >= 0) close(v->list[i].fd);
    }
    mem_free(v->list);
    *v = (struct visits){0};
}

/* ---- which one is meant ---- */

static bool is_meant(const struct visited *run, const char *name, bool by_id)
{
    if (by_id) return strncmp(run->id, name, strlen(name)) == 0;
    return strcmp(visited_topology(run), name) == 0;
}

static unsigned count_meant(const struct visits *v, const char *name,
                            bool by_id, const struct visited **last)
{
    unsigned count = 0;
    for (unsigned i = 0; i < v->count; i++)
        if (is_meant(&v->list[i], name, by_id)) {
            *last = &v->list[i];
            count++;
        }
    return count;
}

/* One that hangs can't say its name. */
static const char *silent_run(const struct visits *v)
{
    for (unsigned i = 0; i < v->count; i++)
        if (v->list[i].status == NULL) return v->list[i].id;
    return NULL;
}

static void say_none(const struct visits *v, const char *name)
{
    struct nearest near;
    const char *silent = silent_run(v);
    nearest_begin(&near, name);
    for (unsigned i = 0; i < v->count; i++) {
        nearest_try(&near, v->list[i].id);
        nearest_try(&near, visited_topology(&v->list[i]));
    }
    if (near.best[0])
        verb_say("there is no run '%s'; did you mean '%s'?", name, near.best);
    else if (v->count == 0)
        verb_say("there is no run '%s'; you have none that goes on", name);
    else if (silent)
        verb_say("no run that answers is '%s'; run %s doesn't: it may hang, or "
                 "be suspended",
                 name, silent);
    else
        verb_say("there is no run '%s'; engine ps lists them", name);
}

static void say_several(const struct visits *v, const char *name, bool by_id)
{
    char ids[256] = "";
    size_t used = 0;
    for (unsigned i = 0; i < v->count; i++) {
        if (!is_meant(&v->list[i], name, by_id)) continue;
        int n = snprintf(ids + used, sizeof ids - used, "%s%s",
                         used ? ", " : "", v->list[i].id);
        if (n < 0 || (size_t)n >= sizeof ids - used) break;
        used += (size_t)n;
    }
    verb_say("'%s' is more than one run; give one of %s", name, ids);
}

/* A whole id is no prefix of another: all are as long. */
int visit_find(const char *name, char folder[PLACE_PATH_BYTES])
{
    struct visits v;
    const struct visited *run = NULL;
    if (visits_all(&v) != OK) {
        verb_say("out of memory");
        return EXIT_FAILED;
    }
    bool by_id = false;
    unsigned meant = 0;
    if (name[0] != '\0') meant = count_meant(&v, name, false, &run);
    if (meant == 0 && name[0] != '\0') {
        by_id = true;
        meant = count_meant(&v, name, true, &run);
    }
    if (meant == 1) memcpy(folder, run->folder, PLACE_PATH_BYTES);
    if (meant == 0) say_none(&v, name);
    if (meant > 1) say_several(&v, name, by_id);
    visits_free(&v);
    return meant == 1 ? EXIT_WELL : EXIT_USAGE;
}

int visit_refused(const json_t *answer)
{
    return json_is_true(json_object_get(answer, "usage")) ? EXIT_USAGE
                                                          : EXIT_FAILED;
}

int visit_tell(const char *folder, const char *name, const json_t *request,
               json_t **answer)
{
    err e = ask_json(folder, request, answer);
    if (e == ERR_NOTFOUND) return VISIT_ENDED;
    if (e != OK) {
        verb_say(e == ERR_NOMEM ? "run '%s': out of memory"
                                : "run '%s' doesn't answer",
                 name);
        return EXIT_FAILED;
    }
    if (json_is_true(json_object_get(*answer, "ok"))) return EXIT_WELL;
    const char *error = json_string_value(json_object_get(*answer, "error"));
    verb_say("run '%s' says: %s", name, error ? error : "no");
    int code = visit_refused(*answer);
    json_decref(*answer);
    *answer = NULL;
    return code;
}

int visit_run(const char *name, const json_t *request, json_t **answer)
{
    char folder[PLACE_PATH_BYTES];
    int code = visit_find(name, folder);
    if (code == EXIT_WELL) code = visit_tell(folder, name, request, answer);
    if (code != VISIT_ENDED) return code;
    verb_say("run '%s' has just ended", name);
    return EXIT_FAILED;
}

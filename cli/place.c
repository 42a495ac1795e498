#define _GNU_SOURCE /* SOCK_CLOEXEC, SOCK_NONBLOCK */
#include "cli/place.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { TRIES = 16, BACKLOG = 32 };

_Static_assert(sizeof((struct sockaddr_un *)0)->sun_path == PLACE_PATH_BYTES,
               "a path is a socket's address");

/* ---- bases ---- */

bool place_base(unsigned i, char path[PLACE_PATH_BYTES])
{
    /* What is put behind it: "/ID/door", and a dot while it is made. */
    enum { BEHIND = 1 + 1 + PLACE_ID_BYTES + sizeof PLACE_DOOR };
    static const char *const variables[] = {"XDG_RUNTIME_DIR", "HOME"};
    static const char *const below[] = {"engine", ".local/state/engine/run"};
    int bytes;
    if (i == PLACE_BASES - 1) {
        bytes = snprintf(path, PLACE_PATH_BYTES, "/tmp/engine-%u",
                         (unsigned)geteuid());
    } else {
        const char *root = getenv(variables[i]);
        if (root == NULL || root[0] != '/') return false;
        bytes = snprintf(path, PLACE_PATH_BYTES, "%s/%s", root, below[i]);
    }
    return bytes + BEHIND <= PLACE_PATH_BYTES;
}

bool place_is_ours(const char *folder)
{
    struct stat s;
    return lstat(folder, &s) == 0 && S_ISDIR(s.st_mode) &&
           s.st_uid == geteuid() && (s.st_mode & 077) == 0;
}

/* With the folders above it that are missing. */
static int make_folders(char *path)
{
    for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        int made = mkdir(path, 0700);
        *at = '/';
        if (made < 0 && errno != EEXIST) return -1;
    }
    return mkdir(path, 0700);
}

static bool use_base(char *base, char *why, size_t why_bytes)
{
    if (make_folders(base) == 0 || place_is_ours(base)) return true;
    if (errno != EEXIST)
        snprintf(why, why_bytes, "%s: %s", base, strerror(errno));
    else
        snprintf(why, why_bytes,
                 "%s: it isn't a folder of yours with mode 0700", base);
    return false;
}

/* ---- a run's folder ---- */

static bool draw_id(char id[PLACE_ID_BYTES])
{
    /* No two that look alike. */
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    unsigned char random[PLACE_ID_BYTES - 1];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    for (size_t i = 0; i < sizeof random; i++)
        id[i] = letters[random[i] % (sizeof letters - 1)];
    id[0] = letters[random[0] % 23]; /* a letter: no number is meant by it */
    id[PLACE_ID_BYTES - 1] = '\0';
    return true;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static void remove_folder(const char *folder)
{
    char door[PLACE_PATH_BYTES + sizeof PLACE_DOOR];
    snprintf(door, sizeof door, "%s/" PLACE_DOOR, folder);
    unlink(door);
    rmdir(folder);
}

/* Under a hidden name until it listens: a folder without an answering socket
 * is one that a dead run has left. */
static int make_in(const char *base, struct place *p)
{
    char hidden[PLACE_PATH_BYTES], door[PLACE_PATH_BYTES];
    if (!draw_id(p->id)) return -1;
    snprintf(hidden, sizeof hidden, "%.93s/.%s", base, p->id);
    snprintf(door, sizeof door, "%.102s/" PLACE_DOOR, hidden);
    snprintf(p->folder, sizeof p->folder, "%.93s/%s", base, p->id);
    if (mkdir(hidden, 0700) < 0) return -1;
    int fd = listen_at(door);
    if (fd >= 0 && rename(hidden, p->folder) == 0) return fd;
    int saved = errno;
    if (fd >= 0) close(fd);
    remove_folder(hidden);
    errno = saved;
    return -1;
}

err place_make(struct place *p, int *fd, char *why, size_t why_bytes)
{
    size_t used = 0;
    why[0] = '\0';
    for (unsigned i = 0; i < PLACE_BASES; i++) {
        char base[PLACE_PATH_BYTES], reason[256] = "";
        if (!place_base(i, base)) continue;
        bool usable = use_base(base, reason, sizeof reason);
        for (int tries = 0; usable && tries < TRIES; tries++) {
            *fd = make_in(base, p);
            if (*fd >= 0) return OK;
            snprintf(reason, sizeof reason, "%s: %s", base, strerror(errno));
            if (errno != EEXIST && errno != ENOTEMPTY) break;
        }
        int n = snprintf(why + used, why_bytes - used, "%s%s",
                         used > 0 ? "; " : "", reason);
        if (n > 0 && (size_t)n < why_bytes - used) used += (size_t)n;
    }
    p->id[0] = '\0';
    return ERR_IO;
}

void place_remove(struct place *p)
{
    if (p->id[0] == '\0') return;
    remove_folder(p->folder);
    p->id[0] = '\0';
}

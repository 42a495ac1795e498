#include "actors/connectors/fault.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *advice(enum fault_kind kind, int error)
{
    bool write = kind == FAULT_WRITE;
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return write ? "make its folder, or check the path (it is relative to "
                       "where engine was started)"
                     : "check the path (it is relative to where engine was "
                       "started)";
    case EISDIR: return "name a file in this folder";
    case EACCES:
    case EPERM:
    case EROFS:
        return write ? "allow this user to write it, or choose another path"
                     : "allow this user to read it";
    case EMFILE:
    case ENFILE: return "raise the limit of open files (ulimit -n)";
    case ENOSPC:
    case EDQUOT: return "free some space";
    case EFBIG: return "raise the limit of file sizes (ulimit -f)";
    case ENXIO:
        return write ? "start the program that reads it"
                     : "it can't be opened as a file";
    case EPIPE: return "the program that read it has ended";
    case ENOMEM: return "give the process more memory";
    default: return "check the disk and the system's log";
    }
}

void fault_text(char *out, size_t bytes, enum fault_kind kind, const char *path,
                int error)
{
    char what[128];
    if (strerror_r(error, what, sizeof what) != 0)
        snprintf(what, sizeof what, "error %d", error);
    snprintf(out, bytes, "%s: %s; %s", path, what, advice(kind, error));
}

bool fault_stays(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EISDIR ||
           error == EACCES || error == EPERM || error == ELOOP;
}

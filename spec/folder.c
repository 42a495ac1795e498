#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "spec/folder.h"
#include "spec/spec.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void folder_make(char path[FOLDER_BYTES])
{
    const char *temporary = getenv("TMPDIR");
    int length = snprintf(path, FOLDER_BYTES, "%s/engine-spec-XXXXXX",
                          temporary ? temporary : "/tmp");
    CHECK(length < FOLDER_BYTES);
    CHECK(mkdtemp(path) != NULL);
}

void folder_remove(const char *path)
{
    DIR *folder = opendir(path);
    CHECK(folder != NULL);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[FOLDER_BYTES + 256];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.') CHECK_EQ(unlink(name), 0);
    }
    closedir(folder);
    CHECK_EQ(rmdir(path), 0);
}

/* folder.h - a folder of a story's own, and its end. */
#ifndef SPEC_FOLDER_H
#define SPEC_FOLDER_H

enum { FOLDER_BYTES = 256 };

/* Makes an empty one among the system's temporary files. */
void folder_make(char path[FOLDER_BYTES]);
/* With all that is in it; no folders are. */
void folder_remove(const char *path);

#endif

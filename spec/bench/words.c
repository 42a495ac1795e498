/* words.c - how often each word occurs, in C: the peer of the native word
 * count.
 *   bench-words FILE
 * A word is a run of ASCII letters, lower-cased; prints sorted `word count`.
 * The straightforward program: the file is mapped, a loop over its bytes lowers
 * and hashes (FNV-1a) a word while it looks for its end, and a table with open
 * addressing compares hash, length and bytes. */
#include "core/alloc.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORD_MAX = 1 << 16 };

struct entry {
    char *word; /* NULL: free */
    uint32_t hash, bytes;
    uint64_t count;
};

static struct {
    struct entry *entries;
    uint32_t room, count; /* room is a power of two */
} table;

static struct entry *find(const char *word, uint32_t bytes, uint32_t hash)
{
    uint32_t at = hash & (table.room - 1);
    for (;; at = (at + 1) & (table.room - 1)) {
        struct entry *e = &table.entries[at];
        if (e->word == NULL) return e;
        if (e->hash == hash && e->bytes == bytes &&
            memcmp(e->word, word, bytes) == 0)
            return e;
    }
}

static void *checked(void *block)
{
    if (block) return block;
    fprintf(stderr, "out of memory\n");
    exit(1);
}

static void grow(void)
{
    struct entry *old = table.entries;
    uint32_t room = table.room;
    table.room = room ? 2 * room : 1024;
    table.entries = checked(mem_zero(table.room, sizeof *table.entries));
    for (uint32_t i = 0; i < room; i++)
        if (old[i].word) *find(old[i].word, old[i].bytes, old[i].hash) = old[i];
    mem_free(old);
}

static void count(const char *word, uint32_t bytes, uint32_t hash)
{
    if (2 * (table.count + 1) > table.room) grow();
    struct entry *e = find(word, bytes, hash);
    if (e->word == NULL) {
        *e = (struct entry){checked(mem_text(word, bytes)), hash, bytes, 0};
        table.count++;
    }
    e->count++;
}

static void count_all(const char *at, const char *end)
{
    static char word[WORD_MAX];
    while (at < end) {
        uint32_t bytes = 0, hash = 2166136261u;
        for (; at < end; at++) {
            char c = (char)(*at | 0x20);
            if (c < 'a' || c > 'z') break;
            if (bytes == WORD_MAX) {
                fprintf(stderr, "a word is longer than %d bytes\n", WORD_MAX);
                exit(1);
            }
            word[bytes++] = c;
            hash = (hash ^ (uint8_t)c) * 16777619u;
        }
        if (bytes > 0) count(word, bytes, hash);
        at++;
    }
}

static int by_word(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return strcmp((*x)->word, (*y)->word);
}

static void print_all(void)
{
    struct entry **sorted = checked(mem_zero(table.count + 1, sizeof *sorted));
    uint32_t n = 0;
    for (uint32_t i = 0; i < table.room; i++)
        if (table.entries[i].word) sorted[n++] = &table.entries[i];
    qsort(sorted, n, sizeof *sorted, by_word);
    for (uint32_t i = 0; i < n; i++)
        printf("%s %llu\n", sorted[i]->word,
               (unsigned long long)sorted[i]->count);
}

int main(int argc, char **argv)
{
    struct stat about;
    if (argc != 2) {
        fprintf(stderr, "usage: bench-words FILE\n");
        return 2;
    }
    int file = open(argv[1], O_RDONLY);
    if (file < 0 || fstat(file, &about) != 0) {
        perror(argv[1]);
        return 1;
    }
    size_t bytes = (size_t)about.st_size;
    if (bytes > 0) {
        char *text = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, file, 0);
        if (text == MAP_FAILED) {
            perror(argv[1]);
            return 1;
        }
        grow();
        count_all(text, text + bytes);
        print_all();
    }
    close(file);
    return 0;
}

/* registry_row.h - a registry's records in a store, see registry_store.h. */
#ifndef CORE_REGISTRY_ROW_H
#define CORE_REGISTRY_ROW_H

#include "core/registry.h"

struct row_key {
    size_t count;
    uint8_t at[STORE_KEY_MAX];
};

static inline struct bytes row_key_bytes(const struct row_key *k)
{
    return bytes_of(k->at, k->count);
}

void row_key_counter(struct row_key *k);
/* Keys are right ones: see registry.h. */
void row_key_entry(const char *key, struct row_key *k);
/* What the records of all directly below it begin with; and, one deeper at a
 * time, of those below them. False: nothing is so deep. */
void row_key_children(const char *key, struct row_key *k);
bool row_key_deeper(struct row_key *k);
/* That a session has the key; "": what all such of the session begin with. */
void row_key_owned(uint64_t session, const char *key, struct row_key *k);
/* What those of all sessions begin with. */
void row_key_owned_all(struct row_key *k);

bool row_key_begins(struct bytes record, const struct row_key *prefix);
/* Of a session's record. False: it is damaged. */
bool row_key_get_owned(struct bytes record, uint64_t *session,
                       char key[REGISTRY_KEY_MAX + 1]);

/* Append. ERR_NOMEM. */
err row_put_counter(struct buffer *row, uint64_t revision);
err row_put_entry(struct buffer *row, const struct registry_entry *entry);
/* ERR_FORMAT: it is damaged, or a newer engine's. An entry's value is borrowed;
 * its key isn't touched. */
err row_get_counter(struct bytes row, uint64_t *revision);
err row_get_entry(struct bytes row, struct registry_entry *entry);

#endif

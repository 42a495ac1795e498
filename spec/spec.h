/* spec.h - sugar over cmocka: a spec is a sentence and a story.
 *   SPEC(mailbox, keeps_the_order_of_one_sender) { ... CHECK_EQ(a, b); }
 * registers itself; spec_main() runs those whose "module.sentence" contains
 * the argument (all without one) and none of ENGINE_SPEC_SKIP's parts (commas
 * part them), those of the module "cases" last, and ends with `N passed, N
 * failed`. */
#ifndef SPEC_SPEC_H
#define SPEC_SPEC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

extern uint64_t spec_seed; /* of the story running; printed on failure */

typedef void spec_story(void);
void spec_register(const char *name, spec_story *story);
/* Is there one of exactly this "module.sentence"? */
bool spec_exists(const char *name);
/* What the spec of this name has shown in this process. */
struct spec_scope {
    bool ran;
    uint64_t seeds;   /* of the longest FOR_SEEDS */
    uint64_t threads; /* bit n: on n real threads */
};
struct spec_scope spec_scope(const char *name);
/* The running spec was right on so many real threads. */
void spec_note_threads(unsigned threads);
/* Fails the running story: place, what was seen, the seed. Doesn't return. */
void spec_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/* Fails when none of several seeds has shown it. */
void spec_seen(const char *file, int line, const char *what, uint64_t count);

/* The first seed (ENGINE_SEED or `first`) and how many to try: 1 when
 * ENGINE_SEED is set, else `count`, times ENGINE_SEEDS_FACTOR for campaigns,
 * or ENGINE_SEEDS_PERCENT of them where a run is slow. */
uint64_t spec_first_seed(void);
uint64_t spec_seeds(uint64_t count);
#define FOR_SEEDS(count)                                                       \
    for (uint64_t first_ = spec_first_seed(), n_ = spec_seeds(count), i_ = 0;  \
         i_ < n_ && (spec_seed = first_ + i_, true); i_++)

#define SPEC(module, sentence)                                                 \
    static void spec_##module##_##sentence(void);                              \
    __attribute__((constructor)) static void reg_##module##_##sentence(void)   \
    {                                                                          \
        spec_register(#module "." #sentence, spec_##module##_##sentence);      \
    }                                                                          \
    static void spec_##module##_##sentence(void)

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) spec_fail(__FILE__, __LINE__, "not %s", #condition); \
    } while (0)
/* Holds once at least in a FOR_SEEDS that has ended; of one seed that is
 * replayed nothing is asked. */
#define CHECK_SEEN(count) spec_seen(__FILE__, __LINE__, #count, count)
#define CHECK_EQ(a, b)                                                         \
    do {                                                                       \
        long long a_ = (long long)(a), b_ = (long long)(b);                    \
        if (a_ != b_)                                                          \
            spec_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #a, a_, b_); \
    } while (0)
#define CHECK_TEXT(a, b)                                                       \
    do {                                                                       \
        const char *a_ = (a), *b_ = (b);                                       \
        if (a_ == NULL || strcmp(a_, b_) != 0)                                 \
            spec_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #a,      \
                      a_ ? a_ : "(null)", b_);                                 \
    } while (0)
/* `part` occurs in `text`. */
#define CHECK_HAS(text, part)                                                  \
    do {                                                                       \
        const char *a_ = (text), *b_ = (part);                                 \
        if (a_ == NULL || strstr(a_, b_) == NULL)                              \
            spec_fail(__FILE__, __LINE__, "no \"%s\" in \"%s\"", b_,           \
                      a_ ? a_ : "(null)");                                     \
    } while (0)

#endif

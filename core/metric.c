#include "core/metric.h"
#include "core/alloc.h"
#include "core/log.h"
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    CACHE_LINE = 64,
    THREADS_MAX = 65536,
    INDEX_START = 64,
    SLABS = METRIC_HISTOGRAMS_MAX / METRIC_SLAB
};

struct metric {
    struct metric_info info;
    char *labels; /* owned */
    struct metric *_Atomic next;
};

/* All metrics of one name; Prometheus wants them together. */
struct family {
    char *name; /* owned */
    enum metric_kind kind;
    struct metric *_Atomic first; /* owned list, only ever appended to */
    struct metric *last;
    struct family *_Atomic next;
};

/* Finds metrics by name and labels, and families by name: labels are NULL. */
struct slot {
    uint64_t hash;
    const char *name, *labels; /* borrowed from what is found */
    struct metric *metric;     /* NULL: a family, or an empty slot */
    struct family *family;     /* NULL: an empty slot */
};

struct metrics {
    unsigned threads;
    struct metric_cells *cells; /* owned, one for each thread */
    _Atomic(struct metric_chunk *) gauges[METRIC_CHUNKS]; /* owned */
    struct family *_Atomic families; /* owned list, only ever appended to */

    pthread_mutex_t lock; /* registration: all below */
    struct family *last;
    unsigned counts[METRIC_HISTOGRAM + 1]; /* registered of each kind */
    void *slabs[SLABS]; /* owned; histograms of all threads */
    struct slot *slots; /* owned; linear probing, at most 3/4 full */
    size_t capacity;    /* a power of two */
    size_t used;
};

static const unsigned kind_limits[] = {METRIC_COUNTERS_MAX, METRIC_GAUGES_MAX,
                                       METRIC_HISTOGRAMS_MAX};

static metric_id id_of(enum metric_kind kind, unsigned number)
{
    return (uint32_t)kind << METRIC_KIND_SHIFT | number;
}

static enum metric_kind kind_of(metric_id id)
{
    return (enum metric_kind)(id >> METRIC_KIND_SHIFT);
}

static unsigned number_of(metric_id id)
{
    return id & ((1u << METRIC_KIND_SHIFT) - 1);
}

/* ---- names and labels ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Length of the identifier at the beginning; 0: there is none. */
static size_t identifier_bytes(const char *at, bool colons)
{
    size_t n = 0;
    while (is_letter(at[n]) || (colons && at[n] == ':') ||
           (n > 0 && at[n] >= '0' && at[n] <= '9'))
        n++;
    return n;
}

/* Behind the quoted value that begins at `at`; NULL: it isn't one. */
static const char *behind_value(const char *at)
{
    if (*at++ != '"') return NULL;
    const char *end = at + strlen(at);
    while (at < end && *at != '"') {
        bool valid;
        if (*at == '\n') return NULL;
        if (*at == '\\' && strchr("\\\"n", *++at) == NULL) return NULL;
        if (at == end) return NULL;
        at += log_utf8_step(at, (size_t)(end - at), &valid);
        if (!valid) return NULL;
    }
    return at < end ? at + 1 : NULL;
}

/* Behind the label at `at` and its comma; NULL: it isn't one. */
static const char *behind_label(const char *at, size_t *name_bytes)
{
    *name_bytes = identifier_bytes(at, false);
    if (*name_bytes == 0 || at[*name_bytes] != '=') return NULL;
    at = behind_value(at + *name_bytes + 1);
    if (at == NULL || *at == '\0') return at;
    return *at == ',' && at[1] != '\0' ? at + 1 : NULL;
}

/* Is there a label of that name before `end`? All before it are sound. */
static bool has_label(const char *at, const char *end, const char *name,
                      size_t name_bytes)
{
    while (at < end) {
        size_t n;
        const char *next = behind_label(at, &n);
        if (n == name_bytes && memcmp(at, name, n) == 0) return true;
        at = next;
    }
    return false;
}

static bool labels_sound(const char *labels, enum metric_kind kind)
{
    size_t n;
    for (const char *at = labels; *at != '\0';) {
        const char *next = behind_label(at, &n);
        if (next == NULL || has_label(labels, at, at, n)) return false;
        at = next;
    }
    /* metrics_text() gives a summary's lines this label */
    return kind != METRIC_HISTOGRAM ||
           !has_label(labels, labels + strlen(labels), "quantile", 8);
}

static bool name_sound(const char *name)
{
    size_t n = identifier_bytes(name, true);
    return n > 0 && name[n] == '\0';
}

/* The escaped form of the character at `at`, which is `step` bytes long. */
static size_t escape(char *out, const char *at, size_t step, bool valid)
{
    static const char replacement[] = "\uFFFD";
    if (!valid) {
        at = replacement;
        step = sizeof replacement - 1;
    }
    bool escaped = *at == '\\' || *at == '"' || *at == '\n';
    if (escaped) *out++ = '\\';
    memcpy(out, *at == '\n' ? "n" : at, step);
    return step + escaped;
}

err metric_label(char *labels, size_t room, const char *name, const char *value)
{
    size_t old = strlen(labels), at = old;
    const char *end = value + strlen(value);
    int n =
        snprintf(labels + at, room - at, "%s%s=\"", at > 0 ? "," : "", name);
    at += (size_t)n;
    while (value < end && at < room) {
        char out[8];
        bool valid;
        size_t step = log_utf8_step(value, (size_t)(end - value), &valid);
        size_t bytes = escape(out, value, step, valid);
        if (bytes < room - at) memcpy(labels + at, out, bytes);
        at += bytes;
        value += step;
    }
    if (at >= room || room - at < 2) {
        labels[old] = '\0';
        return ERR_LIMIT;
    }
    memcpy(labels + at, "\"", 2);
    return OK;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && memcmp(text + n - m, end, m) == 0;
}

static double unit_of(const char *name, enum metric_kind kind)
{
    bool seconds =
        ends_with(name, "_seconds") || ends_with(name, "_seconds_total");
    return kind != METRIC_GAUGE && seconds ? 1e-9 : 1;
}

/* ---- the index ---- */

static uint64_t hash_of(const char *name, const char *labels)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    if (labels == NULL) return hash;
    hash = (hash ^ '{') * 1099511628211u;
    for (; *labels; labels++)
        hash = (hash ^ (unsigned char)*labels) * 1099511628211u;
    return hash;
}

static bool same_labels(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* The slot of it, or the empty one where it would go. */
static struct slot *index_slot(struct metrics *m, const char *name,
                               const char *labels)
{
    uint64_t hash = hash_of(name, labels);
    for (uint64_t i = hash;; i++) {
        struct slot *s = &m->slots[i & (m->capacity - 1)];
        if (s->family == NULL) return s;
        if (s->hash == hash && strcmp(s->name, name) == 0 &&
            same_labels(s->labels, labels))
            return s;
    }
}

static void index_put(struct metrics *m, struct family *family,
                      struct metric *metric)
{
    const char *labels = metric ? metric->info.labels : NULL;
    *index_slot(m, family->name, labels) =
        (struct slot){.hash = hash_of(family->name, labels),
                      .name = family->name,
                      .labels = labels,
                      .metric = metric,
                      .family = family};
    m->used++;
}

/* Makes room for a family and a metric. */
static err index_reserve(struct metrics *m)
{
    if ((m->used + 2) * 4 <= m->capacity * 3) return OK;
    struct slot *old = m->slots;
    size_t old_capacity = m->capacity;
    struct slot *slots = mem_zero(old_capacity * 2, sizeof *slots);
    if (slots == NULL) return ERR_NOMEM;
    m->slots = slots;
    m->capacity = old_capacity * 2;
    m->used = 0;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].family) index_put(m, old[i].family, old[i].metric);
    mem_free(old);
    return OK;
}

/* ---- cells ---- */

/* Zeroed chunks for `count` threads, each beginning a line of the cache. */
static struct metric_chunk *chunks_new(unsigned count)
{
    size_t bytes = count * sizeof(struct metric_chunk);
    struct metric_chunk *chunks = mem_aligned(CACHE_LINE, bytes);
    if (chunks != NULL) memset(chunks, 0, bytes);
    return chunks;
}

/* A chunk (or a slab) that stays unused after a later error serves the next id.
 */
static err gauge_cells(struct metrics *m, unsigned number)
{
    unsigned chunk = number / METRIC_CHUNK;
    if (at_load(&m->gauges[chunk], RELAXED) != NULL) return OK;
    struct metric_chunk *c = chunks_new(1);
    if (c == NULL) return ERR_NOMEM;
    at_store(&m->gauges[chunk], c, RELEASE);
    return OK;
}

/* The chunks of all threads are one block, which thread 0's pointer owns. */
static err counter_cells(struct metrics *m, unsigned number)
{
    unsigned chunk = number / METRIC_CHUNK;
    if (at_load(&m->cells[0].counters[chunk], RELAXED) != NULL) return OK;
    struct metric_chunk *c = chunks_new(m->threads);
    if (c == NULL) return ERR_NOMEM;
    for (unsigned t = 0; t < m->threads; t++)
        at_store(&m->cells[t].counters[chunk], c + t, RELEASE);
    return OK;
}

/* Hands out a slab: the histograms of one thread lie side by side. */
static void slab_publish(struct metrics *m, unsigned slab, char *at)
{
    size_t stride = sizeof(struct metric_histogram) + CACHE_LINE - 1;
    stride -= stride % CACHE_LINE;
    for (unsigned t = 0; t < m->threads; t++) {
        for (unsigned i = 0; i < METRIC_SLAB; i++, at += stride)
            at_store(&m->cells[t].histograms[slab * METRIC_SLAB + i],
                     (struct metric_histogram *)(void *)at, RELEASE);
    }
}

/* One large zeroed block, which malloc gets as fresh pages from the kernel as
 * a rule: those that nobody records in then cost nothing. An aligned block
 * would have to be cleared, hence the lines are aligned here. */
static err histogram_cells(struct metrics *m, unsigned number)
{
    unsigned slab = number / METRIC_SLAB;
    if (m->slabs[slab] != NULL) return OK;
    size_t each = sizeof(struct metric_histogram) + CACHE_LINE;
    char *block = mem_zero(m->threads * METRIC_SLAB + 1, each);
    if (block == NULL) return ERR_NOMEM;
    m->slabs[slab] = block;
    slab_publish(m, slab, block + CACHE_LINE - (uintptr_t)block % CACHE_LINE);
    return OK;
}

static err make_cells(struct metrics *m, metric_id id)
{
    switch (kind_of(id)) {
    case METRIC_COUNTER: return counter_cells(m, number_of(id));
    case METRIC_GAUGE: return gauge_cells(m, number_of(id));
    default: return histogram_cells(m, number_of(id));
    }
}

/* ---- registration ---- */

static void family_free(struct family *family)
{
    struct metric *metric = at_load(&family->first, RELAXED);
    while (metric != NULL) {
        struct metric *next = at_load(&metric->next, RELAXED);
        mem_free(metric->labels);
        mem_free(metric);
        metric = next;
    }
    mem_free(family->name);
    mem_free(family);
}

static struct family *family_new(const struct metric_info *wanted)
{
    struct family *family = mem_zero(1, sizeof *family);
    if (family == NULL) return NULL;
    family->kind = wanted->kind;
    family->name = mem_text(wanted->name, strlen(wanted->name));
    if (family->name != NULL) return family;
    mem_free(family);
    return NULL;
}

static struct metric *metric_new(const struct metric_info *wanted,
                                 const char *name)
{
    struct metric *metric = mem_zero(1, sizeof *metric);
    if (metric == NULL) return NULL;
    metric->labels = mem_text(wanted->labels, strlen(wanted->labels));
    metric->info = *wanted;
    metric->info.name = name;
    metric->info.labels = metric->labels;
    if (metric->labels != NULL) return metric;
    mem_free(metric);
    return NULL;
}

/* Readers walk the lists without the lock: all is complete when it is linked.
 */
static void publish(struct metrics *m, struct family *family,
                    struct metric *metric)
{
    m->counts[family->kind]++;
    if (family->last == NULL) {
        at_store(&family->first, metric, RELAXED);
        at_store(m->last ? &m->last->next : &m->families, family, RELEASE);
        m->last = family;
        index_put(m, family, NULL);
    } else {
        at_store(&family->last->next, metric, RELEASE);
    }
    family->last = metric;
    index_put(m, family, metric);
}

/* `family` is NULL when the name is new. */
static err add_metric(struct metrics *m, struct family *family,
                      struct metric_info *wanted)
{
    if (m->counts[wanted->kind] == kind_limits[wanted->kind]) return ERR_LIMIT;
    wanted->id = id_of(wanted->kind, m->counts[wanted->kind]);
    wanted->unit = unit_of(wanted->name, wanted->kind);
    if (index_reserve(m) != OK) return ERR_NOMEM;
    if (make_cells(m, wanted->id) != OK) return ERR_NOMEM;
    struct family *made = family ? NULL : family_new(wanted);
    if (made != NULL) family = made;
    if (family == NULL) return ERR_NOMEM;
    struct metric *metric = metric_new(wanted, family->name);
    if (metric == NULL) {
        if (made != NULL) family_free(made);
        return ERR_NOMEM;
    }
    publish(m, family, metric);
    return OK;
}

/* Fills in the rest of `wanted`. */
static err find_or_add(struct metrics *m, struct metric_info *wanted)
{
    struct family *family = index_slot(m, wanted->name, NULL)->family;
    if (family != NULL && family->kind != wanted->kind) return ERR_CONFIG;
    const struct metric *metric =
        index_slot(m, wanted->name, wanted->labels)->metric;
    if (metric == NULL) return add_metric(m, family, wanted);
    *wanted = metric->info;
    return OK;
}

err metric_register(struct metrics *m, enum metric_kind kind, const char *name,
                    const char *labels, metric_id *id)
{
    assert(kind >= METRIC_COUNTER && kind <= METRIC_HISTOGRAM);
    if (!name_sound(name) || !labels_sound(labels, kind)) return ERR_CONFIG;
    struct metric_info wanted = {.kind = kind, .name = name, .labels = labels};
    pthread_mutex_lock(&m->lock);
    err e = find_or_add(m, &wanted);
    pthread_mutex_unlock(&m->lock);
    if (e == OK) *id = wanted.id;
    return e;
}

/* ---- gauges and sums ---- */

static _Atomic uint64_t *gauge_cell(struct metrics *m, metric_id id)
{
    unsigned number = number_of(id);
    assert(kind_of(id) == METRIC_GAUGE && number < METRIC_GAUGES_MAX);
    struct metric_chunk *c =
        at_load(&m->gauges[number / METRIC_CHUNK], ACQUIRE);
    return &c->cells[number % METRIC_CHUNK];
}

void metric_set(struct metrics *m, metric_id id, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    at_store(gauge_cell(m, id), bits, RELAXED);
}

double metric_gauge(struct metrics *m, metric_id id)
{
    uint64_t bits = at_load(gauge_cell(m, id), RELAXED);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t counter_sum(struct metrics *m, metric_id id)
{
    uint64_t sum = 0;
    assert(id < METRIC_COUNTERS_MAX);
    for (unsigned t = 0; t < m->threads; t++) {
        struct metric_chunk *c =
            at_load(&m->cells[t].counters[id / METRIC_CHUNK], ACQUIRE);
        sum += at_load(&c->cells[id % METRIC_CHUNK], RELAXED);
    }
    return sum;
}

static struct metric_histogram *histogram_of(struct metrics *m, unsigned thread,
                                             metric_id id)
{
    unsigned number = number_of(id);
    assert(kind_of(id) == METRIC_HISTOGRAM && number < METRIC_HISTOGRAMS_MAX);
    return at_load(&m->cells[thread].histograms[number], ACQUIRE);
}

static uint64_t histogram_count(struct metrics *m, metric_id id)
{
    uint64_t count = 0;
    for (unsigned t = 0; t < m->threads; t++) {
        struct metric_histogram *h = histogram_of(m, t, id);
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
            count += at_load(&h->buckets[i], RELAXED);
    }
    return count;
}

uint64_t metric_read(struct metrics *m, metric_id id)
{
    if (kind_of(id) == METRIC_HISTOGRAM) return histogram_count(m, id);
    return counter_sum(m, id);
}

/* ---- histograms ---- */

/* The smallest value of a bucket; its width goes to *width. */
static uint64_t bucket_low(unsigned bucket, uint64_t *width)
{
    *width = 1;
    if (bucket < 2 * HISTOGRAM_STEPS) return bucket;
    unsigned shift = bucket / HISTOGRAM_STEPS - 1;
    *width = UINT64_C(1) << shift;
    return (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
}

/* The last bucket takes all that is too large for it. */
static uint64_t bucket_high(unsigned bucket)
{
    uint64_t width, low = bucket_low(bucket, &width);
    return bucket == HISTOGRAM_BUCKETS - 1 ? UINT64_MAX : low + width - 1;
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Counts the buckets and brings min and max into the outermost that are not
 * empty: they lie outside when a recording thread has counted the value and
 * not yet noted it, or after a subtraction. */
static void settle(struct histogram_view *v)
{
    uint64_t width;
    unsigned first = HISTOGRAM_BUCKETS, last = 0;
    v->count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (v->buckets[i] == 0) continue;
        if (first == HISTOGRAM_BUCKETS) first = i;
        last = i;
        v->count += v->buckets[i];
    }
    if (v->count == 0) {
        v->min = v->max = 0;
        return;
    }
    v->min = clamp(v->min, bucket_low(first, &width), bucket_high(first));
    v->max = clamp(v->max, bucket_low(last, &width), bucket_high(last));
}

static void view_add(struct histogram_view *v, struct metric_histogram *h)
{
    uint64_t min = ~at_load(&h->not_min, RELAXED);
    uint64_t max = at_load(&h->max, RELAXED);
    if (min < v->min) v->min = min;
    if (max > v->max) v->max = max;
    v->sum += at_load(&h->sum, RELAXED);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        v->buckets[i] += at_load(&h->buckets[i], RELAXED);
}

void metric_view(struct metrics *m, metric_id id, struct histogram_view *view)
{
    memset(view, 0, sizeof *view);
    view->min = UINT64_MAX;
    for (unsigned t = 0; t < m->threads; t++)
        view_add(view, histogram_of(m, t, id));
    settle(view);
}

void histogram_minus(struct histogram_view *later,
                     const struct histogram_view *earlier)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        assert(later->buckets[i] >= earlier->buckets[i]); /* not swapped */
        later->buckets[i] -= earlier->buckets[i];
    }
    later->sum -= earlier->sum;
    settle(later);
}

uint64_t histogram_percentile(const struct histogram_view *view, double percent)
{
    if (view->count == 0 || !(percent > 0)) return view->min;
    if (percent >= 100) return view->max;
    double exact = ceil(percent / 100 * (double)view->count);
    uint64_t rank = clamp((uint64_t)exact, 1, view->count);
    unsigned bucket = 0;
    for (uint64_t seen = view->buckets[0]; seen < rank;)
        seen += view->buckets[++bucket];
    uint64_t width, low = bucket_low(bucket, &width);
    return clamp(low + width / 2, view->min, view->max);
}

double histogram_mean(const struct histogram_view *view)
{
    if (view->count == 0) return 0;
    return (double)view->sum / (double)view->count;
}

uint64_t metric_percentile(struct metrics *m, metric_id id, double percent)
{
    struct histogram_view view;
    metric_view(m, id, &view);
    return histogram_percentile(&view, percent);
}

/* ---- all of them ---- */

err metrics_each(struct metrics *m, metric_visit *visit, void *context)
{
    struct family *family = at_load(&m->families, ACQUIRE);
    for (; family != NULL; family = at_load(&family->next, ACQUIRE)) {
        struct metric *metric = at_load(&family->first, RELAXED);
        for (; metric != NULL; metric = at_load(&metric->next, ACQUIRE)) {
            err e = visit(context, &metric->info);
            if (e != OK) return e;
        }
    }
    return OK;
}

/* Gathers small pieces for the writer. */
struct text {
    struct metrics *m;
    const char *last_name; /* of the line before: is a TYPE line due? */
    metric_writer *write;
    void *context;
    size_t used;
    char bytes[4096];
};

static err text_flush(struct text *t)
{
    size_t n = t->used;
    t->used = 0;
    return n > 0 ? t->write(t->context, t->bytes, n) : OK;
}

static err text_put(struct text *t, const char *piece)
{
    size_t n = strlen(piece);
    if (n > sizeof t->bytes - t->used) {
        err e = text_flush(t);
        if (e != OK) return e;
    }
    if (n > sizeof t->bytes) return t->write(t->context, piece, n);
    memcpy(t->bytes + t->used, piece, n);
    t->used += n;
    return OK;
}

static err text_put_all(struct text *t, const char *const *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        err e = text_put(t, pieces[i]);
        if (e != OK) return e;
    }
    return OK;
}

/* `name suffix{labels,extra} value`; suffix and extra may be "". */
static err put_line(struct text *t, const struct metric_info *info,
                    const char *suffix, const char *extra, const char *value)
{
    bool labels = *info->labels != '\0', both = labels && *extra != '\0';
    bool braces = labels || *extra != '\0';
    const char *const pieces[] = {
        info->name,      suffix, braces ? "{" : "", info->labels,
        both ? "," : "", extra,  braces ? "}" : "", " ",
        value,           "\n"};
    return text_put_all(t, pieces, sizeof pieces / sizeof *pieces);
}

enum { NUMBER_BYTES = 40 };

/* In the metric's unit, exactly. */
static const char *number(char out[NUMBER_BYTES], uint64_t n, double unit)
{
    const uint64_t second = 1000000000;
    if (unit == 1) {
        snprintf(out, NUMBER_BYTES, "%" PRIu64, n);
    } else {
        snprintf(out, NUMBER_BYTES, "%" PRIu64 ".%09" PRIu64, n / second,
                 n % second);
    }
    return out;
}

/* The shortest of two forms that reads back as the same number. */
static const char *real(char out[NUMBER_BYTES], double value)
{
    if (isnan(value)) return "NaN";
    if (isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    snprintf(out, NUMBER_BYTES, "%.15g", value);
    double back;
    if (sscanf(out, "%lf", &back) != 1 || back < value || back > value)
        snprintf(out, NUMBER_BYTES, "%.17g", value);
    return out;
}

static err put_summary(struct text *t, const struct metric_info *info)
{
    static const struct {
        double percent;
        const char *label;
    } quantiles[] = {{50, "quantile=\"0.5\""},
                     {90, "quantile=\"0.9\""},
                     {99, "quantile=\"0.99\""},
                     {99.9, "quantile=\"0.999\""}};
    struct histogram_view view;
    char out[NUMBER_BYTES];
    metric_view(t->m, info->id, &view);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        uint64_t value = histogram_percentile(&view, quantiles[i].percent);
        err e =
            put_line(t, info, "", quantiles[i].label,
                     view.count > 0 ? number(out, value, info->unit) : "NaN");
        if (e != OK) return e;
    }
    err e = put_line(t, info, "_sum", "", number(out, view.sum, info->unit));
    if (e != OK) return e;
    return put_line(t, info, "_count", "", number(out, view.count, 1));
}

static err put_value(struct text *t, const struct metric_info *info)
{
    char out[NUMBER_BYTES];
    switch (info->kind) {
    case METRIC_COUNTER:
        return put_line(t, info, "", "",
                        number(out, counter_sum(t->m, info->id), info->unit));
    case METRIC_GAUGE:
        return put_line(t, info, "", "",
                        real(out, metric_gauge(t->m, info->id)));
    default: return put_summary(t, info);
    }
}

static err put_metric(void *context, const struct metric_info *info)
{
    static const char *const types[] = {" counter\n", " gauge\n", " summary\n"};
    struct text *t = context;
    if (info->name != t->last_name) {
        const char *const head[] = {"# TYPE ", info->name, types[info->kind]};
        err e = text_put_all(t, head, sizeof head / sizeof *head);
        if (e != OK) return e;
        t->last_name = info->name;
    }
    return put_value(t, info);
}

err metrics_text(struct metrics *m, metric_writer *write, void *context)
{
    struct text t = {.m = m, .write = write, .context = context};
    err e = metrics_each(m, put_metric, &t);
    return e == OK ? text_flush(&t) : e;
}

/* ---- life ---- */

struct metrics *metrics_new(unsigned threads)
{
    assert(threads > 0 && threads <= THREADS_MAX);
    struct metrics *m = mem_zero(1, sizeof *m);
    if (m == NULL) return NULL;
    m->threads = threads;
    m->capacity = INDEX_START;
    m->slots = mem_zero(INDEX_START, sizeof *m->slots);
    if (m->slots == NULL) goto no_slots;
    m->cells = mem_zero(threads, sizeof *m->cells);
    if (m->cells == NULL) goto no_cells;
    if (pthread_mutex_init(&m->lock, NULL) != 0) goto no_lock;
    return m;
no_lock:
    mem_free(m->cells);
no_cells:
    mem_free(m->slots);
no_slots:
    mem_free(m);
    return NULL;
}

void metrics_free(struct metrics *m)
{
    if (m == NULL) return;
    struct family *family = at_load(&m->families, RELAXED);
    while (family != NULL) {
        struct family *next = at_load(&family->next, RELAXED);
        family_free(family);
        family = next;
    }
    for (int i = 0; i < METRIC_CHUNKS; i++) {
        mem_free(at_load(&m->gauges[i], RELAXED));
        mem_free(at_load(&m->cells[0].counters[i], RELAXED));
    }
    for (int i = 0; i < SLABS; i++)
        mem_free(m->slabs[i]);
    pthread_mutex_destroy(&m->lock);
    mem_free(m->cells);
    mem_free(m->slots);
    mem_free(m);
}

struct metric_cells *metrics_cells(struct metrics *m, unsigned thread)
{
    assert(thread < m->threads);
    return &m->cells[thread];
}

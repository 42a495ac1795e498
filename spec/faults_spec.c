/* faults_spec.c - what went wrong lately, the last one first. */
#include "actors/stream/faults.h"
#include "spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

static const char bolt[] = "bolt", sink[] = "sink";

SPEC(faults, the_last_one_comes_first)
{
    struct faults *f = faults_new();
    struct fault got;
    CHECK(!faults_read(f, 0, &got));
    faults_note(f, bolt, 0, 1000, 0, "one");
    faults_note(f, sink, 3, 2000, 0, "two");
    CHECK(faults_read(f, 0, &got));
    CHECK_TEXT(got.component, "sink");
    CHECK_EQ(got.index, 3);
    CHECK_TEXT(got.text, "two");
    CHECK_EQ(got.first_ms, 2000);
    CHECK(faults_read(f, 1, &got));
    CHECK_TEXT(got.text, "one");
    CHECK(!faults_read(f, 2, &got));
    faults_free(f);
}

SPEC(faults, the_same_again_is_counted)
{
    struct faults *f = faults_new();
    struct fault got;
    faults_note(f, bolt, 0, 1000, 0, "same");
    faults_note(f, sink, 0, 1500, 0, "other");
    faults_note(f, bolt, 0, 9000, 0, "same");
    faults_note(f, bolt, 1, 9500, 0, "same"); /* of another task */
    CHECK(faults_read(f, 1, &got));
    CHECK_TEXT(got.text, "same");
    CHECK_EQ(got.times, 2);
    CHECK_EQ(got.first_ms, 1000);
    CHECK_EQ(got.last_ms, 9000);
    CHECK(faults_read(f, 0, &got));
    CHECK_EQ(got.index, 1);
    CHECK_EQ(got.times, 1);
    CHECK(faults_read(f, 2, &got));
    CHECK_TEXT(got.text, "other");
    CHECK(!faults_read(f, 3, &got));
    faults_free(f);
}

SPEC(faults, the_oldest_make_room)
{
    struct faults *f = faults_new();
    struct fault got;
    char text[32];
    for (int i = 0; i < 3 * FAULTS_KEPT; i++) {
        snprintf(text, sizeof text, "fault %d", i);
        faults_note(f, bolt, 0, i, 0, text);
    }
    for (unsigned i = 0; i < FAULTS_KEPT; i++) {
        CHECK(faults_read(f, i, &got));
        snprintf(text, sizeof text, "fault %u", 3 * FAULTS_KEPT - 1 - i);
        CHECK_TEXT(got.text, text);
        CHECK_EQ(got.times, 1);
    }
    CHECK(!faults_read(f, FAULTS_KEPT, &got));
    faults_free(f);
}

SPEC(faults, a_long_text_is_cut_and_still_the_same)
{
    struct faults *f = faults_new();
    struct fault got;
    char text[3 * FAULT_TEXT_BYTES];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    faults_note(f, bolt, 0, 1, 0, text);
    faults_note(f, bolt, 0, 2, 0, text);
    CHECK(faults_read(f, 0, &got));
    CHECK_EQ(got.times, 2);
    CHECK_EQ(strlen(got.text), FAULT_TEXT_BYTES - 1);
    faults_free(f);
}

SPEC(faults, many_of_a_kind_push_out_no_others)
{
    struct faults *f = faults_new();
    struct fault got;
    char text[32];
    faults_note(f, bolt, 0, 1, 0, "IMPORTANT");
    for (int i = 0; i < 3 * FAULTS_KEPT; i++) {
        snprintf(text, sizeof text, "bad.csv:%d: no record", i);
        faults_note(f, sink, 0, 2 + i, 7, text);
    }
    CHECK(faults_read(f, 0, &got));
    CHECK_EQ(got.times, 3 * FAULTS_KEPT);
    CHECK_EQ(got.first_ms, 2);
    CHECK_TEXT(got.text, text); /* the latest */
    CHECK(faults_read(f, 1, &got));
    CHECK_TEXT(got.text, "IMPORTANT");
    faults_note(f, sink, 0, 999, 8, text); /* of another kind */
    CHECK(faults_read(f, 0, &got));
    CHECK_EQ(got.times, 1);
    faults_free(f);
}

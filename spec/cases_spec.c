/* The conformance cases that the tests of Apache Storm make, and those of
 * Scribengin (F18 to F26), restated for one transaction over all tasks, and the
 * spec that shows each here. F23 by real kills is `./build.sh crash`. The table
 * is printed with the seeds and the numbers of threads on which each was seen
 * to hold in this run; a case whose spec is gone, or has shown less than its
 * scope, fails it. B3, B6, B7 and B8 come with the cluster. */
#include "spec/spec.h"
#include <stdio.h>

enum scope {
    EVERYWHERE, /* time or order matters: 200 seeds; 1, 2 and 4 real threads */
    SIMULATED,  /* 200 seeds; what threads show is another line of the case */
    THREADED,   /* 1, 2 and 4 real threads; one seed, or the line before */
    ONCE,       /* nothing runs, or one thread alone */
};

struct conformance {
    const char *id;
    const char *spec;
    enum scope scope;
};

static const struct conformance cases[] = {
    {"A1", "grouping.a1_counts_words_and_sums_in_order", EVERYWHERE},
    {"A2", "grouping.a2_gives_all_tasks_a_copy", EVERYWHERE},
    {"A3", "grouping.a3_shuffles_exactly_evenly", EVERYWHERE},
    {"A5", "grouping.a5_sends_equal_bytes_of_all_senders_to_one_task",
     EVERYWHERE},
    {"A7", "grouping.a7_gives_a_partial_key_two_tasks_in_turn", EVERYWHERE},
    {"A7", "grouping.a7_gives_other_keys_other_tasks", EVERYWHERE},
    {"A8", "grouping.a8_shuffles_less_to_a_task_that_lags_behind", EVERYWHERE},
    {"A11", "grouping.a11_sends_each_tuple_once", EVERYWHERE},
    {"A13", "definition.tells_that_there_is_no_system_stream", ONCE},
    {"A14", "grouping.a14_exclaims_twice", EVERYWHERE},
    {"B1", "definition.tells_what_is_wrong_with_inputs", ONCE},
    {"B2", "definition.tells_what_is_wrong_with_a_component", ONCE},
    {"B4", "definition.tells_what_is_wrong_with_a_topology", ONCE},
    {"C1", "acking.c1_joins_three_trees", EVERYWHERE},
    {"C4", "acking.c4_fails_what_is_held_after_exactly_the_timeout",
     EVERYWHERE},
    {"C6a", "acker.c6_acks_when_all_edges_have_come_twice", SIMULATED},
    {"C6b", "acker.c6_acks_though_the_acks_came_before_the_root", SIMULATED},
    {"C6c", "acker.c6_gives_each_root_one_verdict_in_any_order_of_arrival",
     SIMULATED},
    {"C6d", "acker.c6_forgets_what_comes_after_the_verdict", SIMULATED},
    {"C6a-d", "acker.c6_gives_each_root_one_verdict_on_real_threads", THREADED},
    {"C6e", "acking.c6_keeps_a_root_open_while_its_time_is_reset", EVERYWHERE},
    {"C6f", "acking.c6_acks_at_once_what_no_task_reads", EVERYWHERE},
    {"C7", "acking.c7_tells_an_ack_at_once_where_nothing_is_tracked",
     EVERYWHERE},
    {"C8", "acking.c8_asks_for_no_more_while_as_many_are_pending_as_may_be",
     EVERYWHERE},
    {"C9", "acking.c9_ticks_and_nothing_else_comes", EVERYWHERE},
    {"C10", "hooks.c10_count_what_a_bolt_does", EVERYWHERE},
    {"C11", "acking.c11_starts_nothing_before_it_is_active", EVERYWHERE},
    {"C12", "acking.c12_merges_the_components_config_over_the_topologys",
     THREADED},
    {"C14", "edge.c14_loses_and_reorders_nothing_and_keeps_its_window",
     SIMULATED},
    {"C14", "acking.c14_loses_and_reorders_nothing_behind_a_full_edge",
     EVERYWHERE},
    {"D1", "window.slides_by_count", ONCE},
    {"D2", "window.tumbles_by_count", ONCE},
    {"D3", "window.slides_by_event_time_and_leaves_out_empty_windows", ONCE},
    {"D5", "window.of_a_time_slides_by_count", ONCE},
    {"D6", "window.by_count_goes_by_event_time", ONCE},
    {"D8", "window.keeps_the_order_of_arrival", ONCE},
    {"D10", "window.slides_by_the_clock", ONCE},
    {"D11", "window.acks_what_has_gone_before_it_fires", ONCE},
    {"D13", "window.has_a_watermark_of_the_newest_less_its_lag", ONCE},
    {"D13", "window.has_a_watermark_of_its_slowest_source", ONCE},
    {"D14", "windows.by_event_time_give_what_is_older_than_the_watermark",
     ONCE},
    {"D14", "windows.fail_tuples_without_a_time", ONCE},
    {"D15", "windows.send_what_is_late_to_a_stream_of_the_inputs_fields", ONCE},
    {"D15", "windows.that_are_wrong_are_told", ONCE},
    {"D17", "window.by_count_has_what_it_should_in_all_proportions", ONCE},
    {"D17", "window.by_time_has_what_it_should_in_all_proportions", ONCE},
    {"D18", "windows.join_rows_with_equal_keys", ONCE},
    {"D18", "windows.join_any_number_of_inputs", ONCE},
    {"D18", "windows.join_from_left_right_and_both", ONCE},
    {"D18", "windows.join_by_what_is_inside_a_field", ONCE},
    {"D19", "windows_kept.fire_as_if_nothing_had_ever_gone_wrong", SIMULATED},
    {"D20", "windows_kept.d20_hold_more_than_their_memory", ONCE},
    {"E1", "exactly.brings_each_line_of_a_file_into_a_file_once", SIMULATED},
    {"E3", "exactly.lets_readers_see_whole_segments_only", SIMULATED},
    {"E5", "recovery.e5_aligns_where_ways_meet_again", SIMULATED},
    {"H11", "windows.join_from_left_right_and_both", ONCE},
    {"H14", "windows.count_what_is_in_them", ONCE},
    {"J2", "history.j2_averages_over_the_last_three_parts_of_a_minute", ONCE},
    {"F18", "queue.brings_each_record_once_whatever_is_killed", SIMULATED},
    {"F19", "recovery.f19_cuts_off_what_no_checkpoint_knows", SIMULATED},
    {"F23", "exactly.brings_each_line_of_a_file_into_a_file_once", SIMULATED},
    {"F25", "recovery.f25_loses_nothing_when_calls_of_the_disk_fail",
     SIMULATED},
    {"F26", "recovery.f26_puts_what_always_fails_aside_once", SIMULATED},
};

static void print_case(const struct conformance *c,
                       const struct spec_scope *shown)
{
    char seeds[32], threads[32] = "";
    unsigned long long n = shown->seeds;
    if (!shown->ran)
        snprintf(seeds, sizeof seeds, "not run");
    else if (n == 0)
        snprintf(seeds, sizeof seeds, c->scope == ONCE ? "once" : "");
    else
        snprintf(seeds, sizeof seeds, "%llu seed%s", n, n == 1 ? "" : "s");
    for (unsigned k = 1, used = 0; k <= 4; k++)
        if (shown->threads & 1u << k)
            used += (unsigned)snprintf(threads + used, sizeof threads - used,
                                       "%s%u", used ? ", " : "threads ", k);
    printf("case %-5s  %-9s  %-15s  %s\n", c->id, seeds, threads, c->spec);
}

static bool shows_enough(const struct conformance *c,
                         const struct spec_scope *shown)
{
    bool seeds = shown->seeds >= spec_seeds(200);
    bool threads = shown->threads == (1u << 1 | 1u << 2 | 1u << 4);
    switch (c->scope) {
    case EVERYWHERE: return seeds && threads;
    case SIMULATED: return seeds;
    case THREADED: return threads;
    default: return true;
    }
}

SPEC(cases, have_a_spec_each)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct conformance *c = &cases[i];
        if (!spec_exists(c->spec))
            spec_fail(__FILE__, __LINE__, "case %s: there is no spec %s", c->id,
                      c->spec);
        struct spec_scope shown = spec_scope(c->spec);
        print_case(c, &shown);
        if (shown.ran && !shows_enough(c, &shown))
            spec_fail(__FILE__, __LINE__,
                      "case %s: %s has tried too few seeds or threads", c->id,
                      c->spec);
    }
}

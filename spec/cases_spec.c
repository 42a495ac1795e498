/* The conformance cases that Apache Storm's own tests make, and the spec that
 * shows each here, on so many seeds (1: neither time nor order matters). One
 * that has none says why. The table is printed; a case whose spec is gone fails
 * it. B3, B6, B7 and B8 come with the cluster. */
#include "spec/spec.h"
#include <stdio.h>

struct conformance {
    const char *id;
    const char *spec; /* NULL: open */
    unsigned seeds;
    const char *why; /* it is open */
};

static const struct conformance cases[] = {
    {"A1", "grouping.a1_counts_words_and_sums_in_order", 200, NULL},
    {"A2", "grouping.a2_gives_all_tasks_a_copy", 200, NULL},
    {"A3", "grouping.a3_shuffles_exactly_evenly", 10, NULL},
    {"A5", "grouping.a5_sends_equal_bytes_of_all_senders_to_one_task", 200,
     NULL},
    {"A7", "grouping.a7_gives_a_partial_key_two_tasks_in_turn", 50, NULL},
    {"A7", "grouping.a7_gives_other_keys_other_tasks", 20, NULL},
    {"A8", "grouping.a8_shuffles_less_to_a_task_that_lags_behind", 5, NULL},
    {"A11", "grouping.a11_sends_each_tuple_once", 200, NULL},
    {"A13", NULL, 0, "there is no system stream: ticks have the control lane"},
    {"A14", "grouping.a14_exclaims_twice", 5, NULL},
    {"B1", "definition.tells_what_is_wrong_with_inputs", 1, NULL},
    {"B2", "definition.tells_what_is_wrong_with_a_component", 1, NULL},
    {"B4", "definition.tells_what_is_wrong_with_a_topology", 1, NULL},
    {"C1", "acking.c1_joins_three_trees", 200, NULL},
    {"C4", "acking.c4_fails_what_is_held_after_exactly_the_timeout", 200, NULL},
    {"C6a", "acker.acks_when_all_edges_have_come_twice", 1, NULL},
    {"C6b", "acker.acks_though_the_acks_came_before_the_root", 1, NULL},
    {"C6c", "acker.gives_each_root_one_verdict_in_any_order_of_arrival", 1,
     NULL},
    {"C6d", "acker.forgets_what_comes_after_the_verdict", 1, NULL},
    {"C6e", "acking.c6_keeps_a_root_open_while_its_time_is_reset", 20, NULL},
    {"C6f", "acking.c6_acks_at_once_what_no_task_reads", 20, NULL},
    {"C7", "acking.c7_tells_an_ack_at_once_where_nothing_is_tracked", 20, NULL},
    {"C8", "acking.c8_asks_for_no_more_while_as_many_are_pending_as_may_be", 50,
     NULL},
    {"C9", "acking.c9_ticks_and_nothing_else_comes", 50, NULL},
    {"C10", "hooks.c10_count_what_a_bolt_does", 50, NULL},
    {"C11", "acking.c11_starts_nothing_before_it_is_active", 50, NULL},
    {"C12", "acking.c12_merges_the_components_config_over_the_topologys", 1,
     NULL},
    {"C14", "edge.loses_and_reorders_nothing_and_keeps_its_window", 1, NULL},
    {"J2", NULL, 0, "a window is an exact count, no average of three samples"},
};

SPEC(cases, have_a_spec_each)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct conformance *c = &cases[i];
        printf("case %-4s %4u seeds  %s\n", c->id, c->seeds,
               c->spec ? c->spec : c->why);
        if (c->spec && !spec_exists(c->spec))
            spec_fail(__FILE__, __LINE__, "case %s: there is no spec %s", c->id,
                      c->spec);
    }
}

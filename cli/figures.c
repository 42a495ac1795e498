#include "cli/figures.h"
#include "core/metric.h"
#include "core/node.h"

#define X(figure, name) name,
static const char *const names[] = {FIGURE_LIST(X)};
#undef X

const char *figure_name(enum figure figure)
{
    return names[figure];
}

void figures_read(const struct topology *topology, unsigned component,
                  struct node *node, struct figures *out)
{
    const struct component_metrics *ids = topology_metrics(topology, component);
    const metric_id all[FIGURES] = {
        [FIGURE_IN] = ids->executed,       [FIGURE_OUT] = ids->emitted,
        [FIGURE_ACKED] = ids->acked,       [FIGURE_FAILED] = ids->failed,
        [FIGURE_REPLAYED] = ids->replayed, [FIGURE_GAVE_UP] = ids->gave_up,
        [FIGURE_ERRORS] = ids->errors,
    };
    for (int i = 0; i < FIGURES; i++)
        out->n[i] = metric_read(node_metrics(node), all[i]);
}

/* self.emit: what it refuses, and that a refusal leaves nothing behind. */
#include "spec/sim/stream.h"
#include "spec/spec.h"

SPEC(emit, refused_under_pcall_reaches_no_route)
{
    static const char text[] =
        "return topology 'two' {\n"
        "  spout 'numbers' { list { {1}, {2}, {3}, {4} }, fields = {'n'} },\n"
        "  bolt 'keys' { from = shuffle 'numbers', fields = {'a', 'b'},\n"
        "    execute = function(self, n)\n"
        "      local key = n\n"
        "      if n % 2 == 0 then key = 0/0 end\n"
        "      local ok = pcall(self.emit, n, key)\n"
        "      assert(ok == (n % 2 == 1))\n"
        "      local ok = pcall(self.emit, {n}, key)\n"
        "      assert(ok == (n % 2 == 1))\n"
        "    end },\n"
        "  bolt 'one' { from = shuffle 'keys', fields = {'a'},\n"
        "    execute = function(self, a, b) self.emit(a) end },\n"
        "  bolt 'two' { from = fields('keys', 'b'), fields = {'a'}, tasks = "
        "2,\n"
        "    execute = function(self, a, b) self.emit(a) end },\n"
        "  sink 'out' { from = { global 'one', global 'two' }, null {} },\n"
        "}\n";
    FOR_SEEDS(20)
    {
        struct sim *sim = sim_new(spec_seed);
        struct stream *s = stream_start(sim, sim_node(sim, 1), text);
        CHECK_EQ(stream_run(s)->why, OK);
        CHECK_EQ(stream_count(s), 8);
        CHECK_EQ(stream_has(s, "1"), 2);
        CHECK_EQ(stream_has(s, "[3]"), 2);
        CHECK_EQ(stream_totals(s, "numbers").failed, 0);
        stream_free(s);
        sim_free(sim);
    }
}

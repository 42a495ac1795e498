%% savina.erl - the actor benchmarks in Erlang/OTP, as an Erlang programmer
%% would write them; limit.c says what each shape sends and what `check` is.
%%   erl +S 1:1 +sbwt none -noshell -pa DIR -run savina main SHAPE MESSAGES
%% prints `shape messages cpu_ns wall_ns check`, the times for one message (one
%% process for spawn, then `bytes N` by which the VM's memory grew for it). CPU is statistics(runtime): user and system time of
%% every thread of the VM, in milliseconds, taken around the shape alone; to
%% subtract an empty run from the whole process would add the noise of starting
%% a VM, which costs as much as half a million messages. A short run of the
%% shape goes before, so that code is loaded and heaps have been made.
-module(savina).
-export([main/1]).

-define(RING, 100).
-define(PRODUCERS, 50).
-define(BIG, 64).

main([Name, Count]) ->
    Shape = list_to_existing_atom(Name),
    Messages = list_to_integer(Count),
    _ = measure(Shape, 6400),
    {Cpu, Wall, Received, Check, Bytes} = measure(Shape, Messages),
    io:format("~s ~b ~.2f ~.2f ~b~s~n",
              [Name, Received, Cpu / Messages, Wall / Messages, Check, Bytes]),
    case {Received, Check} =:= {Messages, expected(Shape, Messages)} of
        true -> halt(0);
        false -> halt(1)
    end.

measure(spawn, Messages) ->
    erlang:garbage_collect(),
    Before = erlang:memory(total),
    {Cpu, Wall, Actors} = timed(fun() -> spawn_all(Messages) end),
    Bytes = erlang:memory(total) - Before,
    _ = lists:foldl(fun(Actor, K) -> Actor ! K, K + 1 end, 1, Actors),
    {Received, Check} = stop(Actors),
    {Cpu, Wall, Received, Check,
     io_lib:format(" bytes ~b", [Bytes div Messages])};
measure(Shape, Messages) ->
    {Cpu, Wall, Actors} = timed(fun() -> shape(Shape, Messages) end),
    {Received, Check} = stop(Actors),
    {Cpu, Wall, Received, Check, ""}.

timed(Work) ->
    {Cpu, _} = statistics(runtime),
    Wall = erlang:monotonic_time(nanosecond),
    Result = Work(),
    Wall1 = erlang:monotonic_time(nanosecond),
    {Cpu1, _} = statistics(runtime),
    {(Cpu1 - Cpu) * 1000000, Wall1 - Wall, Result}.

%% Every receiver, stopped, says what it has had.
stop(Actors) ->
    lists:foldl(
        fun(Actor, {Received, Sum}) ->
            Actor ! {stop, self()},
            receive {had, Actor, N, S} -> {Received + N, Sum + S} end
        end, {0, 0}, Actors).

expected('fan-in', Messages) -> ?PRODUCERS * sum(Messages div ?PRODUCERS);
expected(big, Messages) -> 2 * ?BIG * sum(Messages div (2 * ?BIG));
expected(_, Messages) -> sum(Messages).

sum(N) -> N * (N + 1) div 2.

%% Each returns its receivers once the last message has been received.
shape('ping-pong', Messages) ->
    Boss = self(),
    Pong = spawn_link(fun() -> player(Boss, Messages, 0, 0) end),
    Ping = spawn_link(fun() -> player(Boss, Messages, 0, 0) end),
    Pong ! {Ping, 1},
    receive done -> [Ping, Pong] end;
shape(counting, Messages) ->
    Boss = self(),
    Counter = spawn_link(fun() -> counter(Boss, Messages, 0, 0) end),
    spawn_link(fun() -> produce(Counter, 1, Messages) end),
    receive done -> [Counter] end;
shape(ring, Messages) ->
    Boss = self(),
    [First | _] = Actors =
        [spawn_link(fun() -> ring_start(Boss, Messages) end)
         || _ <- lists:seq(1, ?RING)],
    connect(Actors, First),
    First ! 1,
    receive done -> Actors end;
shape('fan-in', Messages) ->
    Boss = self(),
    Each = Messages div ?PRODUCERS,
    Sink = spawn_link(fun() -> counter(Boss, Messages, 0, 0) end),
    [spawn_link(fun() -> produce(Sink, 1, Each) end)
     || _ <- lists:seq(1, ?PRODUCERS)],
    receive done -> [Sink] end;
shape(big, Messages) ->
    Boss = self(),
    Each = Messages div (2 * ?BIG),
    Actors = [spawn_link(fun() -> big_start(Boss, I, Each) end)
              || I <- lists:seq(0, ?BIG - 1)],
    Others = list_to_tuple(Actors),
    [Actor ! {start, Others} || Actor <- Actors],
    [receive done -> ok end || _ <- Actors],
    Actors.

player(Boss, Last, Received, Sum) ->
    receive
        {_, Last} ->
            Boss ! done,
            player(Boss, Last, Received + 1, Sum + Last);
        {From, K} when is_integer(K) ->
            From ! {self(), K + 1},
            player(Boss, Last, Received + 1, Sum + K);
        {stop, To} ->
            To ! {had, self(), Received, Sum}
    end.

produce(_, K, Last) when K > Last -> ok;
produce(To, K, Last) ->
    To ! K,
    produce(To, K + 1, Last).

counter(Boss, Last, Received, Sum) ->
    receive
        K when is_integer(K) ->
            Received + 1 =:= Last andalso (Boss ! done),
            counter(Boss, Last, Received + 1, Sum + K);
        {stop, To} ->
            To ! {had, self(), Received, Sum}
    end.

connect([Last], First) -> Last ! {next, First};
connect([Actor | [Next | _] = Rest], First) ->
    Actor ! {next, Next},
    connect(Rest, First).

ring_start(Boss, Last) ->
    receive {next, Next} -> ring(Boss, Next, Last, 0, 0) end.

ring(Boss, Next, Last, Received, Sum) ->
    receive
        Last ->
            Boss ! done,
            ring(Boss, Next, Last, Received + 1, Sum + Last);
        K when is_integer(K) ->
            Next ! K + 1,
            ring(Boss, Next, Last, Received + 1, Sum + K);
        {stop, To} ->
            To ! {had, self(), Received, Sum}
    end.

big_start(Boss, Id, Last) ->
    receive
        {start, Others} ->
            big(Boss, Others, big_ping(Others, Id, 1), 1, Last, 0, 0)
    end.

%% K is the number of the ping under way; an actor that has had its last pong
%% goes on answering.
big(Boss, Others, Random, K, Last, Received, Sum) ->
    receive
        {From, N} when is_integer(N) ->
            From ! N,
            big(Boss, Others, Random, K, Last, Received + 1, Sum + N);
        Last ->
            Boss ! done,
            big(Boss, Others, Random, K, Last, Received + 1, Sum + Last);
        K ->
            big(Boss, Others, big_ping(Others, Random, K + 1), K + 1, Last,
                Received + 1, Sum + K);
        {stop, To} ->
            To ! {had, self(), Received, Sum}
    end.

big_ping(Others, Random, K) ->
    Next = (Random * 69069 + 1) band 16#ffffffff,
    element((Next bsr 16) rem ?BIG + 1, Others) ! {self(), K},
    Next.

%% The yield lets every process run as far as its receive.
spawn_all(Count) ->
    Boss = self(),
    Actors = [spawn(fun() -> counter(Boss, 0, 0, 0) end)
              || _ <- lists:seq(1, Count)],
    erlang:yield(),
    Actors.

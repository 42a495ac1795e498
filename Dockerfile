# Dockerfile - engine in a small image: `docker run IMAGE` counts the words of
# a book, as does `docker run IMAGE run topologies/word_count.lua`. Your own:
#   docker run --rm -v "$PWD:/work" -w /work IMAGE run my.lua
# `docker stop` sends SIGTERM, engine drains, and docker kills after 10 s: so a
# drain takes 8 s here. For a longer one, with docker stop -t 65:
#   docker run -e ENGINE_DRAIN=60s …

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY . .
RUN ./build.sh && ./build.sh data

FROM debian:bookworm-slim
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="engine" \
      org.opencontainers.image.description="Runs stream topologies written in Lua" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# What build/engine links beside libc; Lua is in the binary.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      libevent-core-2.1-7 libjansson4 liblmdb0 >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old \
      /var/log/apt /var/log/dpkg.log /var/log/alternatives.log \
 && groupadd --gid 10001 engine \
 && useradd --uid 10001 --gid engine --home-dir /opt/engine --no-create-home \
      --shell /usr/sbin/nologin engine
WORKDIR /opt/engine
COPY --from=build /src/LICENSE ./
COPY --from=build /src/topologies/ topologies/
# Where the topologies look for it.
COPY --from=build /src/build/data/ build/data/
COPY --from=build /src/build/engine /usr/local/bin/
# A number, so that an orchestrator can see that it isn't root.
USER 10001:10001
# A library that the binary needs and the image lacks fails the build here.
RUN ldd /usr/local/bin/engine && engine version
ENV ENGINE_DRAIN=8s
STOPSIGNAL SIGTERM
ENTRYPOINT ["engine"]
CMD ["run", "topologies/word_count.lua"]

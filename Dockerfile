# The service on a CPU. The build stage compiles, the other holds the binary, the libraries that it needs, bash and the demo model.
# docker build -t qwen-thinking-service:latest .
# BASE is the Debian release, so that a build has its security updates. For one that can be repeated, pin the image by its digest, which
# `docker buildx imagetools inspect debian:bookworm-slim` prints: --build-arg BASE=debian:bookworm-slim@sha256:…
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
COPY scripts/install_deps.sh scripts/
RUN scripts/install_deps.sh
COPY CMakeLists.txt CMakePresets.json ./
COPY cmake cmake
COPY configs configs
COPY tools tools
COPY web web
COPY src src
RUN cmake --preset release -DQWEN_BUILD_TESTS=OFF
RUN cmake --build build --target qwen-thinking
RUN strip build/qwen-thinking

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="qwen-thinking" \
      org.opencontainers.image.description="Inference service for dense Qwen3 models" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates curl libhiredis0.14 libprometheus-cpp-core1.0 libssl3 libstdc++6 libutf8proc2 libxxhash0 libyaml-cpp0.7 && \
    rm -rf /var/lib/apt/lists/*
RUN useradd -m -u 1000 qwen
RUN mkdir -p /app/models /app/cache /app/logs && chown qwen:qwen /app/cache /app/logs
COPY LICENSE NOTICE /usr/share/doc/qwen-thinking/
COPY models/demo /usr/share/qwen-thinking/demo
COPY configs /app/configs
COPY scripts /app/scripts
COPY --from=build /src/build/qwen-thinking /usr/local/bin/qwen-thinking
RUN qwen-thinking version && dpkg-query -W > /usr/share/doc/qwen-thinking/packages.txt

USER qwen
WORKDIR /app
ENV CACHE_DIR=/app/cache
VOLUME ["/app/cache", "/app/logs"]
EXPOSE 8000 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=600s --retries=3 CMD ["qwen-thinking", "healthcheck"]
ENTRYPOINT ["qwen-thinking"]
CMD ["serve"]

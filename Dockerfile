# Two images: `docker build --target node .` (guard and agent, for every node) and `--target operator`.
#
# BASE lends its Python (3.11 or newer, with pip) and its glibc; of its shell, package manager and pip nothing stays
# (deploy/image/rootfs.py). An index or a mirror of your own goes in as pip's own settings: --build-arg PIP_INDEX_URL=...
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
USER root

# Wheels, each against its hash in uv.lock. They change seldom, and stand in a layer of their own.
FROM build AS wheels
ARG PIP_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_NO_INDEX
COPY deploy/image/node.txt deploy/image/operator.txt /build/
RUN set -e; for target in node operator; do \
      python3 -m pip install --quiet --root-user-action ignore --no-cache-dir --no-compile \
        --no-deps --only-binary :all: --require-hashes --requirement /build/$target.txt --target /wheels/$target; \
      rm -rf /wheels/$target/bin; \
      find /wheels/$target -name 'test_*.py' -delete; \
      python3 -m compileall -q --invalidation-mode unchecked-hash -s /wheels/$target -p /opt/memguard/lib /wheels/$target; \
    done

FROM wheels AS rootfs
COPY deploy/image/rootfs.py /build/
RUN python3 /build/rootfs.py /rootfs /wheels

FROM build AS program
COPY LICENSE /opt/memguard/
COPY deploy/image/memguard /opt/memguard/bin/
COPY operator/memguard /opt/memguard/lib/memguard
RUN chmod -R u=rwX,go=rX /opt/memguard \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/memguard/lib

# Nobody is root here unless the pod says so (the guard's does), and no user needs a name.
FROM scratch AS runtime
COPY --from=rootfs /rootfs /
ENV PATH=/opt/memguard/bin MALLOC_ARENA_MAX=1
USER 64123:64123
ENTRYPOINT ["memguard"]
CMD ["--version"]
ARG VERSION=0.1.0
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.licenses="Apache-2.0"

FROM runtime AS operator
LABEL org.opencontainers.image.title="memguard-operator" \
      org.opencontainers.image.description="memguard's cluster side"
COPY --from=wheels /wheels/operator /opt/memguard/lib
COPY --from=program /opt/memguard /opt/memguard

FROM runtime AS node
LABEL org.opencontainers.image.title="memguard-node" \
      org.opencontainers.image.description="memguard's guard and agent: the memory guard of a Kubernetes node"
COPY --from=wheels /wheels/node /opt/memguard/lib
COPY --from=program /opt/memguard /opt/memguard

# The image of all that Tocsin runs in a cluster: controller, EventSources, Sensors, Notifiers.
#
#   docker build --tag tocsin:dev .
#   docker build --build-arg EXTRAS=controller --tag tocsin:small .
#   docker build --build-arg NATS_SERVER=true --tag tocsin:laptop .   # `tocsin run` needs a server
#   docker build --build-arg BASE=REGISTRY/PYTHON-3.11@sha256:... .    # another base for the result
#
# DEBIAN and BASE may be given by digest. A BASE needs /usr/bin/python3.11 and the C library of
# DEBIAN, and neither a shell nor pip: nothing is run in it.

ARG DEBIAN=debian:bookworm-slim
ARG BASE=plain

# ---- plain: Debian and its Python, the base where no other is named
# Code is compiled with a hash in place of a time, here and below: the same bytes in each build, and
# quick to start from a file system that nobody can write to, whatever time its files have.
FROM ${DEBIAN} AS plain
RUN apt-get update --quiet \
 && apt-get install --yes --quiet --no-install-recommends ca-certificates python3.11-minimal libpython3.11-stdlib \
 && rm -rf /var/lib/apt/lists /var/cache/apt /var/cache/ldconfig /var/cache/debconf /var/log/apt /var/log/dpkg.log /var/log/alternatives.log \
 && find /usr/lib/python3.11 -name __pycache__ -type d -prune -exec rm -rf {} + \
 && python3.11 -m compileall -q -j 0 --invalidation-mode unchecked-hash /usr/lib/python3.11

# ---- build: everything in one folder, /opt/tocsin
FROM plain AS build
RUN apt-get update --quiet \
 && apt-get install --yes --quiet --no-install-recommends python3.11-venv
ARG EXTRAS=aws,controller,email,gcp,git,github,grpc,mqtt,redis,sftp
ARG NATS_SERVER=
ARG SOURCE_DATE_EPOCH=1735689600
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore PIP_CONSTRAINT=/src/constraints.txt
COPY . /src
RUN python3.11 -m venv /opt/tocsin \
 && /opt/tocsin/bin/pip install --quiet --only-binary=:all: --no-binary=nkeys "/src[${EXTRAS}${NATS_SERVER:+,local}]" \
 && /opt/tocsin/bin/pip uninstall --quiet --yes pip setuptools
RUN find /opt/tocsin -name __pycache__ -type d -prune -exec rm -rf {} + \
 && python3.11 -m compileall -q -j 0 -s /opt/tocsin -p /opt/tocsin --invalidation-mode unchecked-hash /opt/tocsin/lib \
 && find /opt/tocsin -exec touch --no-dereference --date=@${SOURCE_DATE_EPOCH} {} +

# ---- the image
FROM ${BASE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tocsin" \
      org.opencontainers.image.description="Event-driven automation that runs Argo Events manifests" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/tocsin /opt/tocsin
ENV PATH=/opt/tocsin/bin:/usr/bin:/bin HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 65532:65532
EXPOSE 7777
ENTRYPOINT ["/opt/tocsin/bin/tocsin"]

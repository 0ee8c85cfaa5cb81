# The image of the gateway. docs/guides/docker.md says how to run it.
# One with which docs/compatibility.md says that tests were run.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python3 -m venv /opt/event-gateway
# The libraries change less often than the code: a layer of their own.
COPY requirements.lock ./
RUN /opt/event-gateway/bin/pip install --quiet --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
# What only builds and installs stays out of the image.
RUN /opt/event-gateway/bin/pip install --quiet --no-deps --no-build-isolation . \
    && /opt/event-gateway/bin/pip uninstall --quiet --yes hatchling editables pathspec pluggy trove-classifiers pip
# 46 MB of CEL's package that nothing imports: libraries of functions that expressions do not have, and sources.
RUN rm -rf /opt/event-gateway/lib/python*/site-packages/cel_expr_python/ext \
    /opt/event-gateway/lib/python*/site-packages/bazel-project

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="Event Gateway" \
    org.opencontainers.image.description="Routes CloudEvents from NATS and HTTP to webhooks and live subscribers" \
    org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/event-gateway /opt/event-gateway
# A user by number, as Kubernetes' runAsNonRoot wants it. Nothing but /data is writable for it.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /data
USER 10001:10001
# The port for monitoring is on the loopback: the health check reads it, whatever TLS the API has.
ENV PATH=/opt/event-gateway/bin:$PATH HOME=/ \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    EVENT_GATEWAY__SERVER__ADMIN__PORT=9090
# Commands look for the data directory in ./data.
WORKDIR /
VOLUME /data
EXPOSE 8080 8081 9090
# The gateway ends its servers and its attempts in flight before it ends: `docker stop --time 35`.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 9090, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["event-gateway"]
CMD ["serve", "--host", "0.0.0.0", "--data-dir", "/data"]

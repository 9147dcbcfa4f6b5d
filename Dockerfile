# One image, several commands: gateway, keeper, worker, db upgrade, dev.
# It has the example tasks; a team's own image adds its contracts and handlers (docs/deploying.md).

# The wheel, built with the tools of the lock.
FROM python:3.12-slim AS build
WORKDIR /build
COPY requirements/dev.txt requirements/
RUN pip install --quiet --no-cache-dir --require-hashes --only-binary :all: --no-binary stringcase \
    -r requirements/dev.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY protos protos
COPY taskwire taskwire
COPY core core
COPY contracts contracts
COPY db db
COPY broker broker
COPY admin admin
COPY gateway gateway
COPY worker worker
COPY cli cli
COPY examples/handlers examples/handlers
RUN hatchling build --target wheel --directory /wheel

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/taskwire --create-home taskwire
COPY requirements/runtime.txt /tmp/runtime.txt
COPY --from=build /wheel /tmp/wheel
RUN pip install --quiet --no-cache-dir --require-hashes --only-binary :all: --no-binary stringcase \
        -r /tmp/runtime.txt \
    && pip install --quiet --no-cache-dir --no-deps --no-index /tmp/wheel/*.whl \
    && rm -rf /tmp/runtime.txt /tmp/wheel \
    && mkdir /opt/taskwire \
    && ln -s "$(dirname "$(taskwire contracts protos)")/examples.binpb" /opt/taskwire/

# Results that could not be written wait in the data folder: keep it over restarts of a worker.
ENV TASKWIRE_LISTEN=0.0.0.0:50051 \
    TASKWIRE_ADMIN_LISTEN=0.0.0.0:50080 \
    TASKWIRE_DATA_DIR=/var/lib/taskwire \
    PYTHONUNBUFFERED=1
USER taskwire
WORKDIR /var/lib/taskwire
EXPOSE 50051 50080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=8s --start-period=30s --retries=3 CMD ["taskwire", "health"]
ENTRYPOINT ["taskwire"]
CMD ["dev"]

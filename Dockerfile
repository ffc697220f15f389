FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements-dev.txt ./
RUN python -m pip install --no-cache-dir --require-hashes -r requirements-dev.txt
COPY pyproject.toml README.md LICENSE ./
COPY pipeline pipeline
COPY sinks sinks
COPY config config
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.13-slim
COPY requirements.txt /tmp/requirements.txt
COPY --from=build /wheels /wheels
RUN python -m pip install --no-cache-dir --require-hashes -r /tmp/requirements.txt \
    && python -m pip install --no-cache-dir --no-deps /wheels/*.whl \
    && rm -r /wheels /tmp/requirements.txt
RUN install -d -o 65532 -g 65532 /var/lib/gpu-rescue
USER 65532:65532
WORKDIR /var/lib/gpu-rescue
ENTRYPOINT ["gpu-rescue"]
CMD ["run"]

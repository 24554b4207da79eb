# syntax=docker/dockerfile:1
# Two stages: the wheel is built from the same pyproject.toml as everywhere, then installed alone.

FROM python:3.11-slim AS build
WORKDIR /src
RUN pip install --no-cache-dir build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY waitroom waitroom
COPY static static
RUN python -m build --wheel --outdir /dist \
 && python -m venv /opt/waitroom \
 && /opt/waitroom/bin/pip install --no-cache-dir --constraint constraints.txt /dist/*.whl

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/waitroom --create-home waitroom
COPY --from=build /opt/waitroom /opt/waitroom
ENV PATH=/opt/waitroom/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    WAITROOM_DATA=/var/lib/waitroom/data \
    WAITROOM_GATEWAY__HOST=0.0.0.0 \
    WAITROOM_ADMIN__HOST=127.0.0.1
USER 10001
WORKDIR /var/lib/waitroom
VOLUME /var/lib/waitroom
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s CMD ["waitroom", "healthcheck"]
ENTRYPOINT ["waitroom"]
CMD ["serve"]

# tributary as one long-lived process: `docker build -t tributary .`, then
# `docker run --rm tributary run --ledger dynamodb:TABLE --queue sqs:QUEUE …` (docs/OPERATIONS.md).
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --locked --release -p tributary-cli --bin tributary \
    && cp /target/release/tributary /tributary

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/tributary --create-home tributary
COPY --from=build /tributary /usr/local/bin/tributary
USER 10001
WORKDIR /var/lib/tributary
# GET /healthz is 200 while passes succeed.
ENV TRIBUTARY_HEALTH=0.0.0.0:8080
EXPOSE 8080
# In order: what is planned is sent and committed.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tributary"]
CMD ["run"]

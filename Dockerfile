# Two images from one build: `server`, the `dispatch` command with its SQLite database, and `lambda`, the functions on AWS.
#   docker build --target server -t dispatch .
#   docker build --target lambda --provenance=false -t dispatch-lambda .
# Lambda takes no index of images, which is what provenance makes of one.
#
# Both base images are of Debian 12, so that the C library that is linked is the one that is there.

FROM rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS source
WORKDIR /source
COPY . .

FROM source AS build-server
ARG TARGETARCH
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,id=target-$TARGETARCH \
    cargo build --locked --release -p dispatch-axum --bin dispatch \
    && install -D target/release/dispatch /image/dispatch \
    && mkdir /image/data

FROM source AS build-lambda
ARG TARGETARCH
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,id=target-$TARGETARCH \
    cargo build --locked --profile lambda -p dispatch-lambda --bin dispatch-lambda \
    && install -D target/lambda/dispatch-lambda /image/dispatch-lambda

# The C library, certificates, and nothing to run: neither a shell nor a package manager.
FROM gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f AS runtime
USER 65532:65532

FROM runtime AS lambda
# The one file of root certificates to read: without it, every file beside it is looked at, too, whenever a function starts.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
COPY --from=build-lambda /image/dispatch-lambda /usr/local/bin/dispatch-lambda
# Which function it is says the command: ingress, planner, dispatcher, facts, admin, schedule or publisher.
ENTRYPOINT ["/usr/local/bin/dispatch-lambda"]

FROM runtime AS server
COPY --from=build-server /image/dispatch /usr/local/bin/dispatch
COPY --from=build-server --chown=65532:65532 /image/data /var/lib/dispatch
ENV HOST=0.0.0.0 DATABASE_PATH=/var/lib/dispatch/dispatch.sqlite
VOLUME /var/lib/dispatch
EXPOSE 3000
ENTRYPOINT ["/usr/local/bin/dispatch"]
CMD ["serve"]

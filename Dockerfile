# The image of Roster: one binary on a base without a shell. Built by BuildKit and by buildah alike; see
# docs/container.md for how it is run, and for what was tried.

# Both can be replaced by a mirror's or pinned to a digest: --build-arg RUST_IMAGE=…@sha256:…
ARG RUST_IMAGE=rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS rust
WORKDIR /build

# What decides how dependencies are built, and nothing more: the manifests, with empty sources. The next stage copies
# the result, whose content stays the same while only code changes, so that its layer is found in the cache.
FROM rust AS manifests
COPY . .
RUN find . -type f ! -name 'Cargo.*' ! -name build.rs ! -path '*/src/lib.rs' ! -path '*/src/main.rs' \
        ! -path './benches/*.rs' -delete \
    && printf '//! Nothing.\nfn main() {}\n' > /tmp/nothing.rs \
    && find . -name '*.rs' -exec cp /tmp/nothing.rs {} \; \
    && find . -type d -empty -delete \
    && find . -exec touch --date=@0 {} +

FROM rust AS dependencies
COPY --from=manifests /build .
RUN cargo build --release --locked --bin roster

FROM dependencies AS build
COPY . .
# Newer than what was built of the empty sources, whenever these files were written.
RUN find . -path ./target -prune -o -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --bin roster \
    && mkdir data

# hadolint ignore=DL3006
FROM ${RUNTIME_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=""
LABEL org.opencontainers.image.title="Roster" \
      org.opencontainers.image.description="A gRPC service that owns who is in which team, with which role, and who has been invited." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}"
COPY LICENSE /usr/share/doc/roster/LICENSE
COPY docker/roster.toml /etc/roster/roster.toml
COPY --from=build /build/target/release/roster /usr/local/bin/roster
# By number, so that Kubernetes can see that it is not root.
COPY --from=build --chown=65532:65532 /build/data /data
USER 65532:65532
WORKDIR /data
VOLUME ["/data"]
ENV ROSTER_CONFIG=/etc/roster/roster.toml
EXPOSE 50051
STOPSIGNAL SIGTERM
# Kubernetes has probes of its own and does not look at this.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/roster", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/roster"]
CMD ["serve"]

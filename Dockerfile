FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
# The modules first: a change of the code alone does not fetch them anew.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=unknown
ARG TARGETOS
ARG TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    mkdir -p /out/data && \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/latchkey . && \
    go run ./internal/release/pack 0 /out/latchkey /tmp/image.tar.gz && \
    mkdir /out/doc && tar -xzf /tmp/image.tar.gz -C /out/doc --strip-components 1 && rm /out/doc/latchkey

# Certificates and time zones, and no shell: what runs is Latchkey or nothing.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/latchkey /usr/local/bin/latchkey
# The licences of all that is linked into it.
COPY --from=build /out/doc /usr/share/doc/latchkey
# For SQLite. A new volume takes over the owner of the folder that it is mounted on; PostgreSQL needs none of it.
COPY --from=build --chown=65532:65532 /out/data /data
WORKDIR /data
# By number: Kubernetes cannot tell that a name is not root.
USER 65532:65532
ENV MODE=production LISTEN=:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/usr/local/bin/latchkey", "health"]
ENTRYPOINT ["/usr/local/bin/latchkey"]

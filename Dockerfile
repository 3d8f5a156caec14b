# syntax=docker/dockerfile:1

# Waybill in an image of its own: one static binary and the certificates of public authorities.
#
#   docker build --build-arg VERSION=v0.1.0 --build-arg REVISION=$(git rev-parse HEAD) --tag waybill:v0.1.0 .
FROM golang:1.26-bookworm AS source
WORKDIR /src
# Modules change less often than code, so they are a layer of their own.
COPY go.mod go.sum ./
RUN go mod download
COPY . .

FROM source AS build
# Git's folder is not sent to the build, so that a build does not begin anew with each commit: these say what it would.
ARG VERSION REVISION
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X main.release=$VERSION -X main.revision=$REVISION" -o /waybill ./cmd/waybill

FROM source AS build-receiver
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /receiver ./scripts/receiver/demo

# The receiver that docker-compose offers for trying Waybill: `docker build --target receiver`.
FROM scratch AS receiver
COPY --from=build-receiver /receiver /receiver
COPY LICENSE /
USER 65532:65532
EXPOSE 8090
ENTRYPOINT ["/receiver"]

FROM scratch
ARG VERSION REVISION CREATED
LABEL org.opencontainers.image.title="Waybill" \
      org.opencontainers.image.description="Delivers webhooks and does not lose them" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.created=$CREATED
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /waybill /waybill
COPY LICENSE THIRD_PARTY_NOTICES /
# A number, so that an orchestrator can see that it is not root.
USER 65532:65532
# Inside a container the loopback address would be out of reach for everybody else. Of these two, a process uses the one that fits its
# command.
ENV WAYBILL_LISTEN=0.0.0.0:8080 WAYBILL_WORKER_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/waybill", "health"]
ENTRYPOINT ["/waybill"]
CMD ["serve"]

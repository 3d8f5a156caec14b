# syntax=docker/dockerfile:1

# Waybill in an image of its own: one static binary and the certificates of public authorities.
FROM golang:1.26-bookworm AS build
WORKDIR /src
# Modules change less often than code, so they are a layer of their own.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /waybill ./cmd/waybill

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /waybill /waybill
COPY LICENSE THIRD_PARTY_NOTICES /
# A number, so that an orchestrator can see that it is not root.
USER 65532:65532
# Inside a container the loopback address would be out of reach for everybody else.
ENV WAYBILL_LISTEN=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["/waybill"]
CMD ["serve"]

package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"

	"go.temporal.io/sdk/client"

	"waybill/engine"
	"waybill/tracing"
)

// dialTemporal returns a client that connects on first use, so that Waybill can start and accept events while Temporal is
// down.
func dialTemporal(s *settings, logger *slog.Logger, metrics client.MetricsHandler, tracer *tracing.Tracer) (client.Client, error) {
	options := client.Options{Namespace: s.TemporalNamespace, Logger: newSDKLogger(logger), MetricsHandler: metrics}
	// Requests are a few KiB and Temporal is near: compressing them costs more than sending them.
	options.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	setFrontends(&options, s.TemporalAddress)
	if s.TemporalAPIKey != "" {
		options.Credentials = client.NewAPIKeyStaticCredentials(s.TemporalAPIKey)
	}
	if s.TemporalTLS || s.TemporalAPIKey != "" || s.TemporalTLSCert != "" || s.TemporalTLSCA != "" {
		var err error
		if options.ConnectionOptions.TLS, err = temporalTLS(s); err != nil {
			return nil, err
		}
	}
	if tracer != nil {
		engine.Trace(&options, tracer)
	}
	c, err := client.NewLazyClient(options)
	if err != nil {
		return nil, fmt.Errorf("WAYBILL_TEMPORAL_ADDRESS: %w", err)
	}
	return c, nil
}

func temporalTLS(s *settings) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.TemporalTLSCert != "" {
		pair, err := tls.LoadX509KeyPair(s.TemporalTLSCert, s.TemporalTLSKey)
		if err != nil {
			return nil, fmt.Errorf("WAYBILL_TEMPORAL_TLS_CERT_FILE and _KEY_FILE: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if s.TemporalTLSCA != "" {
		pem, err := os.ReadFile(s.TemporalTLSCA)
		if err != nil {
			return nil, fmt.Errorf("WAYBILL_TEMPORAL_TLS_CA_FILE: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("WAYBILL_TEMPORAL_TLS_CA_FILE: %s holds no certificate", s.TemporalTLSCA)
		}
	}
	return c, nil
}

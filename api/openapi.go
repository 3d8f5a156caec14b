package api

import (
	"fmt"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"
)

// getOpenAPI is GET /openapi.yaml.
func (s *Server) getOpenAPI(w http.ResponseWriter, _ *http.Request, _ *call) error {
	writeBody(w, http.StatusOK, "application/yaml", s.opts.OpenAPI)
	return nil
}

// getOpenAPIJSON is GET /openapi.json, converted from the YAML at the first request.
func (s *Server) getOpenAPIJSON(w http.ResponseWriter, _ *http.Request, _ *call) error {
	body, err := s.openAPIJSON()
	if err != nil {
		return err
	}
	writeBody(w, http.StatusOK, "application/json", body)
	return nil
}

func jsonOf(text []byte) func() ([]byte, error) {
	return sync.OnceValues(func() ([]byte, error) {
		var doc any
		if err := yaml.Unmarshal(text, &doc); err != nil {
			return nil, fmt.Errorf("read the OpenAPI document: %w", err)
		}
		return marshal(doc)
	})
}

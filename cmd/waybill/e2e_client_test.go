package main_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// caller calls the API of a server with a key.
type caller struct {
	server *server
	key    string
}

func (s *server) admin() *caller { return &caller{s, s.group.apiKey} }

var web = &http.Client{Timeout: 30 * time.Second}

// answer is what the API answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call sends a request. body is JSON text as a string, any other value to marshal, or nil; headers are names and values
// in turn.
func (c *caller) call(t *testing.T, method, path string, body any, headers ...string) *answer {
	t.Helper()
	a, err := c.try(method, path, body, headers...)
	require.NoError(t, err)
	return a
}

func (c *caller) try(method, path string, body any, headers ...string) (*answer, error) {
	var content io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, "http://"+c.server.address+path, content)
	if err != nil {
		return nil, err
	}
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := web.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	c.server.group.secrets.learn(text)
	return &answer{res.StatusCode, res.Header, text}, nil
}

// is expects a status and reads the body into a value, unless that is nil.
func (a *answer) is(t *testing.T, status int, into any) {
	t.Helper()
	require.Equal(t, status, a.status, "%s", a.body)
	if into != nil {
		require.NoError(t, json.Unmarshal(a.body, into), "%s", a.body)
	}
}

// problem is an RFC 9457 problem document.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
	Errors    []struct {
		Field  string `json:"field"`
		Detail string `json:"detail"`
	} `json:"errors"`
}

// isProblem expects a problem document with a status and a code.
func (a *answer) isProblem(t *testing.T, status int, code string) *problem {
	t.Helper()
	require.Equal(t, status, a.status, "%s", a.body)
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	var p problem
	require.NoError(t, json.Unmarshal(a.body, &p), "%s", a.body)
	require.Equal(t, code, p.Code, "%s", a.body)
	require.Equal(t, status, p.Status)
	require.NotEmpty(t, p.Type)
	require.NotEmpty(t, p.Title)
	require.NotEmpty(t, p.Detail)
	require.Equal(t, a.header.Get("X-Request-Id"), p.RequestID)
	return &p
}

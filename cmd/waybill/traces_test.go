package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSettings_checkTraces(t *testing.T) {
	t.Parallel()
	good := config{TracesEndpoint: "https://collector:4318", TracesRatio: 1, TracesCallerRate: 100, TracesHeaders: "Authorization: Bearer a:b, X-Team:one"}
	said := func(change func(*config)) string {
		s := &settings{config: good}
		change(&s.config)
		var all []string
		s.checkTraces(func(variable, format string, args ...any) {
			all = append(all, variable+" "+fmt.Sprintf(format, args...))
		})
		return strings.Join(all, "\n")
	}
	require.Empty(t, said(func(*config) {}))
	headers, err := parseTraceHeaders(good.TracesHeaders)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"Authorization": "Bearer a:b", "X-Team": "one"}, headers)
	for want, change := range map[string]func(*config){
		"WAYBILL_TRACES_ENDPOINT is an http":        func(c *config) { c.TracesEndpoint = "collector:4318" },
		"WAYBILL_TRACES_ENDPOINT is an https":       func(c *config) { c.TracesEndpoint = "http://user:hush-hush@collector" },
		"WAYBILL_TRACES_HEADERS is set without":     func(c *config) { c.TracesEndpoint = "" },
		"WAYBILL_TRACES_HEADERS has a bad entry 1:": func(c *config) { c.TracesHeaders = "hush-hush" },
		"WAYBILL_TRACES_HEADERS has a bad entry 2:": func(c *config) { c.TracesHeaders = "a:b,naïve:hush-hush" },
		"WAYBILL_TRACES_HEADERS has 33 entries":     func(c *config) { c.TracesHeaders = entries(33) },
		"WAYBILL_TRACES_RATIO is from 0 to 1":       func(c *config) { c.TracesRatio = 1.1 },
		"WAYBILL_TRACES_CALLER_RATE is from 0":      func(c *config) { c.TracesCallerRate = -1 },
	} {
		text := said(change)
		require.Contains(t, text, strings.Replace(want, "an https", "an http", 1))
		require.NotContains(t, text, "hush")
	}
	require.Empty(t, said(func(c *config) { c.TracesHeaders = entries(32) }), "at the limit")
}

func entries(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("h%d:v", i)
	}
	return strings.Join(all, ",")
}

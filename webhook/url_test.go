package webhook_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestEndpoint_Validate_URL(t *testing.T) {
	t.Parallel()
	limits := webhook.Limits{Dialect: dialect(t, "standard")}
	for url, detail := range map[string]string{
		"https://r.example":                              "",
		"HTTPS://r.example:8443/a?b=c":                   "",
		"https://[2001:db8::1]/":                         "",
		"https://[2001:db8::1]:8443/":                    "",
		"https://r.example:1":                            "",
		"https://r.example:65535/":                       "",
		"https://r.example//a//?":                        "",
		"https://r.example?a=b&c=%20":                    "",
		"https://r.example/%C3%A9/a%2Fb?a=%c3%a9":        "",
		"https://r.example/-._~!$&'()*+,;=:@/?/?:@":      "",
		"https://r.example/" + strings.Repeat("x", 2030): "",
		"https://r.example/" + strings.Repeat("x", 2031): "is at most 2048 bytes",
		"":                             "is required",
		"r.example/hook":               "is not an absolute URL",
		"/hook":                        "is not an absolute URL",
		"//r.example/":                 "is not an absolute URL",
		"https:r.example":              "is not an absolute URL",
		"https:/r.example":             "is not an absolute URL",
		"https://":                     "is not an absolute URL",
		"https:///hook":                "is not an absolute URL",
		"https://:443/":                "has a host that cannot be read",
		"https://2001:db8::1/":         "has a host that cannot be read",
		"https://[2001:db8::1":         "has a host that cannot be read",
		"https://r example/":           "has a host that cannot be read",
		"https://r.example\n":          "begins or ends with white space",
		" https://r.example/":          "begins or ends with white space",
		"https://r.example/p ":         "begins or ends with white space",
		"https://r.example:port/":      `has the port "port"`,
		"https://r.example:/":          `has the port ""`,
		"https://r.example:0/":         `has the port "0"`,
		"https://r.example:0443/":      `has the port "0443"`,
		"https://r.example:65536/":     `has the port "65536"`,
		"https://r.example:-1/":        `has the port "-1"`,
		"https://[2001:db8::1]:0/":     `has the port "0"`,
		"https://r.example/a b":        "in its path; percent-encode it as %20",
		"https://r.example/a\tb":       "in its path; percent-encode it as %09",
		"https://r.example/a\x7fb":     "in its path; percent-encode it as %7F",
		"https://r.example/é":          "in its path that is not ASCII; percent-encode it, such as é as %C3%A9",
		"https://r.example/a|b":        "the character | in its path; percent-encode it as %7C",
		`https://r.example/a"b`:        `the character " in its path; percent-encode it as %22`,
		"https://r.example/{id}":       "the character { in its path; percent-encode it as %7B",
		`https://r.example/a\b`:        `the character \ in its path; percent-encode it as %5C`,
		"https://r.example/%":          "write it as %25",
		"https://r.example/%2":         "write it as %25",
		"https://r.example/%zz":        "write it as %25",
		"https://r.example/?a=b c":     "in its query; percent-encode it as %20",
		"https://r.example/?a=b\nc":    "in its query; percent-encode it as %0A",
		"https://r.example/?a=\x00":    "in its query; percent-encode it as %00",
		"https://r.example/?a=é":       "in its query that is not ASCII",
		"https://r.example/?a[]=b":     "the character [ in its query; percent-encode it as %5B",
		"https://r.example/?a=<b>":     "the character < in its query",
		"https://r.example/?a=100%":    "in its query that two hexadecimal digits do not follow",
		"https://r.example?a=b c":      "in its query; percent-encode it as %20",
		`https://r.example\hook`:       "has a backslash",
		"https://r%2eexample/":         "has a percent sign in its host",
		"https://b%C3%BCcher.example/": "has a percent sign in its host",
		"https://[fe80::1%25eth0]/":    "is an address with a zone",
		"ftp://r.example/":             `has the scheme "ftp"`,
		"http://r.example/":            "is http; the dialect standard delivers to https only",
		"https://user@r.example/":      "carries a user name or password",
		"https://u:p@r.example/":       "carries a user name or password",
		"https://@r.example/":          "carries a user name or password",
		"https://r.example/#a":         "has a fragment",
		"https://r.example/#":          "has a fragment",
		"https://r.example#a":          "has a fragment",
		"https://r.example/?a=b#c":     "has a fragment",
		"https://u:p@r.example/#ab":    "carries a user name or password",
	} {
		err := endpoint(func(e *webhook.Endpoint) { e.URL = url }).Validate(limits)
		if detail == "" {
			require.NoError(t, err, url)
			continue
		}
		require.Equal(t, []string{"url"}, fields(t, err), url)
		require.ErrorContains(t, err, detail, url)
		require.NotContains(t, err.Error(), "u:p", "no password in an error")
	}
}

// The operator's rule is asked about host and port, written or not.
func TestEndpoint_Validate_URL_asksForTheAddress(t *testing.T) {
	t.Parallel()
	limits := webhook.Limits{Dialect: dialect(t, "standard"), AllowHTTP: true}
	limits.CheckAddress = func(host string, port uint16) error { return fmt.Errorf("asked for %s at %d", host, port) }
	for url, detail := range map[string]string{
		"https://r.example/hook":      "asked for r.example at 443",
		"http://r.example?a":          "asked for r.example at 80",
		"https://R.example.:8443":     "asked for R.example. at 8443",
		"https://[2001:db8::1]/":      "asked for 2001:db8::1 at 443",
		"https://[2001:db8::1]:9000/": "asked for 2001:db8::1 at 9000",
		"https://bücher.example/":     "asked for bücher.example at 443",
	} {
		err := endpoint(func(e *webhook.Endpoint) { e.URL = url }).Validate(limits)
		require.ErrorContains(t, err, detail, url)
	}
}

func TestEndpoint_Validate_HTTP(t *testing.T) {
	t.Parallel()
	d := dialect(t, "rheo")
	e := endpoint(func(e *webhook.Endpoint) { e.URL = "http://r.example" })
	require.Equal(t, []string{"url"}, fields(t, e.Validate(webhook.Limits{Dialect: d})))
	require.NoError(t, e.Validate(webhook.Limits{Dialect: d, AllowHTTP: true}))
	d.HTTPSOnly = false
	require.NoError(t, e.Validate(webhook.Limits{Dialect: d}))
}

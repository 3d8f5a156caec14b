package webhook

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// validateURL refuses every URL that would not be sent unchanged over both HTTP/1.1 and HTTP/2. The part after the host
// must arrive byte for byte.
func (e *Endpoint) validateURL(l Limits, found *problems) {
	if detail := urlFault(e.URL, l); detail != "" {
		found.addf("url", "%s", detail)
	}
}

// urlFault says what is wrong with a URL, without quoting user name and password; "": nothing.
func urlFault(text string, l Limits) string {
	switch {
	case text == "":
		return "is required"
	case len(text) > MaxURLBytes:
		return fmt.Sprintf("is at most %d bytes long", MaxURLBytes)
	case strings.TrimSpace(text) != text:
		return "begins or ends with white space"
	}
	scheme, rest, ok := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, target := rest[:end], rest[end:]
	switch scheme = strings.ToLower(scheme); {
	case !ok || authority == "":
		return "is not an absolute URL, such as https://example.com/hook"
	case scheme != "https" && scheme != "http":
		return fmt.Sprintf("has the scheme %q; https is needed", scheme)
	case scheme == "http" && l.Dialect.HTTPSOnly && !l.AllowHTTP:
		return fmt.Sprintf("is http; the dialect %s delivers to https only", l.Dialect.Name)
	case strings.Contains(authority, "@"):
		return "carries a user name or password; give them in auth"
	case strings.Contains(target, "#"):
		return "has a fragment (what follows #), which is never sent"
	}
	if detail := targetFault(target); detail != "" {
		return detail
	}
	return addressFault(scheme, authority, l)
}

// addressFault says what is wrong with host and port.
func addressFault(scheme, authority string, l Limits) string {
	switch {
	case strings.Contains(authority, `\`):
		return "has a backslash; write a slash"
	case strings.Contains(authority, "%") && strings.HasPrefix(authority, "["):
		return "is an address with a zone, which means nothing outside of one machine"
	case strings.Contains(authority, "%"):
		return "has a percent sign in its host; write the host's letters as they are"
	}
	host, port := authority, map[string]uint64{"http": 80, "https": 443}[scheme]
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		var err error
		host = authority[:i]
		port, err = strconv.ParseUint(authority[i+1:], 10, 16)
		if err != nil || port == 0 || authority[i+1] == '0' {
			return fmt.Sprintf("has the port %q; a port is a number from 1 to 65535", authority[i+1:])
		}
	}
	u, err := url.Parse(scheme + "://" + authority)
	if err != nil || host == "" || strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "has a host that cannot be read"
	}
	if l.CheckAddress == nil {
		return ""
	}
	if err := l.CheckAddress(u.Hostname(), uint16(port)); err != nil {
		return err.Error()
	}
	return ""
}

// plain are the characters that need no escaping in a path and a query (RFC 3986, sections 3.3 and 3.4).
const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/?"

// targetFault says which character of a path or query would be changed on the way or refused by receivers, and how to write
// it. It does not quote the text around it, which may be a secret.
func targetFault(target string) string {
	where := "path"
	for i := 0; i < len(target); i++ {
		c := target[i]
		switch {
		case c == '?':
			where = "query"
		case c == '%':
			if i+2 >= len(target) || !isHex(target[i+1]) || !isHex(target[i+2]) {
				return fmt.Sprintf("has a %% in its %s that two hexadecimal digits do not follow; write it as %%25", where)
			}
		case c <= ' ' || c == 0x7f:
			return fmt.Sprintf("has a space or control character in its %s; percent-encode it as %%%02X", where, c)
		case c > 0x7f:
			return fmt.Sprintf("has a character in its %s that is not ASCII; percent-encode it, such as é as %%C3%%A9", where)
		case strings.IndexByte(plain, c) < 0:
			return fmt.Sprintf("has the character %c in its %s; percent-encode it as %%%02X", c, where, c)
		}
	}
	return ""
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// maxShownHostBytes fits a host name of the maximum length (RFC 1035, section 2.3.4) and a port.
const maxShownHostBytes = 253 + 6

// Host returns the host and the port of the endpoint's URL, which people recognize. The rest may contain secrets.
func (e *Endpoint) Host() string {
	u, err := url.Parse(e.URL)
	if err != nil {
		return ""
	}
	return CleanLine(u.Host, maxShownHostBytes)
}

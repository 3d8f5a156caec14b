package main

import (
	"net/url"
	"strings"
)

// fillDatabaseURL returns the URL of the database with the password of a setting of its own, which needs no escaping; says is what
// is wrong with the two, "": nothing. It never shows them.
func fillDatabaseURL(text, password string) (filled, says string) {
	if says := checkDatabaseURL(text); says != "" {
		return text, says
	}
	if password == "" {
		return text, ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return text, "is not a URL"
	case u.User.Username() == "":
		return text, "names no user, whose password WAYBILL_DATABASE_PASSWORD is: postgres://user@host:5432/waybill"
	}
	if _, twice := u.User.Password(); twice {
		return text, "has a password and WAYBILL_DATABASE_PASSWORD is set: choose one"
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), ""
}

// checkDatabaseURL says what is wrong with the URL; "": nothing. It never shows the URL, which may contain the password.
func checkDatabaseURL(text string) string {
	const such = ", such as postgres://user:password@host:5432/waybill"
	if text == "" {
		return "is required" + such
	}
	u, err := url.Parse(text)
	switch {
	case err != nil && namesSeveral(text):
		return "has a list of servers that is none: it is a:5432,b:5432 without spaces, where the last one has a port if others have. With an IPv6 address among them it stands behind the ?, such as postgres://user:password@/waybill?host=pg-a,::1&port=5432,5432"
	case err != nil:
		return "is not a URL; characters such as / ? # % in the password are written %2F %3F %23 %25, or the password stands in WAYBILL_DATABASE_PASSWORD as it is" + such
	case u.Scheme != "postgres" && u.Scheme != "postgresql":
		return "does not begin with postgres://" + such
	default:
		return ""
	}
}

// namesSeveral reports whether there is a comma where a URL has its servers.
func namesSeveral(text string) bool {
	_, rest, _ := strings.Cut(text, "://")
	servers, _, _ := strings.Cut(rest[strings.LastIndex(rest, "@")+1:], "/")
	return strings.Contains(servers, ",")
}

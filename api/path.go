package api

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"waybill/webhook"
)

// maxPathID is longer than any valid id.
const maxPathID = 200

// isText reports whether Postgres can store the text. Otherwise it cannot be an id.
func isText(s string) bool { return len(s) <= maxPathID && isStorable(s) }

func isStorable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// pathText returns a part of the path, such as an event's id.
func pathText(r *http.Request, name string) (string, error) {
	s := mux.Vars(r)[name]
	if !isText(s) {
		return "", webhook.Errorf(webhook.CodeNotFound, "there is no %s %q", name, s)
	}
	return s, nil
}

// pathID reads an id out of the path. A malformed one is CodeNotFound.
func pathID[I any, P interface {
	*I
	UnmarshalText([]byte) error
}](r *http.Request, name string) (I, error) {
	var id I
	s := mux.Vars(r)[name]
	if err := P(&id).UnmarshalText([]byte(s)); err != nil {
		return id, webhook.Errorf(webhook.CodeNotFound, "there is no %s %q", name, s)
	}
	return id, nil
}

// hasPath reports whether the route's path has a variable.
func hasPath(r *http.Request, name string) bool {
	_, ok := mux.Vars(r)[name]
	return ok
}

package postgres

import (
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// arrayBuilder gathers one column of a batch as the text of a Postgres array, which unnest($1::type[]) turns into rows.
type arrayBuilder struct{ text []byte }

func (a *arrayBuilder) next() {
	if len(a.text) > 0 {
		a.text = append(a.text, ',')
	}
}

func (a *arrayBuilder) addNull() {
	a.next()
	a.text = append(a.text, "NULL"...)
}

// addText adds a text and quotes it.
func (a *arrayBuilder) addText(s string) {
	a.next()
	a.text = append(a.text, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			a.text = append(a.text, '\\')
		}
		a.text = append(a.text, s[i])
	}
	a.text = append(a.text, '"')
}

// addID adds a UUID.
func (a *arrayBuilder) addID(id interface{ UUID() string }) {
	a.next()
	a.text = append(a.text, id.UUID()...)
}

func (a *arrayBuilder) addInt(n int64) {
	a.next()
	a.text = strconv.AppendInt(a.text, n, 10)
}

func (a *arrayBuilder) addBool(b bool) {
	a.next()
	a.text = strconv.AppendBool(a.text, b)
}

func (a *arrayBuilder) addBytes(b []byte) {
	a.next()
	a.text = append(a.text, `"\\x`...)
	a.text = hex.AppendEncode(a.text, b)
	a.text = append(a.text, '"')
}

func (a *arrayBuilder) addTime(at time.Time) {
	a.next()
	a.text = append(a.text, '"')
	a.text = at.UTC().AppendFormat(a.text, "2006-01-02T15:04:05.999999Z")
	a.text = append(a.text, '"')
}

func (a *arrayBuilder) addOptionalTime(at *time.Time) {
	if at == nil {
		a.addNull()
		return
	}
	a.addTime(*at)
}

// addStrings adds a JSON object; null for an empty one.
func (a *arrayBuilder) addStrings(m map[string]string) {
	if len(m) == 0 {
		a.addNull()
		return
	}
	a.addText(string(mustJSON(m)))
}

// Value returns the array's text.
func (a *arrayBuilder) Value() (driver.Value, error) { return "{" + string(a.text) + "}", nil }

// idsOf returns ids as one array.
func idsOf[I interface{ UUID() string }](ids []I) *arrayBuilder {
	a := new(arrayBuilder)
	for _, id := range ids {
		a.addID(id)
	}
	return a
}

// textsOf returns texts as one array, which is never null.
func textsOf(texts []string) *arrayBuilder {
	a := new(arrayBuilder)
	for _, text := range texts {
		a.addText(text)
	}
	return a
}

// mustJSON encodes values that cannot fail: maps of strings, and retry policies whose numbers were checked.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return b
}

// optionalJSON returns the value for a nullable json column; nil for an unset v.
func optionalJSON(v any, present bool) any {
	if !present {
		return nil
	}
	return string(mustJSON(v))
}

// cleanText returns s without the characters that a text column refuses.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

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

// column gathers one column of a batch as the text of a Postgres array, which unnest($1::type[]) turns into rows.
type column struct{ text []byte }

func (c *column) next() {
	if len(c.text) > 0 {
		c.text = append(c.text, ',')
	}
}

func (c *column) addNull() {
	c.next()
	c.text = append(c.text, "NULL"...)
}

// addText quotes s, whatever it holds.
func (c *column) addText(s string) {
	c.next()
	c.text = append(c.text, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			c.text = append(c.text, '\\')
		}
		c.text = append(c.text, s[i])
	}
	c.text = append(c.text, '"')
}

// addID adds a UUID.
func (c *column) addID(id interface{ UUID() string }) {
	c.next()
	c.text = append(c.text, id.UUID()...)
}

func (c *column) addInt(n int64) {
	c.next()
	c.text = strconv.AppendInt(c.text, n, 10)
}

func (c *column) addBool(b bool) {
	c.next()
	c.text = strconv.AppendBool(c.text, b)
}

func (c *column) addBytes(b []byte) {
	c.next()
	c.text = append(c.text, `"\\x`...)
	c.text = hex.AppendEncode(c.text, b)
	c.text = append(c.text, '"')
}

func (c *column) addTime(at time.Time) {
	c.next()
	c.text = append(c.text, '"')
	c.text = at.UTC().AppendFormat(c.text, "2006-01-02T15:04:05.999999Z")
	c.text = append(c.text, '"')
}

func (c *column) addOptionalTime(at *time.Time) {
	if at == nil {
		c.addNull()
		return
	}
	c.addTime(*at)
}

// addStrings adds a JSON object; null for an empty one.
func (c *column) addStrings(m map[string]string) {
	if len(m) == 0 {
		c.addNull()
		return
	}
	c.addText(string(mustJSON(m)))
}

// Value returns the array's text.
func (c *column) Value() (driver.Value, error) { return "{" + string(c.text) + "}", nil }

// idsOf returns ids as one column.
func idsOf[I interface{ UUID() string }](ids []I) *column {
	c := new(column)
	for _, id := range ids {
		c.addID(id)
	}
	return c
}

// mustJSON encodes what always encodes: maps of strings and retry policies, whose numbers were checked.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return b
}

// optionalJSON returns what a nullable json column stores of v: nil for nothing.
func optionalJSON(v any, present bool) any {
	if !present {
		return nil
	}
	return string(mustJSON(v))
}

// storable returns s without what a text column refuses.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// kind is what a field of a request takes.
type kind int

const (
	aText kind = iota
	aList
	aNumber
	aYesNo
	aMap
	// aValue is JSON, or @ and the name of a file that has it, or - for the standard input.
	aValue
)

// field is a flag for a field of a request.
type field struct {
	flag, name string
	kind       kind
	help       string
}

// body makes the JSON of a request of flags, over that of --json.
type body struct {
	env    Env
	fields []field
	// isChange says that what is not given stays.
	isChange bool
	// base is what --json says.
	base string
	// clear names the fields that become null.
	clear []string
}

// addBody gives a command a flag for each field, and --json for those that have no flag. In a change, fields can be cleared.
func addBody(e Env, c *cobra.Command, isChange bool, fields ...field) *body {
	b := &body{env: e, fields: fields, isChange: isChange}
	flags := c.Flags()
	flags.SortFlags = false
	for _, f := range fields {
		switch f.kind {
		case aList:
			flags.StringSlice(f.flag, nil, f.help)
		case aNumber:
			flags.Int64(f.flag, 0, f.help)
		case aYesNo:
			flags.Bool(f.flag, false, f.help)
		case aMap:
			flags.StringToString(f.flag, nil, f.help)
		default:
			flags.String(f.flag, "", f.help)
		}
	}
	flags.StringVar(&b.base, "json", "", "the request as the API takes it, for fields without a flag: JSON, @FILE, or - for the standard input. Flags go over it")
	if isChange {
		flags.StringSliceVar(&b.clear, "clear", nil, "fields to clear, by commas, such as retry,metadata")
	}
	return b
}

// into reads the request into target. What target does not have is refused.
func (b *body) into(c *cobra.Command, target any) error {
	all := map[string]json.RawMessage{}
	if b.base != "" {
		raw, err := b.env.value(c.Context(), b.base)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(raw, &all); err != nil {
			return Usagef("--json is no JSON object: %s", err)
		}
		if all == nil {
			return Usagef("--json is no JSON object: it is null")
		}
	}
	for _, f := range b.fields {
		if !c.Flags().Changed(f.flag) {
			continue
		}
		value, err := b.flag(c, f)
		if err != nil {
			return err
		}
		all[f.name] = value
	}
	for _, name := range b.clear {
		all[strings.ReplaceAll(name, "-", "_")] = json.RawMessage("null")
	}
	if b.isChange && len(all) == 0 {
		return Usagef("nothing is to change: give a flag, --json or --clear")
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(target); err != nil {
		return Usagef("the request: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// flag is the value of a flag that was given, as JSON.
func (b *body) flag(c *cobra.Command, f field) (json.RawMessage, error) {
	var value any
	var err error
	switch f.kind {
	case aList:
		value, err = c.Flags().GetStringSlice(f.flag)
	case aNumber:
		value, err = c.Flags().GetInt64(f.flag)
	case aYesNo:
		value, err = c.Flags().GetBool(f.flag)
	case aMap:
		value, err = c.Flags().GetStringToString(f.flag)
	case aValue:
		var text string
		if text, err = c.Flags().GetString(f.flag); err == nil {
			return b.env.jsonValue(c.Context(), "--"+f.flag, text)
		}
	default:
		value, err = c.Flags().GetString(f.flag)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

// maxValueBytes bounds what is read from a file or the standard input.
const maxValueBytes = 16 << 20

// value reads a value: itself, @ and the name of a file that holds it, or - for the standard input.
func (e Env) value(ctx context.Context, given string) ([]byte, error) {
	in := interruptible(ctx, e.In)
	switch name, isFile := strings.CutPrefix(given, "@"); {
	case isFile:
		f, err := os.Open(name)
		if err != nil {
			return nil, &UsageError{err}
		}
		defer f.Close()
		in = f
	case given != "-":
		return []byte(given), nil
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxValueBytes+1))
	if err == nil && len(raw) > maxValueBytes {
		err = Usagef("%s is longer than %d MiB", given, maxValueBytes>>20)
	}
	return raw, err
}

// jsonValue reads a value that is JSON.
func (e Env) jsonValue(ctx context.Context, flag, given string) (json.RawMessage, error) {
	raw, err := e.value(ctx, given)
	if err != nil {
		return nil, err
	}
	raw = bytes.TrimSpace(raw)
	var wrong *json.SyntaxError
	switch err := json.Unmarshal(raw, new(json.RawMessage)); {
	case len(raw) == 0:
		return nil, Usagef("%s is empty: it is JSON, @FILE, or - for the standard input", flag)
	case errors.As(err, &wrong):
		return nil, Usagef("%s is not JSON, at byte %d: %s. It is JSON, @FILE, or - for the standard input; a text is written '\"text\"'", flag, wrong.Offset, wrong)
	case err != nil:
		return nil, Usagef("%s is not JSON: %s", flag, err)
	}
	return raw, nil
}

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waybill/client"
)

// scope is what the commands of one resource share: which Waybill, and which tenant.
type scope struct {
	*connection
	// tenant is what --tenant says.
	tenant string
}

// newScope gives a command, and those below it, the flags that say which Waybill and which tenant.
func newScope(e Env, c *cobra.Command) *scope {
	s := &scope{connection: connect(e, c)}
	c.PersistentFlags().StringVar(&s.tenant, "tenant", "", "`id` of the tenant; a key of a tenant needs none")
	return s
}

// open returns a client and the tenant, which is the key's own where none is named.
func (s *scope) open(ctx context.Context) (*client.Client, string, error) {
	w, err := s.Client()
	if err != nil || s.tenant != "" {
		return w, s.tenant, err
	}
	session, err := w.GetSession(ctx)
	if err != nil {
		return nil, "", explain(err)
	}
	if session.Tenant == nil || *session.Tenant == "" {
		return nil, "", Usagef("--tenant is missing: the key is an administrator's, and 'waybill tenants list' lists the tenants")
	}
	return w, *session.Tenant, nil
}

// about is what the help says of a command.
type about struct{ use, short, long, example string }

// command makes a command of what is said about it. The words after the first in use are its arguments.
func (a about) command(run func(c *cobra.Command, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: a.use, Short: a.short, Long: a.long, Example: "  " + strings.ReplaceAll(a.example, "\n", "\n  "),
		Args: Arguments(strings.Fields(a.use)[1:]...), RunE: run,
	}
}

// column is one column of a table, or line of what is shown alone.
type column[T any] struct {
	title string
	// wide columns are shown with -o wide, and of what is shown alone.
	wide bool
	cell func(T) string
}

// call is what a command calls.
type call struct {
	ctx    context.Context
	client *client.Client
	// tenant is "" of commands above tenants.
	tenant string
	args   []string
}

// one is a command whose answer is one thing.
func one[T any](open func(context.Context) (*client.Client, string, error), e Env, a about, columns []column[T], do func(call) (*T, error)) *cobra.Command {
	c := a.command(nil)
	format := addFormat(c, formatTable, formatJSON)
	c.RunE = func(c *cobra.Command, args []string) error {
		w, tenant, err := open(c.Context())
		if err != nil {
			return err
		}
		got, err := do(call{c.Context(), w, tenant, args})
		if err != nil {
			return explain(err)
		}
		return show(e, format, columns, got)
	}
	return c
}

// show writes one thing.
func show[T any](e Env, format *Format, columns []column[T], it *T) error {
	if format.JSON() {
		return WriteJSON(e.Out, it)
	}
	t := newTable(e.Out)
	for _, column := range columns {
		if text := column.cell(*it); text != "" {
			t.row(column.title, text)
		}
	}
	return t.end()
}

// done is a command whose answer is nothing but that it is done. It says so.
func done(open func(context.Context) (*client.Client, string, error), e Env, a about, says string, do func(call) error) *cobra.Command {
	return a.command(func(c *cobra.Command, args []string) error {
		w, tenant, err := open(c.Context())
		if err != nil {
			return err
		}
		if err := do(call{c.Context(), w, tenant, args}); err != nil {
			return explain(err)
		}
		fmt.Fprintf(e.Out, "%s %s\n", clean(args[0]), says)
		return nil
	})
}

// maxPage is how many items a page of the API has at most.
const maxPage = 200

// many is a command whose answer is a list. pages returns the list from its begin, page is how many items a page may have.
func many[T any](open func(context.Context) (*client.Client, string, error), e Env, a about, columns []column[T],
	pages func(in call, page *int) (iter.Seq2[T, error], error),
) *cobra.Command {
	c := a.command(nil)
	limit, all := 50, false
	format := addFormat(c, formatTable, formatWide, formatJSON)
	c.Flags().IntVar(&limit, "limit", limit, "how many to list at most")
	c.Flags().BoolVar(&all, "all", false, "list them all")
	c.RunE = func(c *cobra.Command, args []string) error {
		if limit < 1 {
			return Usagef("--limit is 1 or more")
		}
		if all {
			limit = 0
		}
		w, tenant, err := open(c.Context())
		if err != nil {
			return err
		}
		page := maxPage
		if limit > 0 {
			page = min(limit, maxPage)
		}
		items, err := pages(call{c.Context(), w, tenant, args}, &page)
		if err != nil {
			return err
		}
		return list(e, format, columns, items, limit)
	}
	return c
}

// writer writes the items of a list as they come.
type writer[T any] interface {
	item(T) error
	end() error
}

// list writes at most limit items, 0: all.
func list[T any](e Env, format *Format, columns []column[T], items iter.Seq2[T, error], limit int) error {
	var out writer[T] = newListTable(e, format.Wide(), columns)
	if format.JSON() {
		out = &jsonList[T]{out: e.Out}
	}
	n := 0
	for it, err := range items {
		if err != nil {
			// What was listed so far is shown. JSON stays open, so that nobody takes it for the whole list.
			if n > 0 && !format.JSON() {
				_ = out.end()
			}
			return explain(err)
		}
		if n++; limit > 0 && n > limit {
			fmt.Fprintf(e.Err, "There are more than %d: --limit lists more, --all lists them all.\n", limit)
			break
		}
		if err := out.item(it); err != nil {
			return err
		}
	}
	return out.end()
}

// Cells.

func text[S ~string](value S) string { return string(value) }

func orNone[S ~string](value *S) string {
	if value == nil {
		return ""
	}
	return string(*value)
}

func number[N ~int | ~int64](value N) string { return fmt.Sprint(int64(value)) }

func maybeNumber[N ~int | ~int64](value *N) string {
	if value == nil {
		return ""
	}
	return number(*value)
}

func at(value time.Time) string { return value.UTC().Format(time.RFC3339) }

func maybeAt(value *time.Time) string {
	if value == nil {
		return ""
	}
	return at(*value)
}

func yesNo(value bool) string {
	if value {
		return "yes"
	}
	return ""
}

func maybeYes(value *bool) string { return yesNo(value != nil && *value) }

func words[S ~string](values []S) string {
	all := make([]string, len(values))
	for i, value := range values {
		all[i] = string(value)
	}
	return strings.Join(all, ",")
}

// compact is a value as JSON in a line; "": there is none.
func compact(value any) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	text := strings.TrimSuffix(out.String(), "\n")
	if err != nil || text == "null" || text == "{}" || text == "[]" {
		return ""
	}
	return text
}

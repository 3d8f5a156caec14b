package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"
)

// table writes aligned columns.
type table struct {
	w    *tabwriter.Writer
	rows int
	// err is the first failure to write.
	err error
}

// flushAfter bounds the rows that are held to be aligned with each other.
const flushAfter = 500

// newTable returns a table; without titles it has none.
func newTable(out io.Writer, titles ...string) *table {
	t := &table{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	if len(titles) > 0 {
		t.row(titles...)
	}
	return t
}

// row writes a row. The cells may be a stranger's text.
func (t *table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = clean(cell)
	}
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	if t.rows++; t.rows%flushAfter == 0 {
		t.flush()
	}
}

func (t *table) flush() {
	if err := t.w.Flush(); t.err == nil {
		t.err = err
	}
}

func (t *table) end() error {
	t.flush()
	return t.err
}

// listTable writes a list as a table.
type listTable[T any] struct {
	*table
	columns []column[T]
}

func newListTable[T any](e Env, wide bool, columns []column[T]) *listTable[T] {
	t := &listTable[T]{}
	var titles []string
	for _, c := range columns {
		if wide || !c.wide {
			t.columns = append(t.columns, c)
			titles = append(titles, c.title)
		}
	}
	t.table = newTable(e.Out, titles...)
	return t
}

func (t *listTable[T]) item(it T) error {
	cells := make([]string, len(t.columns))
	for i, c := range t.columns {
		cells[i] = c.cell(it)
	}
	t.row(cells...)
	return t.err
}

// jsonList writes a list as a JSON array, without holding it.
type jsonList[T any] struct {
	out io.Writer
	n   int
}

func (l *jsonList[T]) item(it T) error {
	text, err := encode(it, "  ")
	if err != nil {
		return err
	}
	before := ",\n  "
	if l.n == 0 {
		before = "[\n  "
	}
	l.n++
	_, err = io.WriteString(l.out, before+text)
	return err
}

func (l *jsonList[T]) end() error {
	closing := "\n]\n"
	if l.n == 0 {
		closing = "[]\n"
	}
	_, err := io.WriteString(l.out, closing)
	return err
}

// isTerminal reports whether a person sees what is written.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

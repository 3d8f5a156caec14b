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
}

// flushAfter bounds the rows that are held to be aligned with each other.
const flushAfter = 500

func newTable(out io.Writer, titles ...string) *table {
	t := &table{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	t.row(titles...)
	return t
}

// row writes a row. The cells may be a stranger's text.
func (t *table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = clean(cell)
	}
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	if t.rows++; t.rows%flushAfter == 0 {
		_ = t.w.Flush()
	}
}

func (t *table) end() error { return t.w.Flush() }

// isTerminal reports whether a person sees what is written.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

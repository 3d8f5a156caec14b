package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// statTail has the fields of /proc/<pid>/stat from the third on: state, parent, then up to the CPU times, then the others.
const statTail = " S %d 10 10 0 -1 4194560 100 200 0 0 %d %d %d %d 20 0 1 0 446490 3133440 388 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0"

// fakeProc is a /proc of few processes.
type fakeProc struct{ dir string }

func (p fakeProc) add(t *testing.T, pid, parent int, ownTicks, reapedTicks int, anonymousKB, sharedKB int) {
	t.Helper()
	dir := filepath.Join(p.dir, strconv.Itoa(pid))
	require.NoError(t, os.MkdirAll(dir, 0o755))
	line := fmt.Sprintf("%d (postgres: a b)"+statTail, pid, parent, ownTicks, 0, reapedTicks, 0)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stat"), []byte(line), 0o644))
	text := fmt.Sprintf("RssAnon:\t%d kB\nRssFile:\t8 kB\nRssShmem:\t%d kB\n", anonymousKB, sharedKB)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "status"), []byte(text), 0o644))
}

func TestProcesses_Family(t *testing.T) {
	t.Parallel()
	fake := fakeProc{t.TempDir()}
	fake.add(t, 10, 1, 100, 50, 4, 100)
	fake.add(t, 11, 10, 200, 5, 16, 700)
	fake.add(t, 12, 10, 300, 0, 32, 300)
	fake.add(t, 13, 11, 999, 0, 999, 999) // a grandchild is nobody of Postgres'
	fake.add(t, 20, 1, 1, 0, 1, 0)
	require.NoError(t, os.Mkdir(filepath.Join(fake.dir, "self"), 0o755))
	proc, err := openProcesses(fake.dir)
	require.NoError(t, err)

	all, err := proc.families([]int{10, 20})
	require.NoError(t, err)
	require.Equal(t, []family{{parent: 10, children: []int{11, 12}}, {parent: 20}}, all)

	cpu, err := proc.cpu(all[0], true)
	require.NoError(t, err)
	require.Equal(t, 655*tick, cpu)
	cpu, err = proc.cpu(family{parent: 10}, false)
	require.NoError(t, err)
	require.Equal(t, 100*tick, cpu)

	rss, err := proc.resident(all[0])
	require.NoError(t, err)
	require.Equal(t, int64(4+16+32+8+700)<<10, rss, "what is shared counts once")

	// A child that ended is not an error; a process that is measured and gone is.
	all[0].children = append(all[0].children, 99)
	_, err = proc.cpu(all[0], true)
	require.NoError(t, err)
	_, err = proc.cpu(family{parent: 99}, true)
	require.ErrorIs(t, err, os.ErrNotExist)
}

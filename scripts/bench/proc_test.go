package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fields 3 to 22 of a line of /proc/<pid>/stat: state, parent, then up to the CPU times, then some more.
const statTail = " S %d 10 10 0 -1 4194560 100 200 0 0 %d %d %d %d 20 0 1 0 446490 3133440 388"

func TestParseStat(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"postgres", "odd) name (of a", ""} {
		got, err := parseStat(fmt.Appendf(nil, "77 (%s)"+statTail, command, 5, 120, 30, 7, 3))
		require.NoError(t, err, command)
		require.Equal(t, stat{parent: 5, own: 1500 * time.Millisecond, reaped: 100 * time.Millisecond}, got, command)
	}
	for _, bad := range []string{"", "77 postgres S 1", "77 (postgres) S 1 2 3", "77 (x) S x 1 1 1 1 1 1 1 1 1 1 1 1 1 1"} {
		_, err := parseStat([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	got, err := parseStatus([]byte("Name:\tpostgres\nVmHWM:\t    1936 kB\nVmRSS:\t 1800 kB\nRssAnon:\t 144 kB\nRssFile:\t1000 kB\nRssShmem:\t656 kB\n"))
	require.NoError(t, err)
	require.Equal(t, memory{anonymous: 144 << 10, file: 1000 << 10, shared: 656 << 10, peak: 1936 << 10}, got)
	_, err = parseStatus([]byte("RssAnon:\tmuch\n"))
	require.ErrorContains(t, err, "RssAnon")
}

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

func TestProcFS_Family(t *testing.T) {
	t.Parallel()
	fake := fakeProc{t.TempDir()}
	fake.add(t, 10, 1, 100, 50, 4, 100)
	fake.add(t, 11, 10, 200, 5, 16, 700)
	fake.add(t, 12, 10, 300, 0, 32, 300)
	fake.add(t, 13, 11, 999, 0, 999, 999) // a grandchild is nobody of Postgres'
	fake.add(t, 20, 1, 1, 0, 1, 0)
	require.NoError(t, os.Mkdir(filepath.Join(fake.dir, "self"), 0o755))
	proc := procFS(fake.dir)

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

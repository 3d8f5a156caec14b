package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// testPrefix begins the names of the folders of test stacks, inside .waybill.
const testPrefix = "test-"

// TestEnvFile is the file, inside .waybill, with the variables of the test stack that make stack keeps up.
const TestEnvFile = "test.env"

// OpenTest opens a stack for one test run: on free ports, in a folder of its own that Close removes. It first clears
// away what killed test runs left. The changes are made to the usual options.
func OpenTest(ctx context.Context, root string, out *Printer, changes ...func(*Options)) (*Stack, error) {
	o := Options{CLI: true, Out: out}
	for _, change := range changes {
		change(&o)
	}
	return openTest(ctx, root, "", o)
}

// OpenTestShape opens a test stack of another shape, which may be up beside the usual one of the same run.
func OpenTestShape(ctx context.Context, root string, shape Shape, out *Printer) (*Stack, error) {
	return openTest(ctx, root, "-shaped", Options{Shape: shape, Out: out})
}

// openTest completes the options of a test stack. suffix tells apart those of one run.
func openTest(ctx context.Context, root, suffix string, o Options) (*Stack, error) {
	state := filepath.Join(root, ".waybill")
	// One that is being opened has no lock yet, and would be taken for an abandoned one.
	turn, err := awaitLock(filepath.Join(state, "opening"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = turn.Close() }()
	if err := removeAbandoned(ctx, state, o.Out); err != nil {
		return nil, err
	}
	if o.Ports, err = freePorts(o.Shape); err != nil {
		return nil, err
	}
	o.Root, o.Dir, o.Temporary = root, filepath.Join(state, fmt.Sprintf("%s%d%s", testPrefix, os.Getpid(), suffix)), true
	o.Database, o.Namespace = "waybill_test", "waybill-test"
	return Open(ctx, o)
}

// removeAbandoned ends and removes test stacks whose runner is gone.
func removeAbandoned(ctx context.Context, state string, out *Printer) error {
	dirs, err := filepath.Glob(filepath.Join(state, testPrefix+"*", "run"))
	if err != nil {
		return err
	}
	for _, run := range dirs {
		s := &Stack{Options: Options{Dir: filepath.Dir(run), Temporary: true, Out: out}}
		lock, err := tryLock(filepath.Join(run, "lock"), 0) // a file that is made here would keep one that closes from removing its folder
		if errors.Is(err, errLocked) {
			continue // somebody's tests are running
		}
		if errors.Is(err, os.ErrNotExist) {
			continue // they have ended
		}
		if err != nil {
			return err
		}
		err = endLeftovers(ctx, run, out)
		if err == nil {
			err = s.Remove()
		}
		if err := errors.Join(err, lock.Close()); err != nil {
			return fmt.Errorf("remove an abandoned test stack: %w", err)
		}
	}
	return nil
}

// TestEnv returns what the tests need to know of the stack, as environment variables. The binary is left out when it
// is empty.
func (s *Stack) TestEnv(binary string) []string {
	env := []string{
		"WAYBILL_TEST_DATABASE_URL=" + s.DatabaseURL(s.Database),
		"WAYBILL_TEST_TEMPORAL_ADDRESS=" + s.TemporalAddress(),
		"WAYBILL_TEST_TEMPORAL_NAMESPACE=" + s.Namespace,
		"WAYBILL_TEST_TEMPORAL_CLI=" + filepath.Join(s.Root, ".waybill", "bin", TemporalCLI.Name),
	}
	if binary != "" {
		env = append(env, "WAYBILL_TEST_BINARY="+binary)
	}
	return env
}

package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// BuildRevision builds waybill as it was at a revision of the checkout, unless the binary is there already. dir takes the source in
// the meantime.
func BuildRevision(ctx context.Context, root, revision, dir, binary string, out *Printer) (err error) {
	if _, err := os.Stat(binary); err == nil {
		return nil
	}
	source := filepath.Join(dir, "source-"+filepath.Base(binary))
	if _, err := Git(ctx, root, "worktree", "add", "--detach", source, revision); err != nil {
		return err
	}
	defer func() {
		_, removed := Git(context.WithoutCancel(ctx), root, "worktree", "remove", "--force", source)
		err = errors.Join(err, removed)
	}()
	return BuildWaybill(ctx, source, binary, out)
}

// Git runs git in a folder and returns what it says.
func Git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(ended.Stderr)))
		}
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

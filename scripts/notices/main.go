// Command notices writes THIRD_PARTY_NOTICES: the modules that the waybill command is built of, with their licenses.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"waybill/scripts/stack"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := stack.FindRoot()
	if err != nil {
		return err
	}
	text, err := notices(ctx, root)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "THIRD_PARTY_NOTICES"), text, 0o644)
}

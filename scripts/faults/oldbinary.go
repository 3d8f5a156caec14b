package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"waybill/scripts/stack"
)

// buildOld builds waybill as it was at the wanted revision, once, and returns the binary. errNotRun: there is no such
// revision here.
func (w *world) buildOld(ctx context.Context) (string, error) {
	if w.stack == nil {
		return "", fmt.Errorf("%w: the old binary is built from a checkout and needs a stack", errNotRun)
	}
	root := w.stack.Root
	commit, err := oldCommit(ctx, root, w.old)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNotRun, err)
	}
	binary := filepath.Join(w.dir, "waybill-"+commit)
	w.say("rolling-restart: the old binary is that of %s", commit)
	return binary, stack.BuildRevision(ctx, root, commit, w.dir, binary, w.out)
}

// oldCommit finds the revision, or if none is given the newest tag, or without a tag the last commit that recorded a known
// history anew or that changed what a namespace needs, whichever is later. Binaries from before the first do not understand
// the workflows of those after it: before the first release workflows were changed without a version. Binaries from before the
// second cannot work in the same namespace: Temporal does not change the type of a search attribute in place.
func oldCommit(ctx context.Context, root, revision string) (string, error) {
	inside, err := stack.Git(ctx, root, "rev-parse", "--show-prefix")
	if err != nil || inside != "" {
		return "", errors.New("this is no git checkout, from which an old binary could be built")
	}
	if revision != "" {
		commit, err := stack.Git(ctx, root, "rev-parse", "--verify", "--quiet", revision+"^{commit}")
		if err != nil {
			return "", fmt.Errorf("this checkout has no revision %q", revision)
		}
		return commit, nil
	}
	if shallow, err := stack.Git(ctx, root, "rev-parse", "--is-shallow-repository"); err != nil || shallow == "true" {
		return "", errors.New("this checkout is shallow, so that its past is not known; git fetch --unshallow gets it")
	}
	if tag, err := stack.Git(ctx, root, "describe", "--tags", "--abbrev=0"); err == nil {
		return stack.Git(ctx, root, "rev-parse", "--verify", tag+"^{commit}")
	}
	commit, err := stack.Git(ctx, root, "log", "-1", "--format=%H", "--diff-filter=M", "--", "workflows/testdata/histories")
	if err != nil {
		return "", err
	}
	namespace, err := stack.Git(ctx, root, "log", "-1", "--format=%H", "--first-parent", "--", "scripts/stack/temporal/setup-namespace.sh")
	if err != nil {
		return "", err
	}
	if commit == "" && namespace == "" {
		return "", errors.New("there is neither a tag nor a commit that recorded a history anew; name a revision by -old")
	}
	if commit == "" || namespace == "" {
		return cmp.Or(commit, namespace), nil
	}
	if _, err := stack.Git(ctx, root, "merge-base", "--is-ancestor", namespace, commit); err == nil {
		return commit, nil
	}
	return namespace, nil
}

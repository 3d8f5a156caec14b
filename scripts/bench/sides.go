package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"waybill/scripts/stack"
)

// side is one build of Waybill with tables and a namespace of its own on the shared engine.
type side struct {
	// label is the revision; "" for the checkout as it is.
	label, binary, schema, namespace string
}

// openSides builds what is to be measured and prepares its tables. With -versus there are two sides, which take turns run by run:
// the machine wavers by more than what a change costs.
func (r *rig) openSides(ctx context.Context) error {
	r.sides = []*side{{binary: filepath.Join(r.engine.dir, "waybill"), schema: r.engine.schema, namespace: r.engine.namespace}}
	root, err := stack.FindRoot()
	if err != nil {
		return err
	}
	if err := stack.BuildWaybill(ctx, root, r.sides[0].binary, r.out); err != nil {
		return err
	}
	if r.opts.versus != "" {
		before, err := r.otherSide(ctx, root)
		if err != nil {
			return err
		}
		r.sides = append(r.sides, before)
		// The floor leaves its workflows in the engine's namespace, which would tell the sides apart.
		r.sides[0].schema, r.sides[0].namespace = "after", r.engine.namespace+"-after"
	}
	r.side = r.sides[0]
	return nil
}

// otherSide returns what -versus names: a file that is there, or a revision, which it builds.
func (r *rig) otherSide(ctx context.Context, root string) (*side, error) {
	versus := r.opts.versus
	s := &side{label: filepath.Base(versus), binary: versus, schema: "before", namespace: r.engine.namespace + "-before"}
	if info, err := os.Stat(versus); err == nil && info.Mode().IsRegular() {
		return s, nil
	}
	s.label, s.binary = versus, filepath.Join(r.engine.dir, "waybill-before")
	if err := stack.BuildRevision(ctx, root, versus, r.engine.dir, s.binary, r.out); err != nil {
		return nil, fmt.Errorf("build %s: %w", versus, err)
	}
	return s, nil
}

// prepareSides makes the namespaces and the tables. The only side's namespace is the engine's.
func (r *rig) prepareSides(ctx context.Context) error {
	for _, s := range r.sides {
		if s.namespace != r.engine.namespace {
			if err := stack.EnsureNamespace(ctx, r.engine.temporal, s.namespace); err != nil {
				return err
			}
		}
		r.side = s
		if err := r.migrate(ctx); err != nil {
			return fmt.Errorf("prepare Waybill's tables: %w", err)
		}
	}
	r.side = r.sides[0]
	return nil
}

// turnShare is how much of a run warms a side up after its turn has begun.
const turnShare = 0.05

// turn gives the turn to a side.
func (r *rig) turn(ctx context.Context, s *side, run measured) error {
	if r.side == s {
		return nil
	}
	if err := r.stopServer(); err != nil {
		return err
	}
	r.side = s
	if err := r.serve(ctx); err != nil {
		return err
	}
	_, err := run(ctx, turnShare)
	return err
}

// compared is series for two sides. Each gets a row. Which side begins changes with each run, because the two places are not alike: what
// one run leaves to vacuum and write back falls into the next.
func (r *rig) compared(ctx context.Context, info row, run measured) error {
	runs := make([][]figures, len(r.sides))
	for n := range r.opts.runs {
		for place := range r.sides {
			i := (place + n) % len(r.sides)
			s := r.sides[i]
			if err := r.turn(ctx, s, run); err != nil {
				return fmt.Errorf("warm up: %w", err)
			}
			f, err := run(ctx, 1)
			if err != nil {
				return fmt.Errorf("run %d: %w", n+1, err)
			}
			runs[i] = append(runs[i], f)
			r.out.Say("%s: %s%s, run %d of %d: %s", r.mode, info.Title, s.suffix(), n+1, r.opts.runs, f)
		}
	}
	for i, s := range r.sides {
		own := info
		own.Metrics = summarizeAll(runs[i])
		if s.label != "" {
			own.Key, own.Title = own.Key+"@"+s.label, own.Title+s.suffix()
		}
		r.report.add(own)
	}
	return r.turn(ctx, r.sides[0], run)
}

// suffix tells the rows of a side from the checkout's.
func (s *side) suffix() string {
	if s.label == "" {
		return ""
	}
	return ", " + s.label
}

// checkVersus refuses what cannot be compared.
func (o *options) checkVersus() error {
	if o.versus == "" {
		return nil
	}
	return errors.Join(
		refuse(o.given(), "-versus needs a stack that is brought up here"),
		refuse(o.pprofDir != "", "-versus and -pprof do not go together: a profile is of one build"),
	)
}

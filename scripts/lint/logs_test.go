package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// logFields are the names that fields of the log have, for what they mean everywhere.
var logFields = []string{
	// What a line is about.
	"tenant", "event_id", "event_type", "delivery_id", "endpoint_id", "attempt", "request_id", "dispatch", "mail", "position", "audit", "target",
	// What became of it.
	"status", "status_code", "error", "error_class", "code", "reason", "tries", "stack", "left_out",
	// When, and how long.
	"after", "duration_ms", "expires_at", "next_attempt_at", "since", "took", "within",
	// How many.
	"bytes", "events", "exhausted", "failed", "found", "kept", "keys", "left", "limit", "listed", "percent", "resealed", "rows", "secrets",
	"values", "workflows",
	// Who and where.
	"action", "activity", "actor", "address", "column", "isolated_lane", "key", "method", "migration", "namespace", "page", "proxy", "role",
	"route", "schema", "server", "signal", "stage", "tls", "what",
}

// Every line of the log calls the same thing the same.
func TestLogs_Fields(t *testing.T) {
	t.Parallel()
	found := map[string][]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || path == filepath.FromSlash("../../scripts") || path == filepath.FromSlash("../../client")) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			loggedIn(t, path, found)
		}
		return nil
	})
	require.NoError(t, err)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		require.Contains(t, logFields, name, "call a field of the log as elsewhere: %s", found[name])
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(found)), logFields, "every name is in use")
}

// loggedIn adds the names of fields that a file writes to the log.
func loggedIn(t *testing.T, path string, found map[string][]string) {
	t.Helper()
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, path, nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		for _, key := range fieldNames(method, call.Args) {
			found[key] = append(found[key], positions.Position(call.Pos()).String())
		}
		return true
	})
}

// fieldNames returns the names of the fields in a call of the log, or of a function of slog that makes a field.
func fieldNames(method *ast.SelectorExpr, args []ast.Expr) (names []string) {
	name := method.Sel.Name
	if on, ok := method.X.(*ast.Ident); ok && on.Name == "slog" {
		if key, ok := text(args, 0); ok && slices.Contains([]string{"String", "Int", "Int64", "Bool", "Time", "Duration", "Any"}, name) {
			names = append(names, key)
		}
		return names
	}
	first := map[string]int{"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2, "With": 0}
	from, ok := first[name]
	if !ok || !isLogger(method.X) {
		return nil
	}
	for i := from; i < len(args); i += 2 {
		if key, ok := text(args, i); ok {
			names = append(names, key)
		}
	}
	return names
}

// isLogger reports whether an expression is one that loggers have here: its last name says log.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return strings.Contains(strings.ToLower(x.Name), "log")
	case *ast.SelectorExpr:
		return strings.Contains(strings.ToLower(x.Sel.Name), "log")
	case *ast.CallExpr: // workflow.GetLogger(ctx), or a With
		return isLogger(x.Fun)
	default:
		return false
	}
}

func text(args []ast.Expr, i int) (string, bool) {
	if i >= len(args) {
		return "", false
	}
	literal, ok := args[i].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(literal.Value)
	return s, err == nil
}
